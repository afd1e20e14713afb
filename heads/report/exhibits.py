"""Exhibits of a page: mistakes, labels to check and to give, near copies, reliability, curves."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
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


@dataclass(frozen=True, kw_only=True)
class Labelling:
    """Images that a reader may label on a page, and the table that the page then gives.

    Attributes
    ----------
    file, column : str
        Names of the table and of its label column.
    paths : sequence of str
        (n_images,) Of all images that the table may hold, those of the page's map first and in its order.
    given : sequence of int
        (n_images,) Present labels, which index `names`; -1 is none.
    names : sequence of str
    command : str
        That fits on the table.
    columns : mapping of str to sequence of str or None
        (n_images,) Further columns of the table, such as ``split``.
    n_beyond : int
        Labelled images that the page has no room for.
    contents : str
        Digest of the images, which tells them from others of the same names.
    """

    file: str
    column: str
    paths: Sequence[str]
    given: Sequence[int]
    names: Sequence[str]
    command: str
    columns: Mapping[str, Sequence[str | None]] = field(default_factory=dict)
    n_beyond: int = 0
    contents: str = ""

    def details(self) -> dict[str, object]:
        """Values for the page's script; equal images and labels have one `key`, by which a browser keeps work."""
        found = {name: value for name, value in vars(self).items() if name not in ("n_beyond", "contents")}
        given = [self.names[at] if at >= 0 else "" for at in self.given]
        digest = sha256(json.dumps([self.contents, self.column, list(self.paths), given]).encode()).hexdigest()
        return found | {"key": f"headstart labels {digest[:24]}", "holds": self._holds()}

    def _holds(self) -> str:
        n_given = sum(at >= 0 for at in self.given)
        if not n_given:
            return f"{self.file} holds the images that you label, and no others."
        beyond = f" {self.n_beyond} more have no room in this page: add their rows." if self.n_beyond else ""
        return (
            f"{self.file} holds the labels of {n_given} images as they were, with your changes and additions: "
            f"a fit takes it in place of the labels of before.{beyond}"
        )
