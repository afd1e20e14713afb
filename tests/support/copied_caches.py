"""Caches that many tests begin with, as fixtures for their conftest.py: each is made once, and copied."""

from collections.abc import Callable
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
from conftest import CLASSES, draw

from headstart.flows.extraction.job import extract


@pytest.fixture(scope="session")
def made_caches(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A folder with photographs as `photos` draws them, and the caches of them that there are, by their options."""
    folder = tmp_path_factory.mktemp("embedded")
    for label, name in enumerate(CLASSES):
        for number in range(12):
            draw(folder / "photos" / name / f"{number:02d}.png", label, seed=100 * label + number)
    return folder, {}


@pytest.fixture
def embedded(made_caches: tuple[Path, dict[str, str]], tmp_path: Path) -> Callable[..., Path]:
    """Make the cache that `embed` would make of `photos`, for a test that leaves these as they are."""
    folder, caches = made_caches

    def embed(**options: Any) -> Path:
        asked = repr(sorted(options.items()))
        if asked not in caches:
            given = {"weights": "none", "cache": folder / f"cache-{len(caches)}", "precision": "fp32"}
            caches[asked] = extract(folder / "photos", "small_cnn", **(given | options)).cache
        return copytree(caches[asked], tmp_path / "cache")

    return embed
