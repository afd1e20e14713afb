"""The job `advise`: how to transfer, by what was measured on a task's own images.

commands  Commands that do what is advised, or measure what is missing.
controls  Raw pixels and random weights, in the cache or embedded on the way.
job       Job as a function: from a cache to advice, a table and a page.
layers    Layers of a cache by network, and which are controls.
options   Options of advice.
source    Likeness to a source.
summary   Values that it returns.
wording   Sentences of what was measured and is advised.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
