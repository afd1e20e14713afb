"""A small sweep: digits, a plan of folds, cheap heads, and one that fails."""

import numpy as np
from sklearn.datasets import load_digits

from headstart.heads.registry.candidates import Candidate, FeatureSet
from headstart.heads.splits import plan_splits

X, Y = (array[:300] for array in load_digits(return_X_y=True))
X = X.astype(np.float16)
PIXELS = FeatureSet(features=X, backbone="pixels", tap="raw", key="k")
PLAN = plan_splits(Y, folds=3)
CHEAP = ["dummy", "centroid", "knn"]


def broken(head="logreg", **params):
    return Candidate(features=X, backbone="pixels", tap="raw", key="k", head=head, params=params or {"C": -1.0})
