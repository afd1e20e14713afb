"""From a cache to (X, y): labels, columns, groups, which embeddings cover them.

embedded       The embeddings of a cache that cover a set of images, each under a name that tells it from the others.
label_columns  Label columns: which are meant, labels from a file of their own, and whether a column holds classes or
               numbers.
problem        From a cache to arrays: which images, which classes, which groups, and which embeddings cover them.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
