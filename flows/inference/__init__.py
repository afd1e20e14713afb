"""The job `predict`; `deploy` (graft, ONNX) moves in here.

prediction  A saved model on new images: embed them with the very key that the model was fitted on, then let it speak.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
