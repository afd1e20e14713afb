"""The torch heads: layers, training, one model or a stack of them.

base          What the torch heads share as scikit-learn estimators: torch trains, numpy arrays stay, numpy predicts.
grid          The fast path of the two torch heads: a whole grid on one fold, trained as stacks of models.
linear_torch  The tutorials' linear probe: a softmax layer trained by SGD with momentum and a stepped learning rate.
mlp           A multi-layer perceptron with dropout, trained by Adam.
optimizers    Optimizers that step many models at once, each at its own learning rate and weight decay.
stacks        Training many small torch heads as one: stacked layers, gradients by hand, one optimizer step for all of
              them.
training      Training a small stack of linear layers with torch: batches, early stopping, the best epoch kept, numpy
              out.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
