"""The choice of what `cluster` groups, and the names of what it found, where a few labels are given.

layers  Choice of backbone and layer by stability, without labels.
names   Names of clusters by a few labels, as rows, words and columns.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
