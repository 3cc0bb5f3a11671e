"""Trying a model: strengths it is told, samples, ways of sampling, sizes of picture."""
