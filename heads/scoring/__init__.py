"""Metrics as data, their intervals, and whether two candidates differ. A metric is a row in `metrics` and a function.

classification  Scores of predictions, with 95 % intervals.
intervals       95 % intervals of shares: Wilson's, at the number of independent images that would vary as much.
linearised      What each image adds to a metric: metrics are functions of sums over images, and nearly linear in them.
metrics         The metrics as data: their names, what people call them, which way is better, and in what they are
                written.
paired          Two candidates on the same images: how far apart they are, and whether chance alone could have put them
                there.
paired_numbers  Two candidates that predict numbers, on the same images: whether chance alone could have put them apart.
regression      Scores of predicted numbers, with 95 % intervals.
resampling      Sums over resamples of what each unit adds to several candidates' metrics, in few and large products.
sign_flips      P-values of sums of which each part could as well have had the other sign.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
