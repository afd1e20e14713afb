"""Candidates × folds → results, on Dask; nested folds; streamed.

cluster      Where a sweep's jobs run: threads, processes or a cluster; and what becomes of those whose worker died.
grid_trial   A grid of one head on one fold or several at once, where the head's arithmetic lets all of it share the
             work.
jobs         Which jobs a sweep is made of: a candidate through all folds, or a head's whole grid on one fold or
             several.
nested       Nested cross-validation: every image scored once, by a model that was chosen and fitted without it.
out_of_fold  What a head says of images that it was not fitted on, with the probability of every class.
run          Candidates x folds → results, in parallel on Dask; then the winner, fitted and scored once.
streamed     A sweep over features that do not fit in memory: few passes over them, for the heads that can.
trial        One candidate through every fold: a plain function, whoever runs it and wherever.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
