"""A second run, a few images of the next night, and every worker take up the network that the first run compiled."""

import inspect
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import draw
from support.small_extraction import SETTINGS, opened, run

import headstart.extractors.extraction.shard_work
import headstart.extractors.network.forward
from headstart.extractors.backbones.registry import load_backbone
from headstart.extractors.cache.cache import EmbeddingCache
from headstart.extractors.cache.turn import take_turn
from headstart.extractors.errors import CacheError
from headstart.extractors.extraction.shard_request import ExtractionRequest, ShardWork
from headstart.extractors.extraction.shard_work import embed_shard
from headstart.extractors.images.reading import image_sources
from headstart.extractors.network import kept
from headstart.extractors.network.forward import ForwardPass
from headstart.extractors.spec.key import Mixed
from headstart.extractors.spec.tap import Tap
from headstart.extractors.tuning.first_images import FirstImages

AUTO = replace(SETTINGS, decode="full")
COMPILED = replace(AUTO, compile="on")


@pytest.fixture
def compiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Callable[..., Any]]:
    """Networks that were compiled, which run as they are; a library holds which it is."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    networks: list[Callable[..., Any]] = []

    def compile_library(function: Any, _module: Any, _pixels: Any, folder: Path) -> Path:
        networks.append(function)
        (folder / "network.so").write_text(str(len(networks) - 1))
        return folder / "network.so"

    monkeypatch.setattr(kept, "compile_library", compile_library)
    monkeypatch.setattr(kept, "load_library", lambda path, *_: networks[int(path.read_text())])
    return networks


@pytest.fixture
def cache(photos: Path, tmp_path: Path, compiled: list[Any]) -> EmbeddingCache:
    """A cache of which all rows were computed by a compiled network."""
    cache = EmbeddingCache(tmp_path / "cache", create=True)
    assert run(opened(cache, photos, COMPILED)) == 36
    assert len(compiled) == 1
    return cache


def test_a_later_run_of_few_images_takes_up_the_network_without_looking_at_any_first(
    cache: EmbeddingCache, photos: Path, compiled: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise AssertionError("calibrated again")

    for name in ("_decode", "compare", "compare_decoding"):
        monkeypatch.setattr(FirstImages, name, fails)
    draw(photos / "cat" / "new.png", 0, seed=77)
    later = opened(cache, photos, AUTO)
    assert run(later) == 1
    assert later.execution
    assert (later.execution.compiled, later.reasons, len(compiled)) == (True, [], 1)


def test_a_worker_takes_it_up_and_gives_the_rows_of_one_process(
    cache: EmbeddingCache, photos: Path, compiled: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    draw(photos / "cat" / "new.png", 0, seed=77)
    there = opened(cache, photos, COMPILED)
    execution = kept_execution(there)
    request = ExtractionRequest(cache.path, "small_cnn", "none", (Tap(),), COMPILED)
    images = list(zip(image_sources(there.missing), there.missing["digest"], strict=True))
    monkeypatch.setattr(headstart.extractors.extraction.shard_work, "_SLOTS", {})  # as in a new process
    work = ShardWork(request, there.store.key, execution, take_turn(there.store.path), there.listing.root, images)
    assert (embed_shard(work).embedded, len(compiled)) == (1, 1)


def kept_execution(extraction: Any) -> Any:
    extraction.prepare(1)
    return extraction.execution


def test_another_cache_of_this_user_takes_it_up_too_where_compiling_is_asked_for(
    cache: EmbeddingCache, photos: Path, tmp_path: Path, compiled: list[Any]
) -> None:
    other = EmbeddingCache(tmp_path / "other", create=True)
    assert run(opened(other, photos, COMPILED)) == 36
    assert len(compiled) == 1


def test_a_cache_that_was_handed_over_holds_no_code(cache: EmbeddingCache, compiled: list[Any]) -> None:
    names = [path.name for path in cache.path.rglob("*") if path.is_file()]
    assert [name for name in names if not name.endswith((".json", ".h5", ".bin", ".parquet", ".lock"))] == []


def test_why_a_network_is_not_kept_is_said(
    photos: Path, tmp_path: Path, compiled: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path) -> Any:
        raise CacheError(f"{path.parent}: the disk is full")

    monkeypatch.setattr(kept, "atomic_file", full)
    extraction = opened(EmbeddingCache(tmp_path / "cache", create=True), photos, COMPILED)
    assert run(extraction) == 36
    assert extraction.reasons == [
        f"the compiled network is not kept: {tmp_path}/home/headstart/networks: the disk is full"
    ]


def test_all_that_a_forward_pass_is_made_by_is_part_of_what_its_code_is_kept_by(
    monkeypatch: pytest.MonkeyPatch, compiled: list[Any]
) -> None:
    seen: dict[str, Any] = {}
    dependencies = headstart.extractors.network.forward.all_dependencies
    monkeypatch.setattr(
        headstart.extractors.network.forward,
        "all_dependencies",
        lambda *given, **how: (seen.update(how), dependencies(*given, **how))[1],
    )
    cpu = torch.device("cpu")
    ForwardPass(
        load_backbone("small_cnn", weights="none"), [Tap()], device=cpu, precision="fp32", batch_size=4, compiled=True
    )
    changes_no_code = {"self", "backbone", "taps", "device", "batch_size", "compiled", "times"}  # or is given beside
    asked = set(inspect.signature(ForwardPass.__init__).parameters) - changes_no_code
    assert set(seen) == asked | {one.name for one in fields(Mixed)}
