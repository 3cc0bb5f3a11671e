"""Distillation: a student that samples in 1, 2 or 4 evaluations, trained from a chosen model."""
