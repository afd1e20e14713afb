"""Many logistic regressions at once: L-BFGS, the loss in large products, scaling on the weights' side, bfloat16.

anchored      Cross-entropy near a point, from bfloat16 products of what changed since: several times as fast as in
              float32.
grid          Logistic regression for many C and folds at once: one batched L-BFGS that takes scikit-learn's steps, on
              products.
lbfgs         L-BFGS on many problems at once: losses are evaluated together, and each problem steps and stops by
              itself.
loss          Cross-entropy of linear models with an L2 penalty, for many C and folds at once, in large matrix products.
scaling       Standardisation on the side of the weights, so that fits on different images of one matrix share its
              products.
softmax_sums  The softmax loss and its derivatives, summed up over blocks of images for many weights at once.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
