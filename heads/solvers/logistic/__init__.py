"""Logistic regression for many C and folds at once, in large matrix products.

anchored      Cross-entropy near a point, from bfloat16 products of what changed since.
grid          Batched fit that takes scikit-learn's steps.
lbfgs         L-BFGS on many problems at once, each with its own step and stop.
loss          Cross-entropy with an L2 penalty and its gradient.
scaling       Standardisation on the side of the weights: fits on different images share products.
softmax_sums  Softmax loss and its derivatives, summed over blocks of images.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
