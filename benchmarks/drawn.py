"""The drawn embeddings that `bench_sweep.py` and `gpu_sweeps.py` sweep over, and a cache of them."""

from pathlib import Path
from typing import Any

import numpy as np


def make_embeddings(n_images: int, n_features: int, n_classes: int, seed: int = 0) -> tuple[Any, Any]:
    """Return float32 features (n_images, n_features) and classes (n_images,)."""
    draw = np.random.default_rng(seed)
    n_directions = min(64, n_features)
    y = draw.integers(n_classes, size=n_images)
    centres = draw.normal(size=(n_classes, n_directions))
    hidden = centres[y] + 2.2 * draw.normal(size=(n_images, n_directions))
    scales = np.arange(1, n_directions + 1) ** -0.5
    mixing = draw.normal(size=(n_directions, n_features)) / 2 * scales[:, None]
    X = hidden @ mixing + 0.5 * draw.normal(size=(n_images, n_features)) + 0.3
    return np.maximum(X, 0).astype(np.float32), y


def make_cache(folder: Path, n_images: int, n_features: int, n_classes: int) -> Path:
    """Write a cache of these embeddings; its images are a few pixels each."""
    from PIL import Image

    from headstart.extractors.cache import EmbeddingCache
    from headstart.extractors.images import list_images
    from headstart.extractors.listing import update_listing
    from headstart.extractors.spec import EmbeddingKey, Preprocessing

    X, y = make_embeddings(n_images, n_features, n_classes)
    for number, label in enumerate(y):
        path = folder / "images" / f"class {label}" / f"{number:06d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.frombytes("L", (2, 2), number.to_bytes(4, "little")).save(path)
    cache = EmbeddingCache(folder / "cache", create=True)
    rows = update_listing(cache, list_images(folder / "images"), workers=1).distinct
    key = EmbeddingKey(
        backbone="torchvision/resnet18", weights="", taps=("penultimate",), preprocessing=Preprocessing()
    )
    store = cache.store(key)
    about = {"versions": {}, "weights_name": "none", "weights_source": "none"}
    store.create(about | {"shape": {"penultimate": [n_features]}})
    digests = np.frombuffer(bytes.fromhex("".join(rows["digest"])), np.uint8).reshape(-1, 32)
    order = [int(Path(path).stem) for path in rows["path"]]
    for first in range(0, len(order), 512):
        some = slice(first, first + 512)
        store.seal(digests[some], {"penultimate": X[order[some]]})
    return folder / "cache"
