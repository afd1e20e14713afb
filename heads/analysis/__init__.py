"""Analyses that a person should see beside a score; none knows another. Wing `active` chooses what to label next.

calibration  Reliability of probabilities, and the temperature that mends them.
clustering   Groups of like images by k-means and HDBSCAN, on reduced embeddings.
drift        Two-sample test whether new embeddings look like the old ones.
few_shot     Accuracy against images per class: how much more labels would bring.
few_shot_fits      The images that each draw takes, and fits on them.
few_shot_interval  The interval of a mean over draws, on new images.
near_copies  Pairs of images, across splits or of a whole set, whose features point almost the same way.
nearest      Rows nearest to a query, by an exact search.
suspects     Labels that are probably wrong, and images unlike all others.
thresholds   Decisions chosen on folds: a threshold, multipliers, the least expected cost.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
