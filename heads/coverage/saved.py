"""Doubt of a model on disk: numbers in its card, arrays in a file of safetensors, which can hold nothing that runs."""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.heads.coverage.conformal import SET_METHODS, ConformalSets
from headstart.heads.coverage.doubt import Doubt
from headstart.heads.coverage.outliers import MOST_NUMBERS, OUTLIER_METHODS, OutlierScore
from headstart.heads.errors import ModelFileError
from headstart.heads.saving import read_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from headstart.heads.saving import Card

DOUBT_FILE = "doubt.safetensors"
LARGEST_DOUBT = 64 * MOST_NUMBERS  # bytes: a network of few features may tell very many classes apart
_ARRAYS = {"mahalanobis": {"means", "spread"}, "knn": {"images"}}


def saved_doubt(doubt: Doubt) -> tuple[Mapping[str, object], bytes]:
    """Return the card's entry ``doubt``, and the content of `DOUBT_FILE`."""
    from safetensors.numpy import save  # noqa: PLC0415 - only who asks for it needs it

    # safetensors writes bytes as they lie, and would mix up the numbers of a matrix in Fortran's order.
    data = save({name: np.ascontiguousarray(rows) for name, rows in doubt.outliers.arrays.items()})
    sets = doubt.sets
    entry = {
        "coverage": sets.coverage,
        "sets": sets.method,
        "by_class": sets.by_class,
        "thresholds": sets.thresholds.tolist(),
        "n_images": sets.n_images,
        "temperature": doubt.temperature,
        "outlier": doubt.outliers.method,
        "plain": doubt.outliers.plain,
        "threshold": doubt.threshold,
        "false_alarms": doubt.false_alarms,
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    return entry, data


def read_doubt(folder: Path, card: Card) -> Doubt | None:
    """Read what `saved_doubt` gave; None of a model that was saved without.

    Raises
    ------
    ModelFileError
        The entry or the file is missing, damaged, or not of this model.
    """
    entry = card.get("doubt")
    if entry is None:
        return None
    path = folder / DOUBT_FILE
    try:
        thresholds = np.array([_number(one) for one in entry["thresholds"]])
        sets = ConformalSets(
            _one_of(entry["sets"], SET_METHODS),
            _number(entry["coverage"]),
            bool(entry["by_class"]),
            thresholds,
            int(entry["n_images"]),
        )
        method, checksum = _one_of(entry["outlier"], OUTLIER_METHODS), str(entry["sha256"])
        plain, threshold, false_alarms, temperature = (
            _number(entry[name]) for name in ("plain", "threshold", "false_alarms", "temperature")
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ModelFileError(f"{folder}: the card's 'doubt' cannot be read ({error}); fit the model again") from error
    if len(thresholds) != len(card["class_names"]) or not temperature > 0:
        raise ModelFileError(
            f"{folder}: the card's 'doubt' has {len(thresholds)} thresholds and temperature {temperature}, expected "
            f"one for each of {len(card['class_names'])} classes, and above 0; fit the model again"
        )
    outliers = OutlierScore(method, _read_arrays(path, checksum, method), plain)
    return Doubt(sets=sets, outliers=outliers, threshold=threshold, false_alarms=false_alarms, temperature=temperature)


def _read_arrays(path: Path, checksum: str, method: str) -> Mapping[str, NDArray[Any]]:
    from safetensors import SafetensorError  # noqa: PLC0415 - only a model with doubts needs it
    from safetensors.numpy import load  # noqa: PLC0415 - only a model with doubts needs it

    try:
        data = read_bytes(path, LARGEST_DOUBT)
    except FileNotFoundError as error:
        raise ModelFileError(f"{path}: no such file; this is not a whole model, fit it again") from error
    if hashlib.sha256(data).hexdigest() != checksum:
        raise ModelFileError(f"{path}: damaged, it is not the file that its card names; copy or fit the model again")
    try:
        arrays = load(data)
    except (SafetensorError, KeyError, ValueError) as error:
        raise ModelFileError(f"{path}: cannot be read ({error}); fit the model again") from error
    good = {name for name, rows in arrays.items() if rows.ndim == 2 and rows.dtype == np.float32 and rows.size}
    widths = {rows.shape[1] for rows in arrays.values() if rows.ndim == 2}
    if set(arrays) != _ARRAYS[method] or good != set(arrays) or len(widths) != 1:
        raise ModelFileError(
            f"{path}: holds {', '.join(sorted(arrays)) or 'nothing'}, expected {', '.join(sorted(_ARRAYS[method]))}, "
            "float32 matrices of one width; fit the model again"
        )
    if not all(np.isfinite(rows).all() for rows in arrays.values()):
        raise ModelFileError(f"{path}: holds numbers that are not finite; fit the model again")
    return arrays


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{value!r} is no finite number")
    return float(value)


def _one_of(value: object, known: tuple[str, ...]) -> str:
    if value not in known:
        raise ValueError(f"{value!r} is none of {', '.join(known)}")
    return str(value)
