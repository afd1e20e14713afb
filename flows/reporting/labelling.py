"""Labels that a page takes: which images it may name, and what its table holds beside them."""

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from headstart.heads.report import Labelling

_MOST_ROWS = 100_000  # of a page: with a path of 40 letters, four megabytes


@dataclass(frozen=True)
class LabelFile:
    """Table that a page gives.

    Attributes
    ----------
    column : str
        Of the labels.
    cache : str
        Name that it is called after.
    command : sequence of str
        Words of a fit, to which the table is added in place of another.
    """

    column: str
    cache: str
    command: Sequence[str]

    @property
    def name(self) -> str:
        """File name."""
        return f"{self.cache}-labels.csv"


def offer_labels(
    paths: Callable[[npt.NDArray[np.intp]], Sequence[str]],
    numbers: npt.NDArray[np.integer],
    names: Sequence[str],
    shown: npt.NDArray[np.intp],
    *,
    file: LabelFile,
    digests: npt.NDArray[np.uint8],
    columns: Mapping[str, npt.NDArray[Any]] | None = None,
) -> Labelling:
    """Let a reader label the images that a page shows; the table keeps the labels of all others, too.

    Parameters
    ----------
    paths : callable
        Gives the paths of rows, as listed: of millions of images nobody needs all.
    numbers : int array (n_images,)
        Present labels, which index `names`; -1 is none.
    names : sequence of str
    shown : int array (n_shown,)
        Rows of the images that the page shows, in its order.
    file : LabelFile
    digests : uint8 array (n_known, 32)
        Of the contents of the first images.
    columns : mapping of str to array (n_images,), optional
        Further columns that the table keeps; None is missing, and so is NaN.
    """
    others = np.setdiff1d(np.flatnonzero(np.asarray(numbers) >= 0), shown)
    n_beyond = len(others) if len(shown) + len(others) > _MOST_ROWS else 0
    rows = np.concatenate([shown, others[: len(others) - n_beyond]]).astype(np.intp)
    return Labelling(
        file=file.name,
        column=file.column,
        paths=paths(rows),
        given=np.asarray(numbers)[rows].tolist(),
        names=list(names),
        command=shlex.join([*_without_labels(file.command), "--labels", file.name]),
        columns={kind: [_text(value) for value in values[rows].tolist()] for kind, values in (columns or {}).items()},
        n_beyond=n_beyond,
        contents=sha256(digests[rows[rows < len(digests)]].tobytes()).hexdigest(),
    )


def _text(value: Any) -> str | None:
    return None if pd.isna(value) else str(value)


def _without_labels(command: Sequence[str]) -> list[str]:
    words = list(command)
    if "--labels" in words:
        at = words.index("--labels")
        del words[at : at + 2]
    return words
