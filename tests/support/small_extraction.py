"""An extraction of the tiny backbone, in float32 and batches of four."""

from pathlib import Path
from typing import Any

import numpy as np

from headstart.extractors.backbones.registry import load_backbone
from headstart.extractors.cache.cache import EmbeddingCache
from headstart.extractors.extraction.extraction import Extraction, Settings
from headstart.extractors.images.sources import list_images
from headstart.extractors.listing.cache_listing import CacheListing
from headstart.extractors.listing.update import update_listing
from headstart.extractors.network.taps import Tap

SETTINGS = Settings(precision="fp32", device="cpu", batch_size=4, workers=2)


def listed(cache: EmbeddingCache, folder: Path | str) -> CacheListing:
    return update_listing(cache, list_images(folder), workers=2)


def opened(cache: EmbeddingCache, folder: Path | str, settings: Settings = SETTINGS, **backbone: Any) -> Extraction:
    loaded = load_backbone("small_cnn", **({"weights": "none"} | backbone))
    return Extraction(cache, listed(cache, folder), loaded, [Tap()], settings, weights_source="none")


def run(extraction: Extraction) -> int:
    return sum(result.embedded for result in extraction.run())


def features(extraction: Extraction) -> dict[str, bytes]:
    digests = extraction.listing.distinct["digest"].tolist()
    return {
        digest: row.tobytes()
        for digest, row in zip(digests, np.asarray(extraction.store.view("penultimate", digests)), strict=True)
    }
