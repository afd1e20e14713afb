"""The job `zeroshot`: classes without a labelled image, told by vectors that describe every class.

class_file  Vectors of classes, read from a table, arrays, or prompts.
images      Images of a cache by what they are for: to fit on, to score, or to be told.
job         Job as a function: from a cache and class vectors to predictions, a model, a table and a page.
options     Options of the job.
prompts     Class vectors from prompts, by a text tower.
saving      Model as it is saved, for `predict`.
summary     Values that it returns.
trial       Methods tried on embeddings, the best one fitted, and its rivals.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
