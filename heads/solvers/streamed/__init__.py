"""Heads on features that do not fit in memory, from few passes over them.

centroid  Nearest mean for all folds, from two passes.
data      Data that every streamed head is given, and the scalers made of sums.
logreg    Logistic regression for all C and folds, from a few passes.
ridge     Ridge for all penalties and folds, from one pass.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
