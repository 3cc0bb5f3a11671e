"""Estimating from a picture alone how strongly it was corrupted."""
