"""A reduction on disk: what it is in JSON, its arrays in safetensors, which can hold nothing that runs."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.heads.errors import ModelFileError
from headstart.heads.saving import read_bytes
from headstart.heads.transfer.reduction.pca import Reduction

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

CARD_FILE, ARRAYS_FILE = "transform.json", "transform.safetensors"
FORMAT = 1
LARGEST_CARD, LARGEST_ARRAYS = 1_000_000, 1_000_000_000  # bytes
_SHAPES = {"components": 2, "mean": 1, "spreads": 1}
_AGAIN = "run 'headstart reduce' on its cache again"


def saved_reduction(reduction: Reduction, about: Mapping[str, str]) -> dict[str, bytes]:
    """Return the files of a reduction by their names; `about` says what it was fitted on, as text.

    Parameters
    ----------
    reduction : Reduction
    about : mapping of str to str
        Such as key and tap.
    """
    from safetensors.numpy import save  # noqa: PLC0415 - only who saves one needs it

    arrays = save({name: np.ascontiguousarray(getattr(reduction, name), np.float64) for name in _SHAPES})
    card = {
        "format": FORMAT,
        "kind": "headstart reduction",
        "whiten": reduction.whiten,
        "variance": reduction.variance,
        "sha256": hashlib.sha256(arrays).hexdigest(),
        "about": dict(about),
    }
    return {CARD_FILE: (json.dumps(card, indent=1) + "\n").encode(), ARRAYS_FILE: arrays}


def read_reduction(folder: Path) -> tuple[Reduction, dict[str, str]]:
    """Read what `saved_reduction` gave, and what it was fitted on.

    Raises
    ------
    ModelFileError
        A file is missing, damaged, or not of a reduction.
    """
    card = _read_card(folder)
    arrays = _read_arrays(folder / ARRAYS_FILE, card["sha256"])
    variance = card.get("variance")
    if not isinstance(card.get("whiten"), bool) or not isinstance(variance, float) or not 0 <= variance <= 1 + 1e-9:
        raise ModelFileError(f"{folder / CARD_FILE}: 'whiten' or 'variance' cannot be read; {_AGAIN}")
    reduction = Reduction(**arrays, whiten=card["whiten"], variance=variance)
    return reduction, {str(name): str(value) for name, value in card["about"].items()}


def _read_card(folder: Path) -> dict[str, Any]:
    path = folder / CARD_FILE
    try:
        card = json.loads(read_bytes(path, LARGEST_CARD))
    except FileNotFoundError as error:
        raise ModelFileError(f"{folder}: no {CARD_FILE}; name a folder that 'headstart reduce' wrote") from error
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"{path}: is no JSON ({error}); {_AGAIN}") from error
    if not isinstance(card, dict) or card.get("kind") != "headstart reduction":
        raise ModelFileError(f"{path}: describes no reduction; name a folder that 'headstart reduce' wrote")
    if card.get("format") != FORMAT:
        raise ModelFileError(f"{path}: format {card.get('format')!r}, expected {FORMAT}; {_AGAIN}")
    if not isinstance(card.get("sha256"), str) or not isinstance(card.get("about"), dict):
        raise ModelFileError(f"{path}: 'sha256' or 'about' cannot be read; {_AGAIN}")
    return card


def _read_arrays(path: Path, checksum: str) -> dict[str, NDArray[np.float64]]:
    from safetensors import SafetensorError  # noqa: PLC0415 - only who reads one needs it
    from safetensors.numpy import load  # noqa: PLC0415 - only who reads one needs it

    try:
        data = read_bytes(path, LARGEST_ARRAYS)
    except FileNotFoundError as error:
        raise ModelFileError(f"{path}: no such file; {_AGAIN}") from error
    if hashlib.sha256(data).hexdigest() != checksum:
        raise ModelFileError(f"{path}: damaged, it is not the file that {CARD_FILE} names; {_AGAIN}")
    try:
        arrays: dict[str, NDArray[np.float64]] = load(data)
    except (SafetensorError, KeyError, ValueError) as error:
        raise ModelFileError(f"{path}: cannot be read ({error}); {_AGAIN}") from error
    shapes = {name: one.ndim for name, one in arrays.items() if one.dtype == np.float64 and np.isfinite(one).all()}
    if shapes != _SHAPES or arrays["components"].shape != (len(arrays["spreads"]), len(arrays["mean"])):
        raise ModelFileError(f"{path}: holds no finite float64 components, mean and spreads that fit; {_AGAIN}")
    if not (arrays["spreads"] > 0).all():
        raise ModelFileError(f"{path}: a spread is not above 0; {_AGAIN}")
    return arrays
