"""Trying a model: other entropies, samples, ways of sampling, sizes of picture."""
