"""A fitted head on disk, read back without pickle: a file from anywhere runs no code.

archive       Types that may stand in `head.skops`, checked before anything is built.
card          Card `model.json`, checked, for it may come from a place that is not trusted.
model_file    Folder of a saved model, written whole and read back.
skops_import  Import of skops, without the types that it trusts by itself.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
