"""The demonstration is the first thing people run: it must be quick, quiet, honest, and repeatable."""

import json
import os
import re
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import psutil
import pytest
from support.cache_contract import check_cache
from support.process_trees import open_to_others

from headstart.extractors.cache.cache import EmbeddingCache
from headstart.extractors.images.sources import list_images
from headstart.flows.demo import TRAIN_PER_CLASS, demo
from headstart.flows.errors import JobError

TASKS = [
    "embed pixels, shard 1 of 2",
    "embed pixels, shard 2 of 2",
    "embed small_cnn, shard 1 of 2",
    "embed small_cnn, shard 1 of 2",
    "embed small_cnn, shard 2 of 2",
    "embed small_cnn, shard 2 of 2",
    "fine-tune from features.8",
    "fit logreg, ridge, knn, centroid, linear-torch, dummy",
    "list images",
    "open pixels (default)",
    "open small_cnn (encoder.safetensors)",
    "open small_cnn (none)",
    "record the embeddings of pixels",
    "record the embeddings of small_cnn",
    "record the embeddings of small_cnn",
]
Shown = tuple[Path, "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory, settle_prefect: Callable[[Path], Path]) -> Shown:
    """The folder of a demonstration, and what it printed on a terminal of 80 columns."""
    folder = tmp_path_factory.mktemp("demo")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    environment |= {"PREFECT_HOME": str(settle_prefect(folder / "prefect")), "COLUMNS": "80"}
    command = [sys.executable, "-m", "headstart", "demo"]
    with (folder / "out").open("w") as out, (folder / "err").open("w") as err:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=out, stderr=err)
    with suppress(psutil.NoSuchProcess):
        while process.poll() is None:
            addresses = open_to_others(process.pid)
            (folder / "open").write_text("".join(addresses)) if addresses else time.sleep(0.2)
    status = process.wait(timeout=280)
    written = ((folder / name).read_text() for name in ("out", "err"))
    return folder / "headstart-demo", subprocess.CompletedProcess(command, status, *written)


def test_it_lets_no_other_machine_in(shown: Shown) -> None:
    assert not (shown[0].parent / "open").exists()


def test_it_ends_well_and_prints_no_traceback_and_no_warning(
    shown: Shown,
) -> None:
    _, ran = shown
    assert ran.returncode == 0, ran.stderr
    for word in ("Traceback", "Warning", "ERROR", "Error"):
        assert word not in ran.stdout + ran.stderr
    assert max(map(len, ran.stdout.split("\n"))) <= 80


def test_it_shows_its_progress_and_says_which_file_to_open(
    shown: Shown,
) -> None:
    folder, ran = shown
    for step in ("pre-training", "reading", "embedding small_cnn", "embedding pixels", "fitting"):
        assert step in ran.stderr
    assert f"report  {os.path.relpath(folder / 'results' / 'report.html', folder.parent)}" in ran.stdout
    assert (folder / "results" / "report.html").exists()


def test_the_gain_by_transfer_can_be_seen(shown: Shown) -> None:
    folder, ran = shown
    scored = ran.stdout.split("Scored once")[1]
    accuracy = {
        name: float(score) for score, name in re.findall(r"([\d.]+) % \[.*?\]\s+(small_cnn \(\w+|pixels)", scored)
    }
    assert accuracy["small_cnn (encoder"] > accuracy["small_cnn (random"]
    assert accuracy["small_cnn (encoder"] > accuracy["pixels"]
    card = json.loads((folder / "results" / "model" / "model.json").read_text())
    assert card["weights_name"] == "encoder.safetensors"
    assert card["scores"]["test"]["n_images"] == 871
    page = (folder / "results" / "report.html").read_text()
    assert "For comparison" in page
    assert "random, seed 0" in page


def test_a_tail_stands_beside_the_linear_heads_on_the_same_images(shown: Shown) -> None:
    folder, ran = shown
    beside = ran.stdout.split("Trained further from features.8 on, on the same 871 images of test:\n")[1]
    first, *others = beside.splitlines()[:4]
    assert first.endswith(" tail")
    assert sorted(line.split()[-4] for line in others) == ["lda", "logreg", "ridge"]
    assert re.search(
        r"^fine-tuning is (not better than chance allows|better|worse) \(paired test", beside, re.MULTILINE
    )
    page = folder / "results" / "finetune" / "report.html"
    assert f"report  {os.path.relpath(page, folder.parent)}   ← open this in a browser" in beside
    assert "Beside the linear heads" in page.read_text()


def test_every_step_is_a_task_whose_name_reads_well(shown: Shown) -> None:
    with closing(sqlite3.connect(shown[0].parent / "prefect" / "prefect.db")) as database:
        (flow,) = database.execute("select name, state_name from flow_run").fetchall()
        tasks = database.execute("select name, state_name from task_run order by name").fetchall()
        artifacts = dict(database.execute("select key, type from artifact where key is not null").fetchall())
    assert flow == ("digits", "Completed")
    assert tasks == [(name, "Completed") for name in TASKS]
    assert artifacts == {
        "embedding-pixels": "progress",
        "embedding-small-cnn": "progress",
        "digits-chart": "image",
        "digits-finetune-heads": "table",
        "digits-finetune-report": "markdown",
        "digits-leaderboard": "table",
        "digits-report": "markdown",
    }


def test_prefects_own_server_ends_with_the_run(shown: Shown) -> None:
    assert servers_of(shown[0].parent / "prefect") == []


def servers_of(home: Path) -> list[int]:
    """The processes of a Prefect server whose files lie in this folder."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        try:
            if any("prefect.server" in word for word in process.info["cmdline"] or []):
                found += [process.pid] if process.environ().get("PREFECT_HOME") == str(home) else []
        except psutil.Error:
            continue  # it ended meanwhile, or is another user's
    return found


def test_its_cache_keeps_the_contract(shown: Shown) -> None:
    check_cache(EmbeddingCache(shown[0] / "digits.headstart"))


def test_the_digits_are_real_png_files_with_the_classes_apart(shown: Shown) -> None:
    source, target = (list_images(shown[0] / name).rows for name in ("source", "target"))
    assert sorted(source["label"].unique()) == list("01234")
    assert sorted(target["label"].unique()) == list("56789")
    assert target[target["split"] == "train"]["label"].value_counts().to_dict() == dict.fromkeys(
        "56789", TRAIN_PER_CLASS
    )
    assert len(source) + len(target) == 1797


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "paper.csv").touch()
    (tmp_path / "experiment.toml").write_text('images = "mine"')  # as a demonstration's, but not one
    with pytest.raises(JobError, match="holds other files; name an empty or a new folder"):
        demo(tmp_path)
    assert (tmp_path / "thesis.tex").read_text() == "years of work"
    assert (tmp_path / "results" / "paper.csv").exists()
