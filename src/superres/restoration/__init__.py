"""Applying a trained model to pictures."""
