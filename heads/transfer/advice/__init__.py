"""Advice on how to transfer, by what was measured on a task's own images.

growth  Score with half, a quarter, … of the images: what more labels bring.
lead    One set of features against another on the same images.
rules   Matrix of size and likeness, what overrules it, and negative transfer.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
