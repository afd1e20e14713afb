"""Encoders that are learned from a user's own images, where no published weights fit.

supervised  Small encoder trained on a source task with labels, and saved.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
