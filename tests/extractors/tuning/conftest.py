"""Fixtures of tests that prepare a forward pass: its first images, seconds that are counted, what is compiled."""

from pathlib import Path
from typing import Any

import pytest
import torch

import headstart.extractors.tuning.preparation
from headstart.extractors.backbones.registry import load_backbone
from headstart.extractors.cache.cache import EmbeddingCache
from headstart.extractors.images.sources import list_images
from headstart.extractors.listing.update import update_listing
from headstart.extractors.network.forward import ForwardPass
from headstart.extractors.spec.tap import Tap
from headstart.extractors.tuning.first_images import FirstImages


@pytest.fixture
def first(photos: Path, tmp_path: Path) -> FirstImages:
    listing = update_listing(EmbeddingCache(tmp_path / "cache", create=True), list_images(photos), workers=1)
    return FirstImages(load_backbone("small_cnn", weights="none"), [Tap()], listing, torch.device("cpu"), 1)


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """An image counts as 5 ms."""
    monkeypatch.setattr(headstart.extractors.tuning.preparation, "seconds_of", lambda *_: 0.005)


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Forward passes as they are asked for, compiled or not; they run uncompiled."""
    asked: list[bool] = []

    def make(*arguments: Any, compiled: bool, **options: Any) -> ForwardPass:
        asked.append(compiled)
        return ForwardPass(*arguments, **options)

    monkeypatch.setattr(headstart.extractors.tuning.preparation, "ForwardPass", make)
    return asked
