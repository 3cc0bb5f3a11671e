"""superres: train, measure and use diffusion super-resolution in one reproducible pipeline."""

__version__ = "0.1.0"
