"""The Prefect flow, for real, on a server that is running already; test_demo.py is about one that it starts itself."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.cache_contract import check_cache
from support.forked import run_forked
from support.prefect_queries import ask, tasks_of

from headstart.extractors.cache.cache import EmbeddingCache
from headstart.flows.cli.app import main
from headstart.flows.extraction.job import extract

if TYPE_CHECKING:
    from subprocess import CompletedProcess

EXPERIMENT = """
images = "photos"
batch_size = 8
precision = "fp32"
[[extract]]
backbone = "small_cnn"
weights = "none"
[[extract]]
backbone = "pixels"
[fit]
head = ["logreg", "dummy"]
"""
TASKS = [
    "embed pixels, shard 1 of 1",
    "embed small_cnn, shard 1 of 1",
    "fit logreg, dummy",
    "list images",
    "open pixels (default)",
    "open small_cnn (none)",
    "record the embeddings of pixels",
    "record the embeddings of small_cnn",
]


@pytest.fixture
def experiment(photos: Path, tmp_path: Path) -> Path:
    path = tmp_path / "Three Animals.toml"
    path.write_text(EXPERIMENT)
    return path


def run(experiment: Path, environment: dict[str, str], code: str = "") -> "CompletedProcess[str]":
    """Run the experiment as the command line does, after `code` where something is to go wrong."""
    program = f"{code}\nfrom headstart.flows.cli.app import main\nmain(['run', {str(experiment)!r}, '--json'])"
    return run_forked("-c", program, env=environment)


def check_clean(ran: "CompletedProcess[str]") -> None:
    assert ran.returncode == 0, ran.stderr
    for word in ("Traceback", "Warning", "ERROR", "Error"):
        assert word not in ran.stderr


def test_a_server_that_is_configured_is_used_and_every_fit_of_several_is_a_task_with_artifacts_of_its_own(
    experiment: Path, configured: dict[str, str], prefect_server: str, tmp_path: Path
) -> None:
    experiment.write_text(EXPERIMENT.replace("[fit]", '[[fit]]\nname = "Few"\nfolds = 2\nhead = ["dummy"]\n[[fit]]'))
    ran = run(experiment, configured)
    check_clean(ran)
    summary = json.loads(ran.stdout)
    assert (summary["extraction"]["images"], summary["extraction"]["embedded"]) == (36, 72)
    check_cache(EmbeddingCache(tmp_path / "Three Animals.headstart"))
    fits = [summary["fit"], *summary["further_fits"]]
    assert [fitted["winner"]["split"] for fitted in fits] == ["2-fold CV", "5-fold CV"]
    assert [fitted["winner"]["head"] for fitted in fits] == ["dummy", "logreg"]
    tasks = tasks_of(prefect_server, "Three Animals")
    names = [*TASKS, "fit Few", "fit fit-2"]
    names.remove("fit logreg, dummy")
    assert {name: task["state_name"] for name, task in tasks.items()} == dict.fromkeys(names, "Completed")
    artifacts = {found["key"]: found for found in ask(prefect_server, "artifacts")}
    for name, slug in (("Few", "few"), ("fit-2", "fit-2")):
        rows = json.loads(artifacts[f"three-animals-{slug}-leaderboard"]["data"])
        assert rows[-1]["head"] == "dummy"
        report = artifacts[f"three-animals-{slug}-report"]
        assert report["type"] == "markdown"
        assert f"\n    {(tmp_path / 'Three Animals.results' / name / 'report.html').resolve()}" in report["data"]
        assert "| scored once, on held-out fifth (8 images) | |" in report["data"]
        assert "file://" not in report["data"]  # which browsers do not open


def test_what_fails_for_a_passing_reason_is_tried_again_and_embeds_nothing_twice(
    experiment: Path, configured: dict[str, str], prefect_server: str, tmp_path: Path
) -> None:
    experiment = experiment.rename(tmp_path / "stumbling.toml")
    stumble = """
import headstart.extractors.extraction.extraction
original, stumbled = headstart.extractors.extraction.extraction.Extraction.run_shard, []
def run_shard(self, number, on_images=None):
    result = original(self, number, on_images)
    if not stumbled:
        stumbled.append(1)
        raise OSError(5, "Input/output error")
    return result
headstart.extractors.extraction.extraction.Extraction.run_shard = run_shard
import headstart.flows.orchestration.fit_tasks
fit = headstart.flows.orchestration.fit_tasks.fit
def stumbling_fit(*arguments, **options):
    if len(stumbled) == 1:
        stumbled.append(2)
        raise OSError(5, "Input/output error")
    return fit(*arguments, **options)
