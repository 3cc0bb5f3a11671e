"""A network joined with its diffusion, in memory and on disk."""
