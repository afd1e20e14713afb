"""The job `fit`: sweep, choose, score once, conclude.

choices      What a fit goes by: the metric of its task, the heads of a sweep, its folder, and what the history says of
             it.
conclusion   From the results of a sweep to a winner: fitted, scored once, compared and saved.
job          Cache → heads: pose the problem, plan the splits, sweep the candidates.
leaderboard  What a fit found, as plain values: rows of the leaderboard, and the card of the saved model.
nested       The whole fit again without each outer fold, whose images are scored by what won there.
several      Several label columns at once: each fitted by itself, from one reading of the labels, and told in one
             table.
streamed     When a fit reads features in blocks instead of holding them in memory, and the steps of it that differ
             then.
sweep        Every candidate of a problem through every fold, with progress, and with what an interrupted sweep left.
unfinished   What an unfinished sweep has found so far, kept so that the same command goes on from there.
winner       A winner, fitted on all of train and scored once; and the best of every other embedding, for comparison.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
