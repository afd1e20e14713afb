"""Metrics with their intervals, and whether chance alone could have set two candidates apart.

classification  Scores of predicted classes, with 95 % intervals.
intervals       Wilson intervals of shares, at the number of independent images that vary as much.
linearised      Contribution of each image to a metric, for sums over very many images.
metrics         Table of the metrics: name, title, direction, unit.
paired          Two classifiers on the same images: their difference, and its p-value.
paired_numbers  Two heads for numbers on the same images: whether chance set them apart.
regression      Scores of predicted numbers, with 95 % intervals.
resampling      Sums over resamples of what each unit adds, in few and large products.
sign_flips      P-values of sums of which each part could have had the other sign.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
