"""The job `finetune`: upper layers of a network trained on the maps of a cache, beside its best linear head.

board       Leaderboard of a sweep over tails, with the linear heads among them.
command     Command that makes the same again.
conclusion  Tail beside the linear heads, and the files of its run.
guides      Guides in files: shares of steps by weight.
job         Job as a function: from a cache to a saved tail.
kept        Training so far, in a file of the results.
linear      Linear heads on penultimate features, made of the maps.
precision   Precision that layers compute in while they are trained.
report      Page of a fine-tuning.
summary     Values that it returns, and its verdict.
sweep       Tails of several layers and rates through the folds.
trainer     Trainer of a job's tails.
trunk       Maps of a cache's backbone, found or embedded, and the tails that take them.
workers     Folds of the sweep on Dask workers.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
