"""Training of a tail, kept in a file of the results folder after each epoch."""

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from headstart.extractors.atomic import write_atomically
from headstart.heads.finetuning import Arrays


@dataclass(frozen=True)
class KeptTraining:
    """File of arrays, replaced as a whole; it holds no pickle.

    Attributes
    ----------
    path : Path
    identity : str
        Of the rows that are trained on: a file of others is as good as none.
    """

    path: Path
    identity: str

    def load(self) -> Arrays | None:
        """Return the last state that was kept; None where there is none, or of other rows, or the file is damaged."""
        try:
            with self.path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):  # it only saves work
            return None
        return arrays if str(arrays.pop("identity", "")) == self.identity else None

    def save(self, arrays: Arrays) -> None:
        """Replace the file.

        Raises
        ------
        CacheError
            It cannot be written.
        """
        content = io.BytesIO()
        np.savez(content, **{**arrays, "identity": np.array(self.identity)})  # type: ignore[arg-type]  # numpy's own keyword is a bool
        write_atomically(self.path, content.getvalue())
