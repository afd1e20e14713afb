"""Pixels of an image set, decoded once, as an extraction would decode them: what cannot be read is in quarantine."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from headstart.extractors.atomic import errors_explained
from headstart.extractors.backbones import Backbone
from headstart.extractors.cache import EmbeddingCache
from headstart.extractors.decoding import Decoding, decode_images
from headstart.extractors.errors import NotReadError, UnreadableImage
from headstart.extractors.extraction import ShardResult
from headstart.extractors.images import image_sources
from headstart.extractors.listing import CacheListing
from headstart.extractors.pretraining import Images
from headstart.extractors.spec import PENULTIMATE, EmbeddingKey, Settings
from headstart.extractors.stages import StageTimes
from headstart.extractors.tuning import settle_pixels
from headstart.flows.extraction import quarantine
from headstart.flows.output import progress_bar

_AT_ONCE = 16


@dataclass(frozen=True)
class Decoded:
    """Images as a network sees them, each content once, and what a person should know of them."""

    pixels: npt.NDArray[np.uint8]
    digests: list[str]
    listing: CacheListing
    notes: list[str]


@contextmanager
def decoded_images(
    cache: EmbeddingCache,
    listing: CacheListing,
    backbone: Backbone,
    settings: Settings,
    folder: Path,
    *,
    progress: bool,
) -> Iterator[Decoded]:
    """Decode the images of a listing into a file of `folder` that has no name and goes with the process.

    Raises
    ------
    CacheError
        The disk has no room for them.
    """
    plain = EmbeddingKey(
        backbone=backbone.name,
        weights=backbone.weights,
        taps=(PENULTIMATE,),
        preprocessing=backbone.preprocessing,
    )
    key, notes = settle_pixels(plain, settings, listing, cache.path)
    distinct, n_kept_out = _to_learn_from(listing)
    if n_kept_out:
        notes = [*notes, f"{n_kept_out} images of val and test are not learned from"]
    shape = len(distinct), *backbone.preprocessing.crop, 3
    with errors_explained(folder), tempfile.TemporaryFile(dir=folder) as file:
        if not len(distinct):
            yield Decoded(np.empty(shape, np.uint8), [], listing, notes)
            return
        os.posix_fallocate(file.fileno(), 0, int(np.prod(shape)))  # a full disk would end the process later on
        pixels = np.memmap(file, np.uint8, "r+", shape=shape)
        decoding = Decoding(
            preprocessing=backbone.preprocessing, workers=settings.n_workers, range=key.range, colour=key.colour
        )
        listed = list(zip(image_sources(distinct), distinct["digest"].tolist(), strict=True))
        result, digests = ShardResult(0, {}, {}), list[str]()
        found = decode_images(listing.root, listed, decoding, torch.device("cpu"), _AT_ONCE, StageTimes())
        with progress_bar("decoding", len(listed), show=progress) as advance:
            for (source, digest), image in zip(listed, found, strict=True):
                if isinstance(image, UnreadableImage):
                    result.unreadable[digest] = str(image)
                elif isinstance(image, NotReadError):
                    result.not_read[source.path] = str(image)
                else:
                    pixels[len(digests)] = np.asarray(image)
                    digests.append(digest)
                advance(1)
        listing = quarantine(cache, listing, [result])
        yield Decoded(pixels[: len(digests)], digests, listing, notes)


def _to_learn_from(listing: CacheListing) -> tuple[pd.DataFrame, int]:
    """Return the images that no fit is scored on, each content once, and how many the others are."""
    distinct = listing.distinct
    scored = listing.usable.loc[listing.usable["split"].isin(["val", "test"]), "digest"]
    kept_out = distinct["digest"].isin(scored)
    return distinct[~kept_out], int(kept_out.sum())


def divide(decoded: Decoded, held_out: float, seed: int) -> Images:
    """Divide images into those to learn from and those that only measure, by content: order and names say nothing."""
    by_content = np.argsort(np.array(decoded.digests, dtype=object), kind="stable")
    order = np.random.default_rng([seed, len(by_content)]).permutation(by_content)
    n_held = max(1, round(held_out * len(order)))
    return Images(decoded.pixels, np.sort(order[n_held:]), np.sort(order[:n_held]))
