"""A shelf: one scikit-learn estimator a file, all of one shape, all under `parametrize_with_checks`.

boosted_trees  Boosted trees as plain arrays: what scikit-learn's histogram boosting leaves here, and how numpy reads
               it.
boosting       Gradient-boosted trees: scikit-learn's histogram boosting fits them, numpy predicts.
centroid       The nearest class mean, with probabilities that agree with its labels.
cosine         A linear classifier of which only the angles count.
lda            Linear discriminant analysis with a shrunk covariance, by one factorisation of the smaller Gram matrix.
naive_bayes    Gaussian naive Bayes, with probabilities that are not sure beyond reason.
neighbors      Heads that keep the images they were shown.
ridge          Ridge regression: on class targets, with probabilities calibrated on its exact leave-one-out scores; on
               numbers.
softmax        What the project's own heads share: one score per class, the highest wins, and a softmax makes
               probabilities.
stock          Linear heads that are scikit-learn's own: logistic regression, support vector machine.
svm            A support vector machine with an RBF kernel: scikit-learn's libsvm fits it, numpy predicts.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
