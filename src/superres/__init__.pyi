from .restoration.restorer import load as load

__version__: str
