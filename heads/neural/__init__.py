"""Heads that torch trains: one model, or a whole grid as one stack of models.

base          Base of the torch heads as estimators: torch trains, numpy predicts.
grid          Fast path of both heads: the grid of one fold, trained as stacks.
linear_torch  Softmax layer trained by SGD with a stepped learning rate.
mlp           Multi-layer perceptron with dropout, trained by Adam.
objectives    Loss of a training, and measures on the images that choose the epoch.
optimizers    Optimizers that step many models at once, each at its own rate.
shares        Steps of an optimizer of which each weight takes a share.
stacks        Training of many small models as one, with gradients by hand.
training      Training of one stack of layers: batches, early stopping, best epoch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
