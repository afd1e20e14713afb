"""Options of the jobs: each once, with its default and all that commands and tables say of it.

A job takes its options as one object, or by name: ``fit(cache, "knn", folds=3)``. Type checkers know the names by the
``…Keywords`` beside each class; the command's options and the experiment file's fields are made of the class itself.

asked       Options given by name, and those that many jobs share.
finetuning  Options of fine-tuning a tail.
fit         Options of a fit.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
