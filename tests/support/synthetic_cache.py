"""A cache with a listing and embeddings that no network made: known numbers, in as many shards as a test wants."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from headstart.extractors.cache.cache import EmbeddingCache, EmbeddingStore
from headstart.extractors.images.sources import list_images
from headstart.extractors.listing.cache_listing import CacheListing
from headstart.extractors.listing.update import update_listing
from headstart.extractors.spec.key import EmbeddingKey
from headstart.extractors.spec.preprocessing import Preprocessing

ABOUT = {
    "weights_name": "IMAGENET1K_V1",
    "weights_source": "default",
    "shape": {},
    "batch_size": 4,
    "versions": {"torch": "2.11"},
}


def make_images(folder: Path, n_images: int) -> None:
    """Write files of two classes that differ in content; nothing here decodes them."""
    for number in range(n_images):
        path = folder / "ab"[number % 2] / f"{number:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(f"image {number}".encode())


def relist(cache: EmbeddingCache, images: Path) -> CacheListing:
    return update_listing(cache, list_images(images), workers=1)


def key_of(shapes: Mapping[str, Sequence[int]], dtype: str = "float32", backbone: str = "torchvision/resnet18") -> Any:
    return EmbeddingKey(
        backbone=backbone, weights="sha256:aa", taps=tuple(shapes), preprocessing=Preprocessing(), dtype=dtype
    )


def features_of(digests: Sequence[str], shape: Sequence[int], dtype: str = "float32") -> np.ndarray:
    """Numbers that follow from the image alone, so that a row of another image is seen at once."""
    seeds = [int(digest[:12], 16) for digest in digests]
    rows = [np.random.default_rng(seed).normal(size=shape) for seed in seeds]
    return np.array(rows, dtype).reshape(len(digests), *shape)


def seal(store: EmbeddingStore, shapes: Mapping[str, Sequence[int]], digests: Sequence[str]) -> Path:
    raw = np.frombuffer(bytes.fromhex("".join(digests)), np.uint8).reshape(-1, 32)
    return store.seal(raw, {tap: features_of(digests, shape, store.key.dtype) for tap, shape in shapes.items()})


def fill(
    folder: Path,
    images: Path,
    *,
    n_rows_a_shard: int,
    shapes: Mapping[str, Sequence[int]] | None = None,
    **key: Any,
) -> tuple[EmbeddingCache, EmbeddingStore]:
    """List `images` in a cache and seal a row for each, so many a shard."""
    shapes = shapes or {"penultimate": (4,)}
    cache = EmbeddingCache(folder, create=True)
    digests = relist(cache, images).distinct["digest"].tolist()
    store = cache.store(key_of(shapes, **key))
    store.create(ABOUT | {"shape": {tap: list(shape) for tap, shape in shapes.items()}})
    for start in range(0, len(digests), n_rows_a_shard):
        seal(store, shapes, digests[start : start + n_rows_a_shard])
    return cache, cache.store(store.key)


def digest_of(number: int) -> str:
    return hashlib.sha256(f"image {number}".encode()).hexdigest()


def flip_bit(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)
