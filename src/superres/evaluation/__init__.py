"""Measuring the restored test tiles, and any two folders of pictures."""
