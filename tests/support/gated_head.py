"""A head for tests of what happens while heads are fitted: its fits wait at a gate, as `gated_model` does."""

import os
from itertools import count
from pathlib import Path
from typing import Any, Self

from sklearn.neighbors import NearestCentroid
from support.gated_model import wait_at

_FITS = count(1)


class Gated(NearestCentroid):
    """The nearest mean; its gate is the folder ``fit`` in the one that GATE names."""

    def fit(self, X: Any, y: Any) -> Self:
        wait_at(Path(os.environ["GATE"]) / "fit", next(_FITS))
        super().fit(X, y)
        return self
