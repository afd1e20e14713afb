"""Embeddings whose classes overlap, in folds, for heads that read features in blocks."""

import numpy as np
from support.path_example import problem

from headstart.heads.registry.candidates import FeatureSet, expand
from headstart.heads.splits import plan_splits

N_IMAGES, N_FEATURES, N_CLASSES = 1800, 24, 4

GRIDS = {
    "ridge": {"alpha": (0.1, 100.0, 10_000.0)},
    "logreg": {"C": (0.001, 0.1, 10.0)},
    "centroid": {},
    "dummy": {},
}


def embeddings(n_classes=N_CLASSES):
    """Return float16 features and classes."""
    features, _, scored, _ = problem(N_IMAGES - 150, N_FEATURES, n_classes)
    order = np.random.default_rng(0).permutation(N_IMAGES)
    X = np.concatenate([features, scored])
    y = np.resize(np.arange(n_classes), N_IMAGES)
    return X[order].astype(np.float16), y[order]


X, Y = embeddings()
PLAN = plan_splits(Y, folds=3)


class OnlyRows:
    """Features that can be had a few rows at a time, and never all at once."""

    def __init__(self, features, most):
        self._features, self._most = features, most
        self.shape = features.shape
        self.n_read = 0

    def take(self, rows):
        part = self._features[rows]
        if len(part) > self._most:
            raise AssertionError(f"{len(part)} rows were asked for at once, expected {self._most} at most")
        self.n_read += len(part)
        return part


def candidates(features, *heads):
    return expand([FeatureSet(features=features, backbone="made", tap="up", key="k")], heads, GRIDS)
