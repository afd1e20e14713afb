"""Exhibits of images and probabilities in the report: mistakes, labels to check, near copies, reliability, curves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # loads scikit-learn, for which a table of rows need not wait
    from headstart.heads.analysis import Bin, CalibrationError


@dataclass(frozen=True, kw_only=True)
class Mistake:
    """An image that was taken for another class; `probability` is what that class was given, `thumbnail` a JPEG."""

    path: str
    true: str
    predicted: str
    probability: float | None
    thumbnail: bytes | None


@dataclass(frozen=True, kw_only=True)
class RightAnswer:
    """An image that is right; `kind` is ``surest``, ``least sure``, or empty where no probability says."""

    path: str
    true: str
    kind: str
    probability: float | None
    thumbnail: bytes | None


@dataclass(frozen=True, kw_only=True)
class SuspectRow:
    """An image whose label looks wrong, with the likely class and what it was given; `thumbnail` is a JPEG."""

    path: str
    given: str
    likely: str
    probability: float | None
    thumbnail: bytes | None


@dataclass(frozen=True, kw_only=True)
class OutlierRow:
    """An image unlike all others, so many times as far from its nearest as is usual; `thumbnail` is a JPEG."""

    path: str
    label: str
    score: float
    thumbnail: bytes | None


@dataclass(frozen=True, kw_only=True)
class CopyPair:
    """Two images on different sides, as in ``train`` and ``test``, whose features point almost the same way."""

    left: str
    right: str
    left_side: str
    right_side: str
    cosine: float
    left_thumbnail: bytes | None
    right_thumbnail: bytes | None


@dataclass(frozen=True, kw_only=True)
class CopyPairs:
    """The first `pairs` of those found, which have a cosine of `threshold` at least."""

    n_found: int
    threshold: float
    pairs: Sequence[CopyPair]


@dataclass(frozen=True, kw_only=True)
class Reliability:
    """How often answers are right against how sure the head was of them.

    Attributes
    ----------
    bins : sequence of Bin
    error : CalibrationError
    temperature : float or None
        That mends the probabilities.
    """

    bins: "Sequence[Bin]"
    error: "CalibrationError"
    temperature: float | None


@dataclass(frozen=True)
class Curve:
    """How a head learned: one mapping an epoch with `epoch`, `loss`, `val_loss` and `val_accuracy`."""

    name: str
    history: Sequence[Mapping[str, float | int | None]]
