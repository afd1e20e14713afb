"""Shards on Dask workers: the same rows as without, few under way at once, and errors that say what to do."""

import json
import os
import pickle
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dask.config
import numpy as np
import pandas as pd
import pytest
import torch
from conftest import draw
from distributed import LocalCluster, Worker, get_worker
from pydantic import ValidationError
from support.cache_contract import check_cache

from headstart.extractors.cache.cache import EmbeddingCache
from headstart.extractors.errors import CacheError, FeatureError, ImageSetError
from headstart.extractors.extraction.shard_request import ExtractionRequest
from headstart.extractors.images.roots import ENVIRONMENT, NOT_ALLOWED
from headstart.extractors.listing.cache_listing import CacheListing, read_listing
from headstart.extractors.spec.settings import Settings
from headstart.extractors.spec.tap import Tap
from headstart.flows.errors import JobError
from headstart.flows.experiment.tables import Experiment
from headstart.flows.extraction.cluster import Cluster, cluster_on_demand
from headstart.flows.extraction.gpu_lock import device_lock
from headstart.flows.extraction.scaled import ScaledExtraction
from headstart.flows.extraction.worker import pack, work

Embed = Callable[..., Any]
QUIET: dict[str, Any] = {"dashboard_address": "127.0.0.1:0", "silence_logs": 60, "memory_limit": 0}
WORKED: list[str] = []


@pytest.fixture(scope="module")
def two_workers() -> Iterator[LocalCluster]:
    """A scheduler and two workers, all threads of this process."""
    with LocalCluster(processes=False, n_workers=2, threads_per_worker=1, **QUIET) as cluster:
        yield cluster


@pytest.fixture
def address(two_workers: LocalCluster, monkeypatch: pytest.MonkeyPatch) -> str:
    """Of the scheduler; shards have ten images."""
    monkeypatch.setattr("headstart.flows.extraction.scaled.SHARD_IMAGES", 10)
    return str(two_workers.scheduler_address)


def seen_by_worker(what: Any, packed: bytes) -> Any:
    WORKED.append(get_worker().address)
    return work(what, packed)


def features(cache: EmbeddingCache) -> np.ndarray:
    return np.asarray(cache.stores()[0].view("penultimate", read_listing(cache).distinct["digest"].tolist()))


def test_the_rows_are_those_of_an_extraction_in_one_process(embed: Embed, address: str, tmp_path: Path) -> None:
    summary = embed(dask=address, batch_size=4)
    cache, here = EmbeddingCache(summary.cache), EmbeddingCache(embed(cache=tmp_path / "here", batch_size=4).cache)
    check_cache(cache)
    assert (summary.embedded, len(cache.stores()[0].shards())) == (36, 4)
    assert cache.stores()[0].key == here.stores()[0].key
    np.testing.assert_array_equal(features(cache), features(here))


