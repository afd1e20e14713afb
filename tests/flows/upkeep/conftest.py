"""A small cache that is harmed and mended."""

from collections.abc import Callable
from typing import Any

import pytest

import headstart.extractors.extraction.extraction
from headstart.extractors.cache.cache import EmbeddingCache, EmbeddingStore

Embed = Callable[..., Any]


@pytest.fixture
def store(embed: Embed, monkeypatch: pytest.MonkeyPatch) -> EmbeddingStore:
    """Thirty-six photos in three shards."""
    monkeypatch.setattr(headstart.extractors.extraction.extraction, "_SHARD_ROWS", 12)
    (store,) = EmbeddingCache(embed().cache).stores()
    return store
