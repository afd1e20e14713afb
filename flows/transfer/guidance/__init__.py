"""The job `guide`: what the source did not need to move is held back on the target, beside three controls.

bodies   Bodies of two caches: hidden layers, the tail of a network, or all of it.
job      Job as a function: from two caches to a table, a guide and a page.
options  Options of guided transfer learning.
pixels   Pixels of a cache's images, for a network that is trained from the first layer on.
source   Images of the source with their classes, or with clusters in place of these.
summary  Values that it returns.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
