"""Training and the choice of a checkpoint."""