headstart.flows.orchestration.fit_tasks.fit = stumbling_fit
"""
    # An earlier run's embeddings lie in the cache; the experiment does not name them, so they do not take part.
    extract(tmp_path / "photos", "small_cnn", weights="none", cache=tmp_path / "stumbling.headstart", precision="bf16")
    ran = run(experiment, configured, stumble)
    check_clean(ran)
    summary = json.loads(ran.stdout)
    assert {row["key"] for row in summary["fit"]["leaderboard"]} == {key["id"] for key in summary["extraction"]["keys"]}
    assert [key["embedded"] for key in summary["extraction"]["keys"]] == [36, 36]
    assert Path(summary["fit"]["report"]).parent.parent == tmp_path / "stumbling.results"
    check_cache(EmbeddingCache(tmp_path / "stumbling.headstart"))
    counts = {name: task["run_count"] for name, task in tasks_of(prefect_server, "stumbling").items()}
    assert counts["embed small_cnn, shard 1 of 1"] == 2
    assert counts["embed pixels, shard 1 of 1"] == 1
    assert counts["fit logreg, dummy"] == 2


def test_what_is_wrong_is_not_tried_again_and_ends_in_one_clear_line(
    experiment: Path, configured: dict[str, str], prefect_server: str, tmp_path: Path
) -> None:
    experiment = experiment.rename(tmp_path / "wrong.toml")
    experiment.write_text(EXPERIMENT.replace('"photos"', '"empty"'))
    (tmp_path / "empty").mkdir()
    ran = run(experiment, configured)
    assert ran.returncode == 1
    assert ran.stdout == ""
    begun, error = ran.stderr.splitlines()
    assert begun == "starting Prefect, which takes some seconds"
    assert error.startswith(f"headstart: {tmp_path}/empty: the folder is empty")
    assert [task["run_count"] for task in tasks_of(prefect_server, "wrong").values()] == [1]
    assert not (tmp_path / "Three Animals.headstart").exists()  # nor is an empty cache left
    assert not (tmp_path / "wrong.headstart").exists()
    # Prefect keeps the error that ended a flow, whatever it is told; what it keeps is no pickle.
    (kept,) = Path(configured["PREFECT_HOME"], "storage").iterdir()
    assert json.loads(kept.read_text())["__exc_type__"] == "headstart.extractors.errors.ImageSetError"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"logreg"', '"logrge"', "no head is called 'logrge'; did you mean logreg"),
        ('"pixels"', '"pixel"', "no backbone is called 'pixel'. Nearest: headstart/pixels"),
        ('"photos"', '"photos"\ntap = ["features:agv"]', "tap features: no pooling is called 'agv'"),
        ('"logreg"', '"rigde"]\ntask = "regress" #', "no head for numbers is called 'rigde'; did you mean ridge"),
        ('"logreg"', '"logreg"]\ntask = "regress" #', "head 'logreg' tells classes apart and predicts no numbers"),
        ('"logreg"', '"logreg"]\nmetric = "r2" #', "head 'logreg' tells classes apart and predicts no numbers"),
        (
            '"logreg"',
            '"sklearn.linear_model:Lasso"]\ntask = "classify" #',
            "sklearn.linear_model:Lasso makes a Lasso, expected a scikit-learn classifier",
        ),
        ('"logreg"', '"ridge"]\nmetric = "acuracy" #', "no metric is called 'acuracy'; expected one of accuracy, "),
        (
            '"logreg"',
            '"ridge"]\ntask = "regress"\nmetric = "log_loss" #',
            "task 'regress' has no metric 'log_loss'; expected one of r2, mae, rmse",
        ),
        (
            '"logreg"',
            '"ridge"]\ntask = "classify"\nmetric = "mae" #',
            "task 'classify' has no metric 'mae'; expected one of accuracy, ",
        ),
        (
            '"logreg"',
            '"ridge"]\ntask = "regress"\nfew_shot = true #',
            "few_shot, calibrate and coverage are for classes, and task 'regress' predicts numbers",
        ),
        ('"logreg"', '"ridge"]\nsweep = "quik" #', "{path}: fit.sweep: Input should be 'quick', "),
    ],
)
def test_a_misspelt_name_is_told_before_anything_starts(
    experiment: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    old: str,
    new: str,
    message: str,
) -> None:
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "prefect"))
    experiment.write_text(EXPERIMENT.replace(old, new))
    with pytest.raises(SystemExit, match="1"):
        main(["run", str(experiment)])
    assert capsys.readouterr().err.startswith(f"headstart: {message}".replace("{path}", str(experiment)))
    assert not (tmp_path / "Three Animals.headstart").exists()
    assert not (tmp_path / "prefect" / "prefect.db").exists()


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ('images = "https://me:hunter2@example.org/birds.csv"', "https://…@example.org/birds.csv: an address with"),
        ('images = "https://example.org/birds.csv#hunter2"', "https://example.org/birds.csv#…: an address with"),
        ('images = "photos"\nscale = { dask = "tcp://me:hunter2@127.0.0.1:1" }', "dask = 'tcp://…@127.0.0.1:1'"),
    ],
)
def test_a_secret_in_an_address_is_refused_before_prefect_keeps_it(
    experiment: Path, environment: dict[str, str], tmp_path: Path, line: str, shown: str
) -> None:
    experiment.write_text(EXPERIMENT.replace('images = "photos"', f'{line}\ncache = "cache"'))
    ran = run(experiment, environment)
    assert ran.returncode == 1
    assert shown in " ".join(ran.stderr.split())
    assert "hunter2" not in ran.stderr + ran.stdout
    experiment.unlink()
    assert [path for path in tmp_path.rglob("*") if path.is_file() and b"hunter2" in path.read_bytes()] == []
