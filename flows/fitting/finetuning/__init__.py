"""The job `finetune`: upper layers of a network trained on the maps of a cache, beside its best linear head.

job      Job as a function: from a cache to a saved tail.
kept     Training so far, in a file of the results.
linear   Best linear head on penultimate features, made of the maps.
options  Options of fine-tuning.
summary  Values that it returns, and its verdict.
trunk    Maps of a cache's backbone, found or embedded, and the tail that takes them.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
