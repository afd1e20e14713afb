"""A fitted head on disk, without pickle.

archive     What may stand in a `head.skops`: a fixed list of types, checked before anything is built.
card        The card of a saved model, `model.json`: what it must hold, and reading it from a place that is not trusted.
model_file  A fitted head on disk: a folder with `head.skops` and `model.json`, read back without pickle.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
