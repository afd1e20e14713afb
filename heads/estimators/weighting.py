"""Class weights: how much an image of each class counts in a fit, as scikit-learn has them."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.class_weight import compute_class_weight

Doubles = NDArray[np.float64]

ClassWeight = str | Mapping[Any, float] | None
"""``balanced``, weights by label of which those left out are 1, or None; of scikit-learn's ``class_weight``."""


def weights_by_class(class_weight: ClassWeight, classes: NDArray[Any], codes: NDArray[np.intp]) -> Doubles | None:
    """Return the weight of each class (n_classes,), or None where all count alike.

    Parameters
    ----------
    class_weight : "balanced", mapping of label to float, or None
        Balanced weights are n_images / (n_classes * images of the class), so that all classes weigh alike.
    classes : ndarray of shape (n_classes,)
        Labels.
    codes : int ndarray of shape (n_images,)
        Their numbers, each present.

    Raises
    ------
    ValueError
        As scikit-learn's `compute_class_weight`.
    """
    if class_weight is None:
        return None
    return np.asarray(compute_class_weight(class_weight, classes=classes, y=classes[codes]), dtype=np.float64)


def refuse_weights(class_weight: ClassWeight) -> None:
    """Raise ValueError where a head that predicts numbers is given weights of classes."""
    if class_weight is not None:
        raise ValueError(f"class_weight is {class_weight!r}, and numbers have no classes: leave it out")


def weights_of_counts(
    class_weight: ClassWeight, counts: NDArray[np.floating[Any]] | NDArray[np.integer[Any]]
) -> Doubles | None:
    """Return the same weights (n_fits, n_classes) from the images (n_fits, n_classes) of each class in several fits.

    Labels are the classes' numbers, and classes may be absent.
    """
    if class_weight is None:
        return None
    if isinstance(class_weight, str):
        if class_weight != "balanced":
            raise ValueError(f"class_weight is {class_weight!r}, expected 'balanced' or a weight for each class")
        there = np.maximum(1, (counts > 0).sum(axis=1, keepdims=True))
        return np.asarray(counts.sum(axis=1, keepdims=True) / (there * np.maximum(counts, 1)))
    return np.tile([float(class_weight.get(code, 1.0)) for code in range(counts.shape[1])], (len(counts), 1))


def common_weight(grid: Iterable[Mapping[str, Any]]) -> ClassWeight:
    """Return the class weight that all choices of hyper-parameters share.

    Raises
    ------
    ValueError
        They have several; fit each by itself.
    """
    found = {repr(params.get("class_weight")): params.get("class_weight") for params in grid}
    if len(found) > 1:
        raise ValueError(f"one fit of a grid has one class_weight, found {', '.join(found)}; fit each by itself")
    return next(iter(found.values()), None)
