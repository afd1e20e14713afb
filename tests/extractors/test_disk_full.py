"""A full disk is met for real: on a small tmpfs, which only root may mount."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from cache_contract import check_cache
from conftest import CLASSES, draw

from extractors.backbones import load_backbone
from extractors.cache import EmbeddingCache
from extractors.cache_listing import update_listing
from extractors.errors import CacheError
from extractors.extraction import Extraction, Settings
from extractors.images import list_images
from extractors.taps import Tap


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """One mebibyte."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = (
        os.geteuid() == 0
        and not subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", place], check=False, capture_output=True
        ).returncode
    )
    if not mounted:
        pytest.skip("mounting a tmpfs needs root")
    yield place
    subprocess.run(["umount", place], check=True)


def test_a_full_disk_is_a_clear_error_the_cache_stays_readable_and_the_run_goes_on(
    small_disk: Path, tmp_path: Path
) -> None:
    for label, name in enumerate(CLASSES):
        for number in range(12):
            draw(tmp_path / "photos" / name / f"{number}.png", label, seed=100 * label + number)
    cache = EmbeddingCache(small_disk / "cache", create=True)
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(900_000))

    def opened() -> Extraction:
        listing = update_listing(cache, list_images(tmp_path / "photos"), workers=2)
        settings = Settings(precision="fp32", dtype="float32", device="cpu", batch_size=4)
        backbone = load_backbone("small_cnn", weights="none")
        return Extraction(cache, listing, backbone, [Tap.parse("features.2:flatten")], settings, weights_source="none")

    with pytest.raises(CacheError, match="the disk is full; what was sealed before is safe: free some space"):
        opened().run_shard(0)
    check_cache(cache, complete=False)
    ballast.unlink()
    subprocess.run(["mount", "-o", "remount,size=64m", small_disk], check=True)
    resumed = opened()
    assert resumed.run_shard(0).embedded == 36
    check_cache(cache)
