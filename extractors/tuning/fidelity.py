"""How near the features of a run are to those of the plain network in float32, shown on the first images."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np

from headstart.extractors.arrays import Array
from headstart.extractors.atomic import make_folder, write_atomically
from headstart.extractors.cache import UNREADABLE
from headstart.extractors.errors import refuse_passing_fault
from headstart.extractors.spec import claimed
from headstart.extractors.writer_lock import writer_lock

LOWEST_COSINE = 0.999  # below it a shortcut is not taken unasked

_FILE = "fidelity.json"


@dataclass(frozen=True)
class Fidelity:
    """Features with shortcuts against features without, on the same images.

    Attributes
    ----------
    taps : dict
        For each tap the lowest ``cosine`` similarity and the largest ``relative_error`` ‖a − b‖ / ‖a‖ over the images.
    n_images : int
        Images compared; 0 where the shortcut changes none of those looked at.
    """

    taps: dict[str, dict[str, float]]
    n_images: int

    def __post_init__(self) -> None:
        if any(tap.keys() != {"cosine", "relative_error"} for tap in self.taps.values()):
            raise ValueError("a tap has a cosine and a relative error, and nothing else")

    @property
    def cosine(self) -> float:
        """Lowest over the taps."""
        return min((tap["cosine"] for tap in self.taps.values()), default=1.0)

    @property
    def relative_error(self) -> float:
        """Largest over the taps."""
        return max((tap["relative_error"] for tap in self.taps.values()), default=0.0)

    @property
    def accepted(self) -> bool:
        """Whether the shortcut may be taken unasked."""
        return self.cosine >= LOWEST_COSINE


@dataclass(frozen=True)
class MixedFidelity(Fidelity):
    """Features in bfloat16 with some layers in float32, against plain float32.

    Attributes
    ----------
    layers : tuple of str
        Those in float32; none where no choice of them was near enough.
    """

    layers: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "layers", tuple(self.layers))

    @property
    def accepted(self) -> bool:
        """Whether there is such a choice."""
        return bool(self.layers) and super().accepted


@dataclass(frozen=True)
class FidelityRecord:
    """Measurements for a key, kept beside its rows so that the next run decides alike without measuring.

    Attributes
    ----------
    decoding : Fidelity, optional
        The faster decoding against the full one, both in plain float32; decides about it.
    bf16 : Fidelity, optional
        bfloat16 against plain float32; decides about it.
    mixed : MixedFidelity, optional
        The same with the worst layers in float32, where bfloat16 alone was too far off; decides about it.
    features : Fidelity, optional
        All that the last run did against full decoding and plain float32.
    """

    decoding: Fidelity | None = None
    bf16: Fidelity | None = None
    mixed: MixedFidelity | None = None
    features: Fidelity | None = None

    def write(self, folder: Path) -> None:
        """Keep the record in the folder of a key."""
        make_folder(folder)
        write_atomically(folder / _FILE, json.dumps(asdict(self), indent=1).encode())

    def kept(self, folder: Path) -> Self:
        """Keep the record, but for what another run has measured first: that decides for both, or they fill two keys.

        Returns
        -------
        FidelityRecord
            As it is kept.
        """
        if self == self.read(folder):  # a cache that may not be written will do
            return self
        with writer_lock(folder, name="fidelity.lock"):
            first = self.read(folder)
            decoding = first.decoding if first.decoding and first.decoding.n_images else self.decoding
            settled = replace(self, decoding=decoding, bf16=first.bf16 or self.bf16, mixed=first.mixed or self.mixed)
            settled.write(folder)
        return settled

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read what `write` kept; an empty record where nothing was measured, or by an earlier version.

        Raises
        ------
        UnavailableError
            It cannot be read this time; a run that decided otherwise would fill another key.
        """
        try:
            found = json.loads((folder / _FILE).read_bytes())
            mixed = found.pop("mixed", None)
            plain = {name: claimed(Fidelity, value) if value else None for name, value in found.items()}
            return cls(mixed=claimed(MixedFidelity, mixed) if mixed else None, **plain)
        except UNREADABLE as error:
            refuse_passing_fault(folder / _FILE, error)  # otherwise it is measured again
            return cls()


def compare_features(reference: Mapping[str, Array], features: Mapping[str, Array]) -> Fidelity:
    """Compare features with those of the plain network, row by row.

    Parameters
    ----------
    reference, features : mapping of tap to float32 array (n_images, …)
        Of the same images, in the same order.
    """
    taps: dict[str, dict[str, float]] = {}
    for tap, exact in reference.items():
        a = exact.reshape(len(exact), -1).astype(np.float64)
        b = features[tap].reshape(len(exact), -1).astype(np.float64)
        norms = np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=1)
        tiny = np.finfo(np.float64).tiny
        cosine = np.where(norms[0] + norms[1] == 0, 1.0, (a * b).sum(axis=1) / np.maximum(norms[0] * norms[1], tiny))
        relative = np.linalg.norm(a - b, axis=1) / np.maximum(norms[0], tiny)
        taps[tap] = {"cosine": float(cosine.min()), "relative_error": float(relative.max())}
    return Fidelity(taps, len(next(iter(reference.values()))))
