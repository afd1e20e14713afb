"""How the forward pass is run: batch size, compiled or not, threads. It decides the last bits, so it is kept."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import torch

from headstart.extractors.atomic import write_atomically
from headstart.extractors.cache import UNREADABLE
from headstart.extractors.errors import refuse_passing_fault
from headstart.extractors.spec import LARGEST_BATCH, claimed

_FILE = "execution.json"


@dataclass(frozen=True)
class Execution:
    """Choices that decide the bits of a row besides its key, taken up again by the run that goes on.

    Attributes
    ----------
    batch_size : int
        Images a forward pass.
    compiled : bool
        Whether the network was compiled.
    plain : bool
        Whether it ran without any shortcut, since those were too far off.
    device : str
        ``cpu`` or ``cuda``: what is best for one is not for the other.
    threads : int
        Of a forward pass on the CPU.
    in_float32 : tuple of str
        Layers that stayed in float32 beside others in bfloat16, as the key has them.
    images : int
        How many were missing when this was decided: with more, it is decided again.
    notes : tuple of str
        Why it came to be so, for people.
    """

    batch_size: int
    compiled: bool = False
    plain: bool = False
    device: str = "cpu"
    threads: int = 1
    in_float32: tuple[str, ...] = ()
    images: int = 0
    notes: tuple[str, ...] = ()

    def write(self, folder: Path) -> None:
        """Keep it beside the rows."""
        write_atomically(folder / _FILE, json.dumps(asdict(self), indent=1).encode())

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """Read what `write` kept; None where there is nothing.

        Raises
        ------
        UnavailableError
            It cannot be read this time; rows that are computed otherwise would have other bits.
        """
        try:
            found = json.loads((folder / _FILE).read_bytes())
            tuples = {"notes": tuple(found["notes"]), "in_float32": tuple(found.get("in_float32", ()))}
            execution = claimed(cls, found | tuples)
        except UNREADABLE as error:
            refuse_passing_fault(folder / _FILE, error)
            return None  # a file that is damaged is decided anew, and written over
        sound = 0 < execution.batch_size <= LARGEST_BATCH and execution.threads > 0
        return execution if sound else None

    @contextmanager
    def threads_set(self) -> Iterator[None]:
        """Compute with as many threads as were recorded, where the machine has them."""
        before = torch.get_num_threads()
        torch.set_num_threads(min(self.threads, os.cpu_count() or 1))
        try:
            yield
        finally:
            torch.set_num_threads(before)
