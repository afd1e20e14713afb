"""A folder as a user of Python has it: `photos`, `new-photos`, `photos.headstart`, `photos.results`, `birds.toml`."""

import os
from pathlib import Path

from conftest import CLASSES, draw

import headstart

EXPERIMENT = """\
images = "photos"
precision = "fp32"

[[extract]]
backbone = "small_cnn"
weights = "none"

[fit]
head = ["centroid"]
folds = 3
"""


def draw_photos(folder: Path, n_each: int = 12) -> None:
    """Draw `photos` with a folder a class, and one of each class in `new-photos`."""
    for label, name in enumerate(CLASSES):
        for number in range(n_each):
            draw(folder / "photos" / name / f"{number:02d}.png", label, seed=100 * label + number)
        draw(folder / "new-photos" / f"{name}.png", label, seed=9000 + label)


def make_folder(folder: Path) -> None:
    """Draw the photographs, embed them with the tiny backbone, and fit three heads; the current folder is changed."""
    draw_photos(folder)
    (folder / "birds.toml").write_text(EXPERIMENT)
    os.chdir(folder)
    headstart.extract("photos", "small_cnn", weights="none", workers=1)
    headstart.fit("photos.headstart", ["centroid", "ridge", "dummy"], few_shot=True, folds=3, name="first")
