"""Training of tails so far, in a file of the results folder: the one in hand by epochs, and folds that are done."""

import hashlib
import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from headstart.extractors.atomic import write_atomically
from headstart.heads.finetuning import Arrays

_FOLD = "fold|"


@dataclass
class KeptTails:
    """File of arrays, replaced as a whole after each epoch; it holds no pickle.

    Attributes
    ----------
    path : Path
    folds : dict of str to float64 ndarray of shape (n_scored, n_classes)
        Probabilities for the images of a fold that a candidate is done with, by a digest of all that decides them. They
        reach the file with the next epoch; of what is lost with a kill before it, the last epoch is at hand.
    """

    path: Path
    folds: dict[str, npt.NDArray[Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folds |= {name: values for name, values in _read(self.path).items() if name.startswith(_FOLD)}

    def of(self, identity: str) -> "KeptTraining":
        """Return the place of a training on some rows: what was kept of others is as good as nothing."""
        return KeptTraining(self, identity)

    def find(self, identity: str) -> npt.NDArray[Any] | None:
        """Return the probabilities of a fold that is done."""
        return self.folds.get(f"{_FOLD}{identity}")

    def keep(self, identity: str, probability: npt.NDArray[Any]) -> None:
        """Keep the probabilities of a fold that is done."""
        self.folds[f"{_FOLD}{identity}"] = probability

    def write(self, arrays: Arrays | None = None) -> None:
        """Replace the file by the folds that are done, and the state of the training in hand, if there is one.

        Raises
        ------
        CacheError
            It cannot be written.
        """
        content = io.BytesIO()
        whole = {**(arrays or {}), **self.folds}
        np.savez(content, **whole)  # type: ignore[arg-type]  # numpy's own keyword is a bool
        write_atomically(self.path, content.getvalue())


@dataclass(frozen=True)
class KeptTraining:
    """Training in hand, a `heads.finetuning.checkpoints.Checkpoint`; `identity` is of the rows that it is on."""

    kept: KeptTails
    identity: str

    def load(self) -> Arrays | None:
        """Return the last state that was kept; None where there is none, or of other rows, or the file is damaged."""
        arrays = {name: values for name, values in _read(self.kept.path).items() if not name.startswith(_FOLD)}
        return arrays if str(arrays.pop("identity", "")) == self.identity else None

    def save(self, arrays: Arrays) -> None:
        """Replace the file.

        Raises
        ------
        CacheError
            It cannot be written.
        """
        self.kept.write({**arrays, "identity": np.array(self.identity)})


def _read(path: Path) -> Mapping[str, npt.NDArray[Any]]:
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):  # it only saves work
        return {}


def digest_of(*parts: object) -> str:
    """Return a digest of values and arrays that decide something."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(np.ascontiguousarray(part).tobytes() if isinstance(part, np.ndarray) else repr(part).encode())
        digest.update(b"|")
    return digest.hexdigest()
