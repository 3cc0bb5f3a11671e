"""Choosing a model: checkpoints and averages of the weights, compared on the val pairs."""
