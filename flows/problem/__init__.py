"""From a cache to (X, y): which images, labels, groups and embeddings a fit is about.

class_tables   Weights and costs of classes as people give them.
embedded       Embeddings that cover a set of images, each under a name that tells it from the others.
label_columns  Label columns: which are meant, and whether one holds classes or numbers.
problem        Problem as arrays: images, classes, groups, embeddings.
remarks        Remarks on its images: noticed when they were embedded, or equal rows.
understood     Classes or numbers, splits and the rest, as images were taken for people to read.
views          Augmented views of a cache: the keys that hold them, and how to make those that lack.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