def test_a_rerun_embeds_what_is_new_and_opens_no_cluster_where_nothing_is(
    embed: Embed, address: str, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    embed(dask=address)
    draw(photos / "cat" / "new.png", 0, seed=800)
    assert (embed(dask=address).embedded, embed(dask=address).reused) == (1, 37)
    monkeypatch.setattr(
        "headstart.flows.extraction.cluster._opened", lambda *_, **__: pytest.fail("a cluster was opened")
    )
    assert embed(dask=address).embedded == 0


def test_what_cannot_be_decoded_is_quarantined(embed: Embed, address: str, photos: Path) -> None:
    (photos / "cat" / "broken.png").write_bytes(b"no image")
    summary = embed(dask=address)
    assert (summary.images, summary.embedded, summary.quarantined) == (37, 36, 1)
    (reason,) = read_listing(EmbeddingCache(summary.cache)).quarantined["reason"]
    assert "not an image" in reason or "cannot identify" in reason


def test_the_summary_says_how_and_where_the_time_went(embed: Embed, address: str) -> None:
    (key,) = embed(dask=address, batch_size=4).keys
    assert key.execution.batch_size == 4
    assert key.fidelity.cosine > 0.999
    assert all(key.stages[stage] > 0 for stage in ("set up", "read", "decode", "forward", "write"))


def test_no_more_shards_are_under_way_than_two_a_worker(
    embed: Embed, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headstart.flows.extraction.scaled.SHARD_IMAGES", 2)
    lock, now, most = threading.Lock(), 0, 0
    run = Cluster.run

    def counted(self: Cluster, what: Any, *arguments: Any) -> Any:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        try:
            return run(self, what, *arguments)
        finally:
            with lock:
                now -= 1

    monkeypatch.setattr(Cluster, "run", counted)
    assert embed(dask=address).embedded == 36
    assert 2 <= most <= 4


def test_after_an_error_the_shards_under_way_are_sealed_and_no_others_started(
    embed: Embed, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headstart.flows.extraction.scaled.SHARD_IMAGES", 2)
    run_shard, started = ScaledExtraction.run_shard, []

    def failing(self: ScaledExtraction, number: int, *arguments: Any) -> Any:
        started.append(number)
        if number == 1:
            raise FeatureError("not finite")
        return run_shard(self, number, *arguments)

    monkeypatch.setattr(ScaledExtraction, "run_shard", failing)
    with pytest.raises(FeatureError, match="not finite"):
        embed(dask=address)
    (store,) = EmbeddingCache(tmp_path / "cache").stores()
    assert store.n_rows() == 2 * (len(started) - 1)
    assert len(started) < 10
    check_cache(EmbeddingCache(tmp_path / "cache"), complete=False)


def test_where_a_worker_declares_gpus_the_others_get_no_work(embed: Embed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headstart.flows.extraction.scaled.SHARD_IMAGES", 10)
    monkeypatch.setattr("headstart.flows.extraction.cluster.work", seen_by_worker)
    WORKED.clear()
    with LocalCluster(processes=False, n_workers=1, threads_per_worker=1, **QUIET) as cluster:
        plain = next(iter(cluster.workers.values())).address

        async def start() -> Worker:
            return await Worker(cluster.scheduler_address, nthreads=1, resources={"GPU": 1}, memory_limit=0)

        with_gpu = cluster.sync(start)
        assert cluster.scheduler.workers.keys() == {plain, with_gpu.address}
        assert embed(dask=cluster.scheduler_address).embedded == 36
        assert [with_gpu.address] * 6 == WORKED  # to settle the key, to prepare, and four shards
        cluster.sync(with_gpu.close)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("lokal", "dask is 'lokal', expected local, cuda or a scheduler's address such as tcp://host:8786"),
        ("cuda", "dask is 'cuda': 1 GPU is needed and this machine has 0; use 'local' or fewer workers"),
    ],
)
def test_a_cluster_that_cannot_be_is_refused(
    embed: Embed, name: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    with pytest.raises(JobError) as error:
        embed(dask=name)
    assert str(error.value).startswith(message)


def test_local_workers_are_processes_that_share_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("os.cpu_count", lambda: 6)
    with cluster_on_demand("local", 2, show=False) as cluster:
        opened = cluster()
        found = opened.client.run(lambda: (os.getpid(), os.environ["OMP_NUM_THREADS"]))
        assert opened is cluster()
    assert len({os.getpid(), *(pid for pid, _ in found.values())}) == 3
    assert {threads for _, threads in found.values()} == {"3"}
    assert opened.decoding_threads == 3


def test_each_worker_of_cuda_sees_a_gpu_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "headstart.flows.extraction.gpu_workers.find_spec", lambda _: None
    )  # dask-cuda starts them where it is installed
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.setattr("torch.cuda.get_device_properties", lambda number: SimpleNamespace(uuid=f"ab-{number}"))
    with cluster_on_demand("cuda", None, show=False) as cluster:
        found = cluster().client.run(lambda: (os.getpid(), os.environ["CUDA_VISIBLE_DEVICES"]))
        assert {worker["nthreads"] for worker in cluster().client.scheduler_info()["workers"].values()} == {1}
    assert {gpu for _, gpu in found.values()} == {"GPU-ab-0", "GPU-ab-1"}
    assert len({pid for pid, _ in found.values()}) == 2


def test_a_scheduler_that_does_not_answer_is_named(embed: Embed) -> None:
    with (
        dask.config.set({"distributed.comm.timeouts.connect": "0.5s"}),
        pytest.raises(JobError, match=r"no Dask scheduler answers at tcp://127.0.0.1:9 .*; start one with"),
    ):
        embed(dask="tcp://127.0.0.1:9")


def test_a_worker_that_does_not_see_the_cache_says_so(address: str, tmp_path: Path) -> None:
    request = ExtractionRequest(tmp_path / "elsewhere", "small_cnn", "none", (Tap(),), Settings(device="cpu"))
    message = r"elsewhere: not seen by the worker on .* every worker needs the cache and the images at the same paths"
    with cluster_on_demand(address, None, show=False) as cluster, pytest.raises(CacheError, match=message):
        cluster().run("settle", request, CacheListing(pd.DataFrame(), tmp_path, "flat"))


def test_a_shard_is_sent_as_paths_and_keys_and_nothing_else(
    embed: Embed, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[bytes] = []

    def kept(*arguments: Any) -> bytes:
        sent.append(pack(*arguments))
        return sent[-1]

    monkeypatch.setattr("headstart.flows.extraction.cluster.pack", kept)
    embed(dask=address)
    _, _, *shards = sent
    assert len(shards) == 4
    for shard in shards:
        assert not any(word in shard for word in (b"numpy", b"pandas", b"torch", b"h5py"))
        assert len(shard) < 4000  # 36 images of 48×40 pixels would be 200 kB, their features 9 kB a shard


def test_a_worker_may_read_no_more_than_the_run_that_asks_it(
    embed: Embed, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = json.dumps({"roots": [str(tmp_path / "cache")]})
    # As from a process that is held to them: workers are of this one, and must not see them in its environment.
    monkeypatch.setattr("headstart.flows.extraction.cluster.pack", lambda *arguments: pickle.dumps((limits, arguments)))
    with pytest.raises(ImageSetError, match=f"none of 36 images could be read .*{NOT_ALLOWED}"):
        embed(dask=address)
    assert ENVIRONMENT not in os.environ


def test_an_error_of_a_worker_s_own_is_not_taken_for_a_scheduler_that_went_away(
    embed: Embed, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied", "headstart.lock")

    monkeypatch.setattr("headstart.extractors.extraction.shard_work.settle", refused)
    with pytest.raises(PermissionError, match=r"headstart\.lock"):
        embed(dask=address)


ONE_PAGE: dict[str, Any] = {"name": "e", "images": "i", "cache": "c", "out": "o", "extract": [{"backbone": "pixels"}]}


@pytest.mark.parametrize(
    ("scale", "fit", "taken"),
    [
        (None, {}, "threads"),
        ({"dask": "tcp://10.0.0.5:8786"}, {}, "tcp://10.0.0.5:8786"),
        ({"dask": "tcp://10.0.0.5:8786"}, {"dask": "threads"}, "threads"),
        ({"dask": "local"}, {}, "threads"),
        ({"dask": "cuda", "workers": 4}, {"dask": "processes"}, "processes"),
    ],
)
def test_sweeps_use_the_scheduler_of_the_extraction_unless_their_table_says_otherwise(
    scale: dict[str, Any] | None, fit: dict[str, Any], taken: str
) -> None:
    experiment = Experiment(**ONE_PAGE, scale=scale, fit=[fit])
    assert experiment.fit[0].dask == taken
    assert Experiment(**experiment.model_dump(mode="json")) == experiment


@pytest.mark.parametrize("scale", [{}, {"dask": "lokal"}, {"dask": "local", "workers": 0}, {"dask": "cuda", "gpus": 2}])
def test_a_scale_table_that_says_nothing_sensible_is_refused(scale: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="scale"):
        Experiment(**ONE_PAGE, scale=scale, fit=[{}])


def test_a_gpu_is_locked_under_its_own_name_whatever_number_a_process_has_for_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("torch.cuda.get_device_properties", lambda _: SimpleNamespace(uuid="ab-12"))
    with device_lock(torch.device("cuda:0"), show=False):
        assert [path.name for path in tmp_path.glob("*.lock")] == [f"headstart-gpu-ab-12-{os.getuid()}.lock"]
