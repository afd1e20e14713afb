"""What `inspect` counts is what lies there, and counting loads no torch."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import draw

from headstart.extractors.errors import CacheError
from headstart.flows.upkeep.inspection import QuarantinedImage, inspect

Embed = Callable[..., Any]


def test_images_keys_bytes_labels_and_quarantine_are_counted(embed: Embed, photos: Path) -> None:
    shutil.copy(photos / "cat" / "00.png", photos / "cat" / "copy.png")
    (photos / "owl" / "empty.png").touch()
    cache = Path(embed().cache)
    draw(photos / "dog" / "late.png", 1, seed=800)
    embed(backbone="pixels", weights="default")
    summary = inspect(cache)
    assert (summary.images, summary.distinct) == (39, 37)
    assert summary.labels == {"label": 3}
    assert summary.quarantined == [QuarantinedImage("owl/empty.png", "empty file (0 bytes)")]
    pixels, small = summary.keys
    assert (pixels.rows, pixels.missing, pixels.shape) == (37, 0, {"penultimate": [3072]})
    assert (small.rows, small.missing, small.weights) == (36, 1, "none (random, seed 0)")
    on_disk = sum(path.stat().st_size for path in cache.rglob("shard-*.h5"))
    assert summary.bytes == pixels.bytes + small.bytes == on_disk


def test_inspecting_loads_no_torch(embed: Embed) -> None:
    cache = embed().cache
    code = (
        "import sys; from headstart.flows.upkeep.inspection import QuarantinedImage, inspect; "
        f"inspect({str(cache)!r}); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_cache_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CacheError, match="no cache here"):
        inspect(tmp_path / "nothing")
