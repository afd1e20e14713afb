"""Encoders learned from the user's own images. One room today; rotation, masked and denoising move in beside it.

supervised  Encoders learned on a source task, for the case that no published weights fit or none can be had.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
