"""A full disk is met for real: on a small tmpfs, which only root may mount."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from conftest import CLASSES, draw
from support.cache_contract import check_cache
from support.synthetic_cache import features_of, fill, make_images

from headstart.extractors.backbones.registry import load_backbone
from headstart.extractors.cache.cache import EmbeddingCache
from headstart.extractors.errors import CacheError
from headstart.extractors.extraction.extraction import Extraction
from headstart.extractors.images.sources import list_images
from headstart.extractors.listing.cache_listing import read_listing
from headstart.extractors.listing.update import update_listing
from headstart.extractors.spec.settings import Settings
from headstart.extractors.spec.tap import Tap
from headstart.extractors.upkeep.merging import carry_out, plan_compaction
from headstart.extractors.upkeep.single_file import WRITERS, gather_export


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


def test_a_compaction_on_a_full_disk_loses_nothing_and_ends_after_space_is_made(
    small_disk: Path, tmp_path: Path
) -> None:
    make_images(tmp_path / "images", 40)
    shapes = {"penultimate": (2_000,)}
    cache, store = fill(small_disk / "cache", tmp_path / "images", n_rows_a_shard=10, shapes=shapes)
    digests = read_listing(cache).distinct["digest"].tolist()
    (small_disk / "ballast").write_bytes(bytes(550_000))
    with pytest.raises(CacheError, match="the disk is full; what was sealed before is safe: free some space"):
        carry_out(store, plan_compaction(store, digests))
    assert len(store.shards()) == 4
    np.testing.assert_array_equal(store.view("penultimate", digests), features_of(digests, (2_000,)))
    check_cache(cache)
    (small_disk / "ballast").unlink()
    carry_out(store, plan_compaction(store, digests))
    assert len(store.shards()) == 1
    check_cache(cache)


@pytest.mark.parametrize("free", [0, 100_000])
@pytest.mark.parametrize("suffix", WRITERS)
def test_an_export_to_a_full_disk_is_a_clear_error_and_leaves_no_file(
    small_disk: Path, tmp_path: Path, suffix: str, free: int
) -> None:
    make_images(tmp_path / "images", 40)
    cache, store = fill(tmp_path / "cache", tmp_path / "images", n_rows_a_shard=10, shapes={"penultimate": (2_000,)})
    export = gather_export(store, read_listing(cache), ["penultimate"])
    fill_up(small_disk, free)
    with pytest.raises(CacheError, match="the disk is full"):
        WRITERS[suffix](export, small_disk / f"x{suffix}")
    assert [path.name for path in small_disk.iterdir()] == ["ballast"]
    (small_disk / "ballast").unlink()
    assert WRITERS[suffix](export, small_disk / f"x{suffix}")[0].stat().st_size > 40 * 2_000 * 4 * 0.9


def fill_up(disk: Path, free: int) -> None:
    """Write until `free` bytes are left."""
    ballast = os.open(disk / "ballast", os.O_WRONLY | os.O_CREAT)
    os.posix_fallocate(ballast, 0, shutil.disk_usage(disk).free - free)
    os.close(ballast)
