"""Images of classes that are made of attributes: four quarters, each bright or dark."""

from itertools import product
from pathlib import Path

import numpy as np
from PIL import Image

NAMES = ["".join(one) for one in product("ab", "cd", "ef", "gh")]
"""Sixteen classes: a or b is the upper left quarter, bright or dark, and so on."""

VECTORS = {name: [float(sign in "aceg") for sign in name] for name in NAMES}


def draw_quadrants(folder: Path, each: int, *, seed: int = 0) -> Path:
    """Write so many PNG files of each class, flat, called ``CLASS-NUMBER.png``."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    for name in NAMES:
        for number in range(each):
            quarters = np.array(VECTORS[name]).reshape(2, 2) * 120 + 60
            pixels = np.kron(quarters, np.ones((16, 16))) + rng.normal(0, 40, (32, 32))
            shown = np.clip(pixels, 0, 255).astype(np.uint8)
            Image.fromarray(shown).convert("RGB").save(folder / f"{name}-{number}.png")
    return folder


def write_classes(file: Path, names: list[str] = NAMES) -> Path:
    """Write the attributes of some classes as a table."""
    rows = [",".join([name, *map(str, VECTORS[name])]) for name in names]
    file.write_text("\n".join(["class,left,right,low left,low right", *rows]) + "\n")
    return file
