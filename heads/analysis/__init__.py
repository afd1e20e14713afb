"""What to know beside the score; six rooms that do not know each other.

calibration  How far probabilities can be taken at their word, and the temperature that mends them.
clustering   Images without labels in groups of like ones: k-means for several k, and HDBSCAN, on embeddings reduced by
             PCA.
drift        Whether new embeddings look like the old ones: a two-sample test whose null is made by permutation.
few_shot     Accuracy against images per class: how much a head would gain from more labels.
near_copies  Near copies across splits: images whose features point almost the same way, one fitted on and the other
             scored.
suspects     Labels that are probably wrong, and images unlike all others: what a person should look at first.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
