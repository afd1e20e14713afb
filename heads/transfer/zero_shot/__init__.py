"""Classes without a labelled image, told by vectors that describe every class: attributes, words, text embeddings.

classifier  Scores of all classes as one estimator, which is saved and predicts.
controls    Rivals that a zero-shot model has to beat.
draws       Classes and images that are held out to choose by.
outcome     Accuracy by class among unseen and all classes, their harmonic mean, and intervals.
selection   Choice of method, hyper-parameters and calibration on held-out classes.
solution    Closed forms: one decomposition for every hyper-parameter.
vectors     Class vectors, brought to one scale.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
