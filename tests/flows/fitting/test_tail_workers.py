"""A sweep over tails on Dask workers: the same as here, small on its way, and what dies is trained again."""

import os
import pickle
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from distributed import LocalCluster
from support.forked import forked_workers
from torch import nn

from headstart.extractors.cache import EmbeddingCache
from headstart.extractors.listing import read_listing
from headstart.flows.errors import JobError
from headstart.flows.experiment import Experiment
from headstart.flows.fitting.finetuning import finetune
from headstart.flows.fitting.finetuning.trainer import TailTrainer
from headstart.flows.fitting.finetuning.workers import FoldOnWorker, Outcome, tail_workers
from headstart.flows.options import FinetuneOptions
from headstart.heads.finetuning import TailClassifier
from headstart.heads.views import ONE_VIEW

QUIET: dict[str, Any] = {"dashboard_address": "127.0.0.1:0", "silence_logs": 60, "memory_limit": 0}
QUICK = FinetuneOptions(
    epochs=2, batch_size=8, min_steps=1, folds=3, learning_rate=[0.05, 0.02], optimizer="adamw", precision="fp32"
)

RAN: list[int] = []
"""Bytes of each fold that a worker was sent, of workers that are threads of this process."""

_RUN = FoldOnWorker.run


def counted(self: FoldOnWorker, network: nn.Module) -> Outcome:
    RAN.append(len(pickle.dumps(self)))
    return _RUN(self, network)


def counted_until_the_fifth(self: FoldOnWorker, network: nn.Module) -> Outcome:
    if len(RAN) == 4:
        raise ZeroDivisionError("stopped")
    return counted(self, network)


@pytest.fixture
def cache(embedded: Callable[..., Path], elsewhere: Path) -> Path:
    return embedded(tap=["penultimate", "features.7:map"])


@pytest.fixture(scope="module")
def threads() -> Iterator[str]:
    with LocalCluster(processes=False, n_workers=2, threads_per_worker=1, **QUIET) as cluster:
        yield str(cluster.scheduler_address)


@pytest.fixture(scope="module")
def processes() -> Iterator[str]:
    few = {"allowed_failures": 0}
    with (
        forked_workers(),
        LocalCluster(processes=True, n_workers=1, threads_per_worker=1, scheduler_kwargs=few, **QUIET) as cluster,
    ):
        yield str(cluster.scheduler_address)


def test_candidates_come_to_the_same_as_here(
    cache: Path, threads: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    here = finetune(cache, "features.8", options=QUICK, out=tmp_path / "here")
    monkeypatch.setattr(FoldOnWorker, "run", counted)
    RAN.clear()
    there = finetune(cache, "features.8", options=QUICK, out=tmp_path / "there", dask=threads)
    assert len(RAN) == 2 * 3
    assert max(RAN) < 50_000  # neither maps nor weights
    assert [replace(row, fit_seconds=None) for row in there.candidates] == [
        replace(row, fit_seconds=None) for row in here.candidates
    ]
    assert there.test == here.test


def test_what_workers_were_done_with_is_not_trained_again(
    cache: Path, threads: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FoldOnWorker, "run", counted_until_the_fifth)
    RAN.clear()
    with pytest.raises(ZeroDivisionError, match="stopped"):
        finetune(cache, "features.8", options=QUICK, dask=threads)
    monkeypatch.setattr(FoldOnWorker, "run", counted)
    RAN.clear()
    finetune(cache, "features.8", options=QUICK, dask=threads)
    assert len(RAN) == 2


def test_one_that_diverges_on_a_worker_is_told_and_the_others_go_on(cache: Path, threads: str) -> None:
    found = finetune(cache, "features.8", options=QUICK, optimizer="sgd", learning_rate=[0.01, 1e30], dask=threads)
    assert "diverged in epoch 1" in str(found.candidates[-1].error)
    assert found.winner.params["learning_rate"] == 0.01


class Dying(nn.Module):
    """A network that ends its process, once or always."""

    def __init__(self, place: Path, *, always: bool) -> None:
        super().__init__()
        self.place, self.always, self.fc = place, always, nn.Linear(64, 3)

    def forward(self, X: Any) -> Any:
        if self.always or not self.place.exists():
            self.place.touch()
            os._exit(1)
        return self.fc(X.flatten(1)[:, :64])


@pytest.mark.parametrize("always", [False, True])
def test_a_fold_whose_worker_died_is_trained_again_and_told_when_it_dies_again(
    cache: Path, processes: str, tmp_path: Path, always: bool
) -> None:
    opened = EmbeddingCache(cache)
    rows = opened.stores()[0].view("features.7:map", read_listing(opened).usable["digest"].tolist())
    y = np.arange(36) % 3
    fold = FoldOnWorker(
        layer="features.8",
        head=TailClassifier(None, ["fc"], epochs=1),
        fitted=rows,
        scored=rows.take(np.arange(5)),
        y=y,
        groups=np.arange(36),
        views=ONE_VIEW,
    )
    received: dict[int, Outcome] = {}
    with tail_workers(processes, lambda _: Dying(tmp_path / "died", always=always)) as workers:
        workers.train({7: fold}, received.__setitem__)
    (outcome,) = received.values()
    if always:
        assert outcome.probability is None
        assert "every worker that trained it ended without a word" in outcome.error
    else:
        assert outcome.probability is not None
        assert outcome.probability.shape == (5, 3)


def test_a_scheduler_that_does_not_answer_is_named(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import dask.config

    with (
        dask.config.set({"distributed.comm.timeouts.connect": "1s"}),
        pytest.raises(JobError, match=r"no Dask scheduler answers at tcp://127.0.0.1:9 .*; start one, or leave --dask"),
    ):
        finetune(cache, "features.8", options=QUICK, dask="tcp://127.0.0.1:9")


def test_one_candidate_needs_no_workers(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TailTrainer, "fold", None)
    assert finetune(cache, "features.8", options=QUICK, learning_rate=0.05, dask="tcp://127.0.0.1:9").candidates == []


def test_the_tails_of_an_experiment_take_up_its_cluster() -> None:
    common = {"name": "x", "images": "a", "cache": "b", "out": "c", "extract": [{"backbone": "resnet18"}], "fit": {}}
    tails = [{"from": "layer4"}, {"name": "own", "from": "layer4", "dask": "tcp://other:1"}]
    read = Experiment.model_validate({**common, "scale": {"dask": "tcp://head:8786"}, "finetune": tails})
    assert [table.options.dask for table in read.finetune] == ["tcp://head:8786", "tcp://other:1"]
