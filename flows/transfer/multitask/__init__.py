"""The job `multitask`: several label columns over one shared trunk, held against a head for each.

job      Job as a function: from a cache to a model, tables and a page.
options  Options of it.
posed    Label columns of a cache as arrays, and splits that they share.
saved    Model and predictions, as files.
summary  Values that it returns.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
