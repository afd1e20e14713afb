"""Heads as scikit-learn estimators, one shape a file, so that any of them can be swapped.

boosted_trees  Boosted trees as plain arrays, and their prediction in numpy.
boosting       Gradient-boosted trees, fitted by scikit-learn.
centroid       Nearest class mean, with probabilities.
cosine         Linear classifier of which only angles count.
lda            Linear discriminant analysis with a shrunk covariance.
naive_bayes    Gaussian naive Bayes, with tempered probabilities.
neighbors      Nearest images, for classes and for numbers.
ridge          Ridge regression, for classes with calibrated probabilities and for numbers.
softmax        Base of own classifiers: scores to labels and probabilities, fitted temperature.
stock          Heads that are scikit-learn's own: logistic regression, linear SVM, floors.
svm            Support vector machine with an RBF kernel, fitted by scikit-learn.
weighting      Class weights: how much an image of each class counts.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
