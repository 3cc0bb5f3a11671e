"""Typed, strict params: a module per section of `params.yaml`, a loader, a check of the whole.

Nothing here imports torch, so that checking every section costs a fraction of a second.
"""
