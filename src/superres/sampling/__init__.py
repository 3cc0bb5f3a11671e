"""Sampling: samplers, spacings, guidance; a batch of pictures, the test set.

The public names are loaded when they are asked for: importing the room does not load torch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
