"""The job `episodes`: how well a few labelled images a class tell the others, by each layer of a cache and method.

base     Mean of the base classes, of a source cache.
job      Job as a function: from a cache to a table and a page.
options  Options of episodes.
rows     Accuracies as rows, and sentences on what they say.
summary  Values that it returns.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
