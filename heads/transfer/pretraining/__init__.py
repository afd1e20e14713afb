"""An encoder beside its controls, on a few labels a class.

few_labels  Accuracy on draws of a few labels a class, and what one feature set is ahead of another.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
