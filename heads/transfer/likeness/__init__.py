"""Likeness of two image sets: how far features of a target are from those of a source, beside what chance leaves apart.

distances  Domain classifier, Fréchet distance and MMD² of two samples.
measured   Each distance with its null, and with what parts of the source have between them.
shared     Equal samples of both sets, in principal components that they share.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
