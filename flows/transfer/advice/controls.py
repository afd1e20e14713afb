"""Controls of transfer: raw pixels and random weights, in the cache or embedded on the way."""

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from headstart.extractors.backbones import resolve_backbone
from headstart.extractors.cache import EmbeddingCache
from headstart.extractors.listing import read_listing
from headstart.extractors.spec import PENULTIMATE, Settings, Tap
from headstart.flows.extraction import open_extraction, quarantine, run_shards
from headstart.flows.output import nearby, show_line
from headstart.flows.problem import Embedded
from headstart.flows.transfer.advice.layers import CONTROLS, Kind

if TYPE_CHECKING:  # it loads torch
    from headstart.extractors.extraction import ShardResult

MOST_EMBEDDED = 2000
"""Images that are embedded without being asked: a minute or two of most networks."""


def embed_controls(
    cache: EmbeddingCache, network: Embedded, lacking: Collection[Kind], *, progress: bool
) -> tuple[list[str], list[str]]:
    """Embed the controls that a cache lacks of its images, where these are at hand and few; returns keys and notes.

    Random weights are those of the same network, read in the same layers on the same pixels.
    """
    listing = read_listing(cache)
    n_images, root = len(listing.distinct), listing.root
    if not isinstance(root, Path) or not root.exists():
        return [], [f"no {' and no '.join(lacking)} to compare with, and the images are not at {root}"]
    if n_images > MOST_EMBEDDED:
        return [], [f"no {' and no '.join(lacking)} to compare with: {n_images} images are not embedded unasked"]
    keys, notes = [], []
    for kind in (one for one in CONTROLS if one in lacking):
        backbone, taps, settings = "raw_pixels", [Tap.parse(PENULTIMATE)], Settings()
        if kind == "random weights":
            if resolve_backbone(network.backbone)[0] == "callable":
                notes.append(f"no random weights to compare with: {network.backbone} is code, which is not run here")
                continue
            key = network.store.key
            backbone, taps, settings = key.backbone, [Tap.parse(tap) for tap in key.taps], Settings.for_key(key)
        if progress:
            show_line(f"the cache lacks {kind}, a control: {backbone} is extracted from {nearby(str(root))}, once")
        extraction = open_extraction(cache, listing, backbone, "none", taps, settings)
        results: list[ShardResult] = []
        try:
            run_shards(extraction, results, progress=progress)
        finally:
            quarantine(cache, listing, results)
        keys.append(extraction.store.key.id)
    return keys, notes
