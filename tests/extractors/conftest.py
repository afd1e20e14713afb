"""What the tests of image sets, of listings and of extractions share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import headstart.extractors.extraction.extraction
import headstart.extractors.listing.update
from headstart.extractors.cache.cache import EmbeddingCache

Tree = Callable[..., Path]


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """Write files with a few bytes each; a listing does not open them."""

    def write(*paths: str, root: str = "pictures") -> Path:
        for path in paths:
            file = tmp_path / root / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(f"content of {path}".encode("utf-8", "surrogateescape"))
        (tmp_path / root).mkdir(exist_ok=True)
        return tmp_path / root

    return write


@pytest.fixture
def read_paths(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths that a listing reads, in order."""
    paths: list[str] = []
    original = headstart.extractors.listing.update.digest_bytes

    def recording(root: Path, source: Any) -> str:
        paths.append(source.path)
        return original(root, source)

    monkeypatch.setattr(headstart.extractors.listing.update, "digest_bytes", recording)
    return paths


@pytest.fixture
def cache(tmp_path: Path) -> EmbeddingCache:
    return EmbeddingCache(tmp_path / "cache", create=True)


@pytest.fixture
def short_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shards of ten rows."""
    monkeypatch.setattr(headstart.extractors.extraction.extraction, "_SHARD_ROWS", 10)
