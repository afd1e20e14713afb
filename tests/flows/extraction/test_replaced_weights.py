"""Weights are known by what lies in their file: when it is replaced, the backbone is loaded and embedded with."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.reruns import LONG_AGO, of_the_key

Embed = Callable[..., Any]


def save_weights(path: Path, seed: int) -> Path:
    from headstart.extractors.backbones.registry import load_backbone
    from headstart.extractors.pretraining.supervised import save_encoder

    save_encoder(load_backbone("small_cnn", weights="none", seed=seed).module, path)
    return path


@pytest.mark.usefixtures("at_rest")
def test_weights_that_were_replaced_under_the_same_name_are_loaded_and_embedded_with(
    embed: Embed, photos: Path, tmp_path: Path, opened: list[str]
) -> None:
    file = save_weights(tmp_path / "encoder.safetensors", seed=1)
    os.utime(file, (LONG_AGO, LONG_AGO))
    (first,) = embed(weights=str(file)).keys
    (again,) = embed(weights=str(file)).keys
    assert (again.embedded, *of_the_key(again)) == (0, *of_the_key(first))
    assert len(opened) == 1
    size = file.stat().st_size
    save_weights(file, seed=2)
    os.utime(file, (LONG_AGO, LONG_AGO))  # only the time of the inode tells
    assert file.stat().st_size == size
    (second,) = embed(weights=str(file)).keys
    assert (second.embedded, len(opened)) == (36, 2)
    assert first.id != second.id


@pytest.mark.usefixtures("at_rest")
def test_weights_are_known_by_their_file_from_whichever_folder(
    embed: Embed, photos: Path, elsewhere: Path, opened: list[str]
) -> None:
    file = save_weights(elsewhere / "encoder.safetensors", seed=1)
    embed(weights=str(file))
    embed(weights="encoder.safetensors")
    assert len(opened) == 1


def test_weights_that_have_just_been_written_are_not_relied_on(
    embed: Embed, photos: Path, tmp_path: Path, opened: list[str]
) -> None:
    file = save_weights(tmp_path / "encoder.safetensors", seed=1)
    for _ in range(2):
        embed(weights=str(file))
    assert len(opened) == 2


def test_a_backbone_of_your_own_is_always_opened(
    embed: Embed, photos: Path, elsewhere: Path, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (elsewhere / "own_backbone.py").write_text(
        "from headstart.extractors.backbones.own_models import Pixels as build\n"
    )
    monkeypatch.syspath_prepend(elsewhere)
    embed(backbone="own_backbone:build", weights="default")
    embed(backbone="own_backbone:build", weights="default")
    assert opened == ["own_backbone:build"] * 2
