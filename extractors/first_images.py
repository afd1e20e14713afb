"""The first images of a listing, on which the ways to compute are compared before all others follow."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import torch

from extractors.backbone import Backbone
from extractors.cache_listing import CacheListing
from extractors.errors import NotReadError, UnreadableImage
from extractors.fidelity import Fidelity, compare_features
from extractors.forward import ForwardPass
from extractors.images import image_sources
from extractors.key import Decode
from extractors.prefetch import Decoding, decode_images
from extractors.shards import Array
from extractors.stages import StageTimes
from extractors.tap import Tap

if TYPE_CHECKING:
    import pandas as pd

N_COMPARED = 8


@dataclass(frozen=True)
class FirstImages:
    """A few images of a listing, decoded and embedded when they are first asked for.

    Attributes
    ----------
    backbone, taps, device
        What embeds them.
    listing : CacheListing
        Its first readable images are taken.
    workers : int
        Decoding threads.
    """

    backbone: Backbone
    taps: Sequence[Tap]
    listing: CacheListing
    device: torch.device
    workers: int
    _decoded: dict[Decode, Array] = field(default_factory=dict, repr=False)

    @cached_property
    def whole(self) -> Array:
        """Fully decoded, uint8 (n_images, height, width, 3); there may be none."""
        return self.decoded("full")

    def decoded(self, decode: Decode) -> Array:
        """Decode the first images in any way; only as many as can be read."""
        if decode not in self._decoded:
            self._decoded[decode] = self._decode(self.listing.distinct.head(4 * N_COMPARED), decode)
        return self._decoded[decode]

    @cached_property
    def reference(self) -> dict[str, Array]:
        """Features of `whole` in float32 without any shortcut, by tap."""
        return self.plain(self.whole)

    def plain(self, images: Array) -> dict[str, Array]:
        """Embed in float32 without any shortcut."""
        forward = ForwardPass(
            self.backbone, self.taps, device=self.device, precision="fp32", batch_size=N_COMPARED, plain=True
        )
        return forward(images)

    def compare(self, forward: ForwardPass, decode: Decode) -> Fidelity:
        """Compare what a run would do with the plain network."""
        return compare_features(self.reference, embed_all(forward, self.decoded(decode)))

    def compare_decoding(self, decode: Decode) -> Fidelity:
        """Compare a way to decode with full decoding, on the largest files, in plain float32."""
        largest = self.listing.distinct.nlargest(N_COMPARED, "bytes")
        whole, other = (self._decode(largest, one) for one in ("full", decode))
        changed = [row for row in range(len(whole)) if not np.array_equal(whole[row], other[row])]
        if not changed:
            return Fidelity({}, 0)
        return compare_features(self.plain(whole[changed]), self.plain(other[changed]))

    def _decode(self, rows: "pd.DataFrame", decode: Decode) -> Array:
        preprocessing = self.backbone.preprocessing
        decoding = Decoding(preprocessing=preprocessing, decode=decode, workers=self.workers)
        listed = list(zip(image_sources(rows), rows["digest"], strict=True))
        decoded = decode_images(self.listing.root, listed, decoding, self.device, N_COMPARED, StageTimes())
        readable = (image for image in decoded if not isinstance(image, UnreadableImage | NotReadError))
        images = [torch.as_tensor(image).cpu().numpy() for image in islice(readable, N_COMPARED)]
        return np.stack(images) if images else np.empty((0, *preprocessing.crop, 3), np.uint8)


def embed_all(forward: ForwardPass, images: Array) -> dict[str, Array]:
    """Embed any number of images, batch by batch."""
    size = forward.batch_size
    parts = [forward(images[first : first + size]) for first in range(0, len(images), size)]
    return {tap: np.concatenate([part[tap] for part in parts]) for tap in parts[0]}
