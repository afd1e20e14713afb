"""Candidates × folds → results, in threads or on Dask, from memory or in blocks.

cluster      Processes or cluster that jobs run on, and the jobs of a worker that died.
final        Winner, fitted on all of train and scored once, from memory or in blocks.
grid_trial   Grid of one head on one or several folds, where its arithmetic shares the work.
jobs         Jobs of a sweep: a candidate through all folds, or a grid on some.
nested       Outer folds: every image scored once, by a model chosen and fitted without it.
out_of_fold  Probabilities for the images of each fold, by a fit without them.
read_once    Features that travel to a process as a few bytes, and are read there once.
run          Sweep, and the choice of its best result.
streamed     Candidates on features that do not fit in memory.
threads      Threads that jobs run in, which load no library.
trial        One candidate through every fold: a plain function, wherever it runs.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
