"""`fit --device` says where torch trains heads, and says at once where there is no such device."""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from support.array_cache import cache_of

from headstart.extractors import network
from headstart.extractors.network import DeviceError, resolve_device
from headstart.flows.cli.app import main
from headstart.flows.errors import JobError
from headstart.flows.fitting.device import devices_held, place_candidates, settle_device
from headstart.flows.fitting.finetuning import finetune
from headstart.flows.fitting.job import fit
from headstart.flows.options import FitOptions
from headstart.heads.errors import DataError
from headstart.heads.registry import Candidate
from headstart.heads.saving.model_file import load_model

Y = np.arange(40) % 2
MLP = "mlp(hidden_sizes=[[8]],max_epochs=2,min_steps=0)"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return cache_of(tmp_path, np.random.default_rng(0).normal(size=(40, 3)) + Y[:, None], [f"c{label}" for label in Y])


@pytest.fixture
def one_gpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: SimpleNamespace(uuid="ab-12"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def candidates(*named: str) -> list[Candidate]:
    return [Candidate(features=None, backbone="b", tap="t", key="k", head=head, params={}) for head in named]


def test_heads_train_where_it_is_asked_and_rows_model_and_history_say_so(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network, "resolve_device", lambda _: torch.device("cpu:0"))  # stands for one beside the CPU
    summary = fit(cache, [MLP, "dummy"], folds=2, device="cuda", no_report=True)
    assert {row.head: row.params.get("device") for row in summary.leaderboard} == {"mlp": "cpu:0", "dummy": None}
    assert "mlp trained on cpu:0; dummy fitted on the CPU" in summary.notes
    assert json.loads(Path(summary.model).parent.joinpath("run.json").read_text())["settings"]["device"] == "cuda"
    assert load_model(summary.model)[0].predict(np.zeros((1, 3))).shape == (1,)


def test_a_tail_trains_where_it_is_asked_and_its_row_says_so(
    embed: Callable[..., Any], elsewhere: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    maps = embed().cache
    with monkeypatch.context() as patched:
        patched.setattr(network, "resolve_device", lambda _: torch.device("cpu:0"))
        found = finetune(maps, "features.8", device="cuda", epochs=1, min_steps=1)
    assert found.winner.params == {"from": "features.8", "epochs": 1, "min_steps": 1, "device": "cpu:0"}
    if not torch.cuda.is_available():
        with pytest.raises(SystemExit, match="1"):
            main(["finetune", str(maps), "--from", "features.8", "--device", "cuda"])
        assert "this machine has 0 CUDA devices; use --device cpu" in capsys.readouterr().err


def test_without_the_option_nothing_of_a_fit_names_a_device(cache: Path) -> None:
    summary = fit(cache, [MLP, "dummy"], folds=2, no_report=True)
    assert [row for row in summary.leaderboard if "device" in row.params] == []
    kept = json.loads(Path(summary.model).parent.joinpath("run.json").read_text())
    assert "device" not in kept["settings"]


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
def test_a_device_that_is_not_there_is_told_before_anything_is_fitted(
    cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for head, options in ((MLP, ["--device", "cuda"]), ("mlp(device=cuda)", [])):
        with pytest.raises(SystemExit, match="1"):
            main(["fit", str(cache), "--head", head, "--folds", "2", *options])
        last = capsys.readouterr().err.strip().splitlines()[-1]
        assert "device 'cuda': this machine has 0 CUDA devices; use --device cpu" in last
    with pytest.raises(DeviceError, match="device 'tpu': unknown; expected auto, cpu or cuda"):
        fit(cache, MLP, device="tpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
def test_auto_is_the_cpu_where_there_is_no_gpu_and_says_so() -> None:
    given = candidates("mlp")
    assert place_candidates(given, FitOptions(device="auto")) == (
        given,
        ["there is no CUDA device here: all heads are fitted on the CPU"],
    )


@pytest.mark.usefixtures("one_gpu")
def test_auto_is_the_gpu_where_there_is_one() -> None:
    assert settle_device(FitOptions().device) == "cpu"
    placed, notes = place_candidates(candidates("mlp", "knn"), FitOptions(device="auto"))
    assert [one.params for one in placed] == [{"device": "cuda"}, {}]
    assert notes == ["mlp trained on cuda; knn fitted on the CPU"]
    placed, notes = place_candidates(candidates("knn"), FitOptions(device="auto"))
    assert ([one.params for one in placed], notes) == ([{}], ["knn fitted on the CPU"])
    with pytest.raises(
        DataError,
        match="knn, ridge cannot train on cuda: leave --device out, or name one of linear-torch, mlp",
    ):
        place_candidates(candidates("knn", "ridge"), FitOptions(device="cuda"))


def test_workers_of_a_scheduler_have_devices_of_their_own() -> None:
    far = "tcp://head:8786"
    assert settle_device("cuda:1", far) == "cuda:1"
    with pytest.raises(JobError, match="--device auto looks at this machine, and the workers of tcp://head:8786 train"):
        settle_device("auto", far)
    with pytest.raises(DeviceError, match="unknown"):
        settle_device("gpu", far)


@pytest.mark.usefixtures("one_gpu")
def test_a_fit_holds_the_gpu_that_its_candidates_train_on_and_no_other(tmp_path: Path) -> None:
    def locks() -> list[str]:
        return [path.name.rpartition("-")[0] for path in tmp_path.glob("*.lock")]

    with devices_held(candidates("knn"), FitOptions(device="auto")):
        assert locks() == []
    placed, _ = place_candidates(candidates("mlp"), FitOptions(device="cuda"))
    with devices_held(placed, FitOptions(device="cuda", dask="tcp://head:8786")):
        assert locks() == []
    with devices_held(placed, FitOptions(device="cuda")):
        assert locks() == ["headstart-gpu-ab-12"]
    assert resolve_device("cuda").type == "cuda"
