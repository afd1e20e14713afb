"""Fewer dimensions by a transform that is saved: later images go through the very same one.

kept   Share of neighbours that fewer dimensions keep, beside a random projection.
pca    Principal components of features at unit length, whitened or not.
saved  Transform on disk: numbers in JSON, arrays in safetensors.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
