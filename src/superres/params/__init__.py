"""Typed, strict params: one module per section of `params.yaml`, one loader, one check of the whole.

Nothing here imports torch, so that checking every section costs a fraction of a second.
"""
