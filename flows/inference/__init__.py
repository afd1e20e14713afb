"""The job `predict`: a saved model on new images.

options     Options of a prediction.
prediction  Embeds images with the very key that the model was fitted on, and predicts.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
