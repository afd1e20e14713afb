"""Several label columns over one shared trunk, and whether sharing beat a head for each column.

columns     Label column as arrays: classes or numbers, some of them missing.
comparison  Shared trunk, separate heads and linear heads on the same images, and what chance leaves of the difference.
estimator   Shared trunk as an estimator: a committee of networks that differ by their seed.
linear      Linear head of one column, the field's default.
losses      Sum of the columns' losses: missing labels masked, each divided by what the prior's guess costs.
verdicts    Verdict on each column: whether sharing helped, by test images and by seeds.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
