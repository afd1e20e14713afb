"""What the tests of torch heads share."""

import numpy as np
import pytest
from sklearn.datasets import make_blobs

from headstart.heads.neural.linear_torch import TorchLinearClassifier
from headstart.heads.neural.mlp import TorchMLPClassifier

BOTH = pytest.mark.parametrize("estimator", [TorchLinearClassifier, TorchMLPClassifier])


def problem(n_images=200, n_classes=3, spread=2.0):
    """Return features of six columns and classes that overlap."""
    X, y = make_blobs(n_samples=n_images, centers=n_classes, n_features=6, cluster_std=spread, random_state=0)
    return X.astype(np.float32), y
