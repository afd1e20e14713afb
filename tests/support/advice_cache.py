"""A cache with several networks on a few layers each, whose rows are made so that the right advice is known."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from support.array_cache import list_images
from support.synthetic_cache import ABOUT, key_of

EARLY, LAST = "features.4:avg", "penultimate"
LEARNED, RANDOM, PIXELS = "headstart/small_cnn", "random", "headstart/raw_pixels"
Networks = Mapping[str, Mapping[str, np.ndarray]]


def advice_cache(folder: Path, labels: Sequence[str], networks: Networks) -> Path:
    """Fill a cache: for each network, by its backbone or as random weights of the learned one, rows of each layer."""
    cache, raw = list_images(folder, labels)
    for name, layers in networks.items():
        random = name == RANDOM
        key = key_of({tap: rows.shape[1:] for tap, rows in layers.items()}, backbone=LEARNED if random else name)
        store = cache.store(replace(key, weights="sha256:bb") if random else key)
        source = "none" if name in (RANDOM, PIXELS) else "encoder.safetensors"
        store.create(ABOUT | {"versions": {}, "weights_source": source, "weights_name": source})
        store.seal(raw, {tap: rows.astype(np.float32) for tap, rows in layers.items()})
    return cache.path


def telling(classes: np.ndarray, apart: float, seed: int, columns: int = 6) -> np.ndarray:
    """Rows whose classes lie so many standard deviations apart, each in a direction of its own."""
    rows = np.random.default_rng(seed).normal(size=(len(classes), columns))
    rows[np.arange(len(classes)), classes % columns] += apart
    return rows
