"""Weights of DL-Art-School and guided-diffusion: taken over, and given away.

The public names are loaded when they are asked for: importing the room does not load torch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
