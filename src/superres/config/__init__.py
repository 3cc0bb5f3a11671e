"""The check of the whole `params.yaml`, before any stage spends time on part of it."""
