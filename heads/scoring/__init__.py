"""Metrics with their intervals, and whether chance alone could have set two candidates apart.

by_class        Scores of each class by itself, and its curves against all others.
classification  Scores of predictions, classes or numbers, with 95 % intervals; here of classes.
decision        Rule that makes a class of probabilities: a threshold, multipliers, or costs.
functions       Value of each metric at sums over images, and what an image adds to it.
intervals       Wilson intervals of shares, at the number of independent images that vary as much.
linearised      Contribution of each image to a metric, for sums over very many images.
metrics         Table of the metrics: one row each, with its name, direction, unit and function.
paired          Two candidates on the same images: their difference, and its p-value.
ranking         Contribution of each image to the metrics that go by every class's probability.
regression      Scores of predicted numbers, with 95 % intervals.
resampling      Sums over resamples of what each unit adds, in few and large products.
sign_flips      P-values of sums of which each part could have had the other sign.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
