"""Logistic regression for many C and folds at once, in large matrix products.

curvature     Coordinates in which losses curve alike in all directions.
grid          Fit of many C and folds.
lbfgs         L-BFGS on many problems at once, each with its own step and stop.
loss          Cross-entropy of a model for each fold, and its slopes, in float32 or from bfloat16 near a point.
path          Minima one C after another.
scaling       Standardisation on the side of the weights: fits on different images share products.
softmax_sums  Softmax loss and its derivatives, summed over blocks of images.
steps         Fits that take scikit-learn's steps.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
