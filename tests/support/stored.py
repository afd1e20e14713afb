"""A small cache, and what lies in it."""

import numpy as np

from headstart.extractors.cache.cache import EmbeddingCache, EmbeddingStore
from headstart.extractors.listing.cache_listing import read_listing


def cache_of(store: EmbeddingStore) -> EmbeddingCache:
    return EmbeddingCache(store.path.parent.parent)


def features(store: EmbeddingStore) -> bytes:
    digests = sorted(read_listing(cache_of(store)).distinct["digest"])
    return np.asarray(store.view("penultimate", digests)).tobytes()


def content(store: EmbeddingStore) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in cache_of(store).path.rglob("*") if path.is_file()}
