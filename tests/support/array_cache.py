"""A cache whose embeddings are an array of your choice, listed by class folders."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from support.synthetic_cache import ABOUT, key_of, relist

from headstart.extractors.cache.cache import EmbeddingCache


def list_images(
    folder: Path, labels: Sequence[str], sides: Sequence[str] | None = None
) -> tuple[EmbeddingCache, np.ndarray]:
    """Make images whose class is their folder, below train/, val/ and test/ if `sides` says so, and list them.

    Returns the cache, and the digests of the images as bytes.
    """
    images = folder / "images"
    names = []
    for number, label in enumerate(labels):
        path = images / (sides[number] if sides else "") / label / f"{number:05d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(f"image {number}".encode())
        names.append(str(path.relative_to(images)))
    cache = EmbeddingCache(folder / "images.headstart", create=True)
    digests = relist(cache, images).usable.set_index("path")["digest"][names]
    return cache, np.frombuffer(bytes.fromhex("".join(digests)), np.uint8).reshape(-1, 32)


def cache_of(folder: Path, features: np.ndarray, labels: Sequence[str], sides: Sequence[str] | None = None) -> Path:
    """Make images whose class is their folder, list them, and embed them."""
    cache, raw = list_images(folder, labels, sides)
    store = cache.store(key_of({"penultimate": features.shape[1:]}))
    store.create(ABOUT | {"versions": {}})
    store.seal(raw, {"penultimate": features.astype(np.float32)})
    return cache.path
