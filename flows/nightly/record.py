"""Record of what the last completed night saw and left, kept beside the results: the next night compares with it.

It is one file, replaced as a whole and at the very end. A night that fails or is killed leaves it as it was, so that
the next one sees everything that changed since the last night that was told to somebody.
"""

import io
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import TypeAdapter

from headstart.extractors.atomic import make_folder, write_atomically
from headstart.extractors.cache import UNREADABLE
from headstart.extractors.errors import CacheError, refuse_passing_fault
from headstart.flows.history import FORMAT_VERSION, Run
from headstart.flows.nightly.changes import SEEN_COLUMNS
from headstart.flows.nightly.classes import Classes
from headstart.flows.nightly.inputs import Inputs
from headstart.flows.output import plain

RECORD_FILE = "night.parquet"

_METADATA = b"headstart"


@dataclass(frozen=True)
class NightRecord:
    """Record of what a night saw and left.

    Attributes
    ----------
    seen : DataFrame
        `flows.nightly.changes.SEEN_COLUMNS` of every listed image.
    inputs : dict of str to FitInputs
        What the fits went by, by their names.
    runs : dict of str to Run
        The last run of every fit, by its name.
    classes : dict of str to dict of str to int
        The classes that each model knows; none in a record of before they were kept.
    """

    seen: pd.DataFrame
    inputs: Inputs = field(default_factory=dict)
    runs: dict[str, Run] = field(default_factory=dict)
    classes: Classes = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """Replace the record in a results folder.

        Raises
        ------
        CacheError
            The folder cannot be written.
        """
        about = {
            "format_version": FORMAT_VERSION,
            "inputs": plain(self.inputs),
            "runs": {name: run.as_line() for name, run in self.runs.items()},
            "classes": self.classes,
        }
        table = pa.Table.from_pandas(self.seen[list(SEEN_COLUMNS)], preserve_index=False)
        buffer = io.BytesIO()
        metadata = {**table.schema.metadata, _METADATA: json.dumps(about).encode()}
        pq.write_table(table.replace_schema_metadata(metadata), buffer, compression="zstd", write_page_checksum=True)
        make_folder(folder)
        write_atomically(folder / RECORD_FILE, buffer.getvalue())

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """Read the record of a results folder; None where no night was completed there.

        Raises
        ------
        CacheError
            It is damaged, or of another format.
        """
        path = folder / RECORD_FILE
        if not path.exists():
            return None
        try:
            table = pq.read_table(pa.BufferReader(path.read_bytes()), page_checksum_verification=True)
            about = json.loads(table.schema.metadata[_METADATA])
            if about["format_version"] != FORMAT_VERSION:
                raise ValueError(f"format {about['format_version']}, expected {FORMAT_VERSION}")
            runs = {name: Run.from_line(line.encode()) for name, line in about["runs"].items()}
            inputs = TypeAdapter(Inputs).validate_python(about["inputs"])
            classes = TypeAdapter(Classes).validate_python(about.get("classes", {}))
            seen = table.to_pandas()[list(SEEN_COLUMNS)]
        except (*UNREADABLE, pa.ArrowException) as error:
            refuse_passing_fault(path, error)
            raise CacheError(
                f"{path}: cannot be read ({error}); delete it, and the next night is taken for the first"
            ) from error
        return cls(seen, inputs, runs, classes)
