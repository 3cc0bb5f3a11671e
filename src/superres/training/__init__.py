"""Training: objectives, the loop, averages of the weights, checkpoints."""
