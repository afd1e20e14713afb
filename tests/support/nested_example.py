"""A head that writes down which images it was fitted on and which it was asked about, and a cache of many taps."""

import json
import uuid
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from support.synthetic_cache import ABOUT, key_of, relist

from headstart.extractors.cache.cache import EmbeddingCache


class Spy(ClassifierMixin, BaseEstimator):
    """A classifier for features whose first column numbers the images; the others do not matter to it."""

    def __init__(self, folder: Path, number: int = 0):
        self.folder = folder
        self.number = number

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        self.file_ = Path(self.folder) / f"{uuid.uuid4()}.jsonl"  # files, since what goes into a job is a copy
        self._write(X)
        return self

    def predict(self, X):
        self._write(X)
        return self.classes_[(X[:, 0].astype(int) + self.number) % len(self.classes_)]

    def _write(self, X):
        with self.file_.open("a") as file:
            file.write(json.dumps(X[:, 0].astype(int).tolist()) + "\n")


def seen_by_spies(folder: Path) -> list[tuple[frozenset[int], frozenset[int]]]:
    """Return the images that each spy was fitted on, and those that it was asked about."""
    found = []
    for file in sorted(folder.glob("*.jsonl")):
        fitted, *asked = map(json.loads, file.read_text().splitlines())
        found.append((frozenset(fitted), frozenset(image for each in asked for image in each)))
    return found


def many_taps(folder: Path, taps: dict[str, np.ndarray], labels: Sequence[str]) -> Path:
    """Make a cache of images with several embeddings each, which are arrays (n_images, n_features) of your choice."""
    images = folder / "images"
    for number, label in enumerate(labels):
        path = images / label / f"{number:05d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(f"image {number}".encode())
    cache = EmbeddingCache(folder / "images.headstart", create=True)
    listed = relist(cache, images).usable
    order = listed["path"].str.extract(r"(\d+)\.png")[0].astype(int).to_numpy()
    store = cache.store(key_of({tap: features.shape[1:] for tap, features in taps.items()}))
    store.create(ABOUT | {"versions": {}})
    raw = np.frombuffer(bytes.fromhex("".join(listed["digest"])), np.uint8).reshape(-1, 32)
    store.seal(raw, {tap: features[order].astype(np.float32) for tap, features in taps.items()})
    return cache.path
