"""A whole grid in one go. One file a head, and three shelves below for what they share.

knn    The nearest-neighbour head for a whole grid on one fold, from one search a metric.
lda    The discriminant head for a whole grid of shrinkages on one fold, from one eigendecomposition.
ridge  The ridge head for a whole grid of penalties, from one eigendecomposition a fold.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
