"""Doubts of a model: sets of classes that hold the true one as often as asked, and images unlike its own.

conformal      Sets of classes by split conformal prediction: LAC, APS and RAPS, over all images or by class.
doubt          Sets and outliers together, as a model that is asked gives them.
measured       Coverage, set sizes and false alarms on images that calibrated nothing.
outliers       Distance to the images of the fit: Mahalanobis', and that to the nearest.
risk_coverage  Share of wrong answers against the share of images that are answered.
saved          Doubt of a model on disk, read back without pickle.
share          A share of images, with its binomial interval.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
