"""The job `rank`: backbones and layers in the order in which they suit a task, before anything is swept.

images   Choice of images that are looked at.
job      Job as a function: from a cache to a table and a page.
options  Options of a ranking.
order    Depth of layers, and order by what is published.
summary  Values that it returns.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
