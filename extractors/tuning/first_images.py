"""The first images of a listing, on which the ways to compute are compared before all others follow."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch

from headstart.extractors.arrays import Array
from headstart.extractors.backbones import Backbone
from headstart.extractors.decoding import Decoding, decode_images, is_reduced
from headstart.extractors.errors import NotReadError, UnreadableImage
from headstart.extractors.images import ImageSource, image_sources, read_bytes
from headstart.extractors.listing import CacheListing
from headstart.extractors.network import ForwardPass
from headstart.extractors.spec import Colour, Decode, Range, Tap, Whole
from headstart.extractors.stages import StageTimes
from headstart.extractors.tuning.fidelity import Fidelity, compare_features

N_COMPARED = 8
_LOOKED_AT_AT_ONCE = 16
_LARGEST_LOOKED_AT = 64  # of the largest files, some may be no JPEGs, or unreadable


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
    ends, colour
        As the key has them, of which they are `range` and `colour`.
    """

    backbone: Backbone
    taps: Sequence[Tap]
    listing: CacheListing
    device: torch.device
    workers: int
    ends: Whole | Range = "whole"
    colour: Colour = "as-stored"
    _decoded: dict[Decode, Array] = field(default_factory=dict, repr=False)

    @cached_property
    def whole(self) -> Array:
        """Fully decoded, uint8 (n_images, height, width, 3); there may be none."""
        return self.decoded("full")

    def decoded(self, decode: Decode) -> Array:
        """Decode the first readable images in any way."""
        if decode not in self._decoded:
            self._decoded[decode] = self._pixels(self._readable, decode)
        return self._decoded[decode]

    @cached_property
    def _readable(self) -> dict[int, Array]:
        """The first images that can be read, by their place among the distinct ones, fully decoded."""
        found: dict[int, Array] = {}
        n_distinct = len(self.listing.distinct)
        for begin in range(0, n_distinct, _LOOKED_AT_AT_ONCE):
            found |= self._decode(range(begin, min(begin + _LOOKED_AT_AT_ONCE, n_distinct)), "full")
            if len(found) >= N_COMPARED:
                break
        return dict(list(found.items())[:N_COMPARED])

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
        """Compare a way to decode with full decoding, on the largest files that it changes, in plain float32."""
        largest = np.argsort(-self.listing.distinct["bytes"].to_numpy(), kind="stable")
        whole: list[Array] = []
        other: list[Array] = []
        for begin in range(0, min(len(largest), _LARGEST_LOOKED_AT), _LOOKED_AT_AT_ONCE):
            places = largest[begin : min(begin + _LOOKED_AT_AT_ONCE, _LARGEST_LOOKED_AT)].tolist()
            full = self._decode(self._reduced(places) if decode == "draft" else places, "full")
            for one, two in zip(full.values(), self._pixels(full, decode), strict=True):
                if not np.array_equal(one, two):
                    whole.append(one)
                    other.append(two)
            if len(whole) >= N_COMPARED:
                break
        if not whole:
            return Fidelity({}, 0)
        return compare_features(*(self.plain(np.stack(images[:N_COMPARED])) for images in (whole, other)))

    def _reduced(self, places: Sequence[int]) -> list[int]:
        """Return the images that ``draft`` decodes at a fraction of their size: most sets have none, which is cheap."""

        def one(source: ImageSource) -> bool:
            try:
                return is_reduced(read_bytes(self.listing.root, source), self.backbone.preprocessing)
            except (UnreadableImage, NotReadError, MemoryError):
                return False  # its reason is given when it is embedded

        sources = image_sources(self.listing.distinct.iloc[list(places)])
        with ThreadPoolExecutor(self.workers, thread_name_prefix="look") as pool:
            return [place for place, large in zip(places, pool.map(one, sources), strict=True) if large]

    def _pixels(self, whole: dict[int, Array], decode: Decode) -> Array:
        """Decode images in another way, too, (n_images, height, width, 3); what that cannot read stays as it is."""
        if not whole:
            return np.empty((0, *self.backbone.preprocessing.crop, 3), np.uint8)
        again = whole if decode == "full" else whole | self._decode(list(whole), decode)
        return np.stack([again[place] for place in whole])

    def _decode(self, places: Sequence[int], decode: Decode) -> dict[int, Array]:
        rows = self.listing.distinct.iloc[list(places)]
        decoding = Decoding(
            preprocessing=self.backbone.preprocessing,
            decode=decode,
            workers=self.workers,
            range=self.ends,
            colour=self.colour,
        )
        listed = zip(image_sources(rows), rows["digest"], strict=True)
        decoded = decode_images(self.listing.root, listed, decoding, self.device, N_COMPARED, StageTimes())
        return {
            place: torch.as_tensor(image).cpu().numpy()
            for place, image in zip(places, decoded, strict=True)
            if not isinstance(image, UnreadableImage | NotReadError)
        }


def embed_all(forward: ForwardPass, images: Array) -> dict[str, Array]:
    """Embed any number of images, batch by batch."""
    size = forward.batch_size
    parts = [forward(images[first : first + size]) for first in range(0, len(images), size)]
    return {tap: np.concatenate([part[tap] for part in parts]) for tap in parts[0]}
