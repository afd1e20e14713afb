"""What is wrong with pictures is said by the commands that a person looks at: extract and fit."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support.image_bytes import encode

from headstart.flows.extraction.job import extract
from headstart.flows.fitting.job import fit

EMBED = {"precision": "fp32", "device": "cpu", "compile": "off", "workers": 1}


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Four pictures a class, and in each a black one; the two are different files."""
    chance = np.random.default_rng(0)
    for label in ("a", "b"):
        folder = tmp_path / "images" / label
        folder.mkdir(parents=True)
        for number in range(4):
            picture = Image.fromarray(chance.integers(0, 256, (32, 32, 3), np.uint8))
            (folder / f"{number}.png").write_bytes(encode(picture))
        (folder / "black.png").write_bytes(encode(Image.new("RGB", (32, 32)), compress_level=ord(label) % 2 + 1))
    return tmp_path / "images"


def about(notes: list[str]) -> list[str]:
    return [note for note in notes if "one colour" in note or "features that another" in note]


def test_black_pictures_and_equal_rows_are_said_by_extract_and_fit(images: Path, tmp_path: Path) -> None:
    summary = extract(images, "pixels", cache=tmp_path / "c", **EMBED)
    expected = [
        "2 images of which nine tenths and more are one colour (a/black.png); look whether that is the picture",
        "2 images with features that another, different image has, too (a/black.png); look at both",
    ]
    assert about(summary.notes) == expected
    assert about(extract(images, "pixels", cache=tmp_path / "c", **EMBED).notes) == []  # nothing was decoded
    assert about(fit(tmp_path / "c", "centroid", folds=2, out=tmp_path / "r").notes) == expected


def test_a_deep_set_that_is_seen_in_the_wrong_range_is_said(images: Path, tmp_path: Path) -> None:
    for path in images.rglob("*.png"):
        grey = np.asarray(Image.open(path).convert("L")).astype(np.uint16)
        path.write_bytes(encode(Image.fromarray(grey), compress_level=ord(path.parent.name) % 2 + 1))
    options: dict[str, Any] = {"range": (0, 65535), **EMBED}
    summary = extract(images, "pixels", cache=tmp_path / "c", **options)
    assert any(note.startswith("10 images with features that another, different image has") for note in summary.notes)
    assert any(note.startswith("10 images of which nine tenths and more are one colour") for note in summary.notes)
    right = extract(images, "pixels", cache=tmp_path / "right", **EMBED)
    assert any("0 is taken for black and 255 for white" in reason for reason in right.keys[0].reasons)
    assert [note.split()[0] for note in about(right.notes)] == ["2", "2"]
