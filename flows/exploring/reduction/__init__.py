"""The job `reduce`: features in fewer dimensions, by a transform that is saved and that later images go through.

job      Job as a function: from a cache, or images, to reduced features.
options  Options of a reduction.
summary  Values that it returns.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
