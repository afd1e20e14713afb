"""Which precision a run computes in: bf16 where it is fast and shown, on real images, to agree with float32."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from extractors.atomic import errors_explained, write_atomically
from extractors.backbone import Backbone
from extractors.cache_listing import CacheListing
from extractors.engine import decode_ahead
from extractors.errors import NotReadError, UnreadableImage
from extractors.forward import ForwardPass
from extractors.images import image_sources
from extractors.precision import LOWEST_COSINE, compare_features
from extractors.taps import Tap

_FILE = "fidelity.json"


@dataclass(frozen=True)
class Fidelity:
    """How near a reduced precision came to float32 on the first batch.

    Attributes
    ----------
    cosine : float
        Lowest cosine similarity over images and taps.
    relative_error : float
        Largest ‖exact − reduced‖ / ‖exact‖ over images and taps.
    n_images : int
        Images compared.
    """

    cosine: float
    relative_error: float
    n_images: int

    @property
    def accepted(self) -> bool:
        """Whether the reduced precision may be used unasked."""
        return self.cosine >= LOWEST_COSINE

    def write(self, folder: Path) -> None:
        """Keep the comparison beside the rows it speaks of, so that the next run decides alike without measuring."""
        with errors_explained(folder):
            folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / _FILE, json.dumps(asdict(self)).encode())


def recorded_fidelity(folder: Path) -> Fidelity | None:
    """Read what `Fidelity.write` kept; None where nothing was measured yet."""
    path = folder / _FILE
    return Fidelity(**json.loads(path.read_text())) if path.exists() else None


def measure_fidelity(
    backbone: Backbone,
    taps: Sequence[Tap],
    listing: CacheListing,
    *,
    device: torch.device,
    batch_size: int,
    workers: int,
) -> Fidelity | None:
    """Embed the first readable images in float32 and in bf16 and compare; None where no image can be read."""
    rows = listing.distinct.head(2 * batch_size)
    listed = zip(image_sources(rows), rows["digest"], strict=True)
    decoded = decode_ahead(listing.root, listed, backbone.preprocessing, workers=workers, ahead=batch_size)
    readable = (image for image in decoded if not isinstance(image, UnreadableImage | NotReadError))
    images = list(islice(readable, batch_size))
    if not images:
        return None
    exact, reduced = (
        ForwardPass(backbone, taps, device=device, precision=precision, batch_size=batch_size)(np.stack(images))
        for precision in ("fp32", "bf16")
    )
    comparison = compare_features(exact, reduced).values()
    return Fidelity(
        cosine=min(tap["cosine"] for tap in comparison),
        relative_error=max(tap["relative_error"] for tap in comparison),
        n_images=len(images),
    )
