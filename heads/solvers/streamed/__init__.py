"""The same heads on features that do not fit in memory.

centroid  The nearest-mean head for all folds from two passes over the images: means of features, then of unit vectors.
data      What every streamed head is given, and the stock scalers that it makes of sums.
logreg    Logistic regression for all C and folds at once, in a few passes over the images.
ridge     The ridge head for all penalties and folds from one pass over the images: from sums of products of features.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
