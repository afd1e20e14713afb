"""The job `pretrain`: a network that learns from images without labels, beside what it has to beat.

comparison  Encoder, random weights and raw pixels on a few labels a class.
job         Job as a function: from images to an encoder, a curve and a page.
options     Options of a pre-training.
pixels      Pixels of an image set, decoded once.
summary     Values that it returns.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
