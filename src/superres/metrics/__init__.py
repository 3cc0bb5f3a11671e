"""Figures: of a restored picture, of sets of them, and what they need."""
