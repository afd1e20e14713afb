"""A head's whole grid on one fold in one go; one file a head, and below what they share.

knn    Nearest images for every k, from one search a metric.
lda    Discriminant analysis for every shrinkage, from one eigendecomposition.
ridge  Ridge for every penalty, from one eigendecomposition a fold.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
