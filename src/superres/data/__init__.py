"""Photographs to tiles, tiles to degraded pairs, pairs to training batches."""
