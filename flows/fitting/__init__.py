"""The job `fit`: sweep the candidates, choose a winner, score it once, save and explain it.

choices      Metric, heads and folder that a fit goes by, checked.
conclusion   Winner of a sweep, fitted, scored once, compared, saved and kept in the history.
device       Device on which torch trains heads, and a GPU for one job at a time.
imbalance    Weights of classes, and how probabilities are decided by: chosen, and what it costs and wins.
job          Job as a function: from a cache to a saved model.
leaderboard  Rows of the leaderboard, and the card of the saved model.
multilabel   Columns of 0 and 1 taken together, and their means.
nested       Outer folds: the whole fit again without each, whose images its winner scores.
rare_classes Classes that are too rare to be fitted, left out with a note.
several      Several label columns, each fitted by itself, from one reading of the labels.
streamed     Choice to read features in blocks.
sweep        Every candidate through every fold, with progress and results of an interrupted sweep.
unfinished   Results of an unfinished sweep, kept so that the same command goes on from there.
winner       Winner fitted on all of train and scored once, and the best of other embeddings.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
