"""No command lets other machines in: whatever listens while it works, in any of its processes, listens on loopback.

`headstart run` is looked at in `test_run_signals`, `serve` in `serving.test_server`, `demo` in `test_demo`.
"""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.dask_processes import end
from support.forked import Forked
from support.prefect_queries import wait_for
from support.process_trees import listeners, listening_here, open_to_others

from headstart.flows.cli.app import app, main
from headstart.flows.exploring import open as open_cache

HEAD = "support.gated_head:Gated"
BACKBONE = "support.gated_model:build"
# The command line on a machine with one core: one worker listens as others would, and each takes seconds to start.
PROGRAM = """
import os
import headstart.heads.sweep.cluster
headstart.heads.sweep.cluster.CPU_COUNT = 1
os.cpu_count = lambda: 1
from headstart.flows.cli.app import main
main()
"""
EXPERIMENT = f"""
images = "photos"
batch_size = 8
precision = "fp32"
[[extract]]
backbone = "{BACKBONE}"
[fit]
head = ["{HEAD}"]
folds = 2
"""


class Gate:
    """Where a command waits amid its work, until it is let through."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._allowed = folder, folder / "allowed"
        folder.mkdir(exist_ok=True)
        self._allowed.write_text("0")

    def reached(self) -> bool:
        return any(self._folder.glob("waits-*"))

    def open(self) -> None:
        self._allowed.unlink()


class Working(ExitStack):
    """A command in a process of its own, with two gates: amid the first shard, and amid the first fit."""

    def __init__(self, folder: Path, environment: dict[str, str], *words: object) -> None:
        super().__init__()
        self.gates = [Gate(folder), Gate(folder / "fit")]
        self._log = folder / "log"
        own = environment | {"GATE": str(folder)}
        self.process = Forked("-c", PROGRAM, *words, env=own, out=self._log, cwd=folder)
        self.callback(end, self.process)

    def check_closed(self, gate: Gate, *, listens: bool = True) -> None:
        """Look at all ports of the command, which has some or none, when it waits at this gate, and let it through."""

        def reached() -> bool:
            assert self.process.poll() is None, self._log.read_text()
            return gate.reached()

        wait_for(reached, "the command to be amid its work")
        assert self.process.pid is not None
        assert bool(listeners(self.process.pid)) == listens  # of Dask's scheduler, or of Prefect's server
        assert open_to_others(self.process.pid) == []
        gate.open()

    def check_ended(self) -> None:
        assert self.process.wait(timeout=240) == 0, self._log.read_text()


@pytest.mark.parametrize("dask", ["threads", "processes"])
def test_fit_listens_on_loopback_alone(
    embed: Callable[..., Any], tmp_path: Path, environment: dict[str, str], dask: str
) -> None:
    cache = embed(backbone="pixels", weights="default").cache
    with Working(tmp_path, environment, "fit", cache, "--head", HEAD, "--dask", dask, "--folds", "2") as working:
        working.check_closed(working.gates[1], listens=dask == "processes")  # threads need no port
        working.check_ended()


def test_extract_on_local_workers_listens_on_loopback_alone(
    photos: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    words = ["extract", photos, "--backbone", BACKBONE, "--dask", "local", "--batch-size", "8"]
    with Working(tmp_path, environment, *words) as working:
        working.check_closed(working.gates[0])
        working.check_ended()


def test_a_night_listens_on_loopback_alone_while_it_embeds_and_while_it_fits(
    photos: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    (tmp_path / "birds.toml").write_text(EXPERIMENT)
    with Working(tmp_path, environment, "nightly", "birds.toml") as working:
        for gate in working.gates:
            working.check_closed(gate)
        working.check_ended()


QUIET = {  # commands that start no other process, and what they are typed with
    "backbones": "small*",
    "summary": "small_cnn",
    "heads": "",
    "inspect": "CACHE",
    "extract": "PHOTOS --backbone pixels --cache CACHE",
    "verify": "CACHE --repair",
    "compact": "CACHE",
    "export": "CACHE --to all.npy",
    "cluster": "CACHE",
    "similar": "CACHE 0",
    "next": "CACHE",
    "rank": "CACHE",
    "zeroshot": "CACHE --classes CLASSES --method clip",
    "adapt": "CACHE --labels LABELS --target label --domain camera --to new --method coral",
    "multitask": "CACHE",
    "reduce": "CACHE",
    "episodes": "CACHE --ways 2 --shots 1 --queries 3 --count 9",
    "advise": "CACHE",
    "pretrain": "PHOTOS --epochs 1 --shots 0 --cache CACHE",
    "guide": "CACHE --source CACHE --shots 1 --draws 2 --scouts 1 --steps 1",
    "predict": "RESULTS PHOTOS",
    "graft": "TAIL --out grafted.pth",
    "results": "CACHE",
    "compare": "RESULTS RESULTS",
    "doctor": "",
}
WITH_OTHERS = {"fit", "finetune", "run", "nightly", "serve", "demo"}  # looked at below, above, and in other files


def test_no_command_is_forgotten() -> None:
    assert {command.callback.__name__ for command in app.registered_commands} == QUIET.keys() | WITH_OTHERS


@pytest.fixture
def fitted(embed: Callable[..., Any], photos: Path, elsewhere: Path) -> dict[str, str]:
    """What stands for the words in capitals."""
    with listening_here() as addresses:
        cache = embed(backbone="pixels", weights="default").cache
        main_ends(f"fit {cache} --head dummy --folds 2 --out {elsewhere / 'results'}".split())
        maps = embed(cache=elsewhere / "maps").cache
        main_ends(f"finetune {maps} --from features.8 --epochs 1 --out {elsewhere / 'tail'}".split())
        assert addresses == []  # both run in threads of this process
    np.savez(elsewhere / "classes.npz", cat=np.ones(3072), dog=np.arange(3072), owl=-np.ones(3072))
    places = {"CLASSES": "classes.npz", "LABELS": "labels.csv", "RESULTS": "results", "TAIL": "tail"}
    table = open_cache(cache).images
    table.assign(camera=["old", "new"] * (len(table) // 2)).to_csv(elsewhere / "labels.csv", index=False)
    return {"CACHE": cache, "PHOTOS": str(photos)} | {name: str(elsewhere / at) for name, at in places.items()}


def main_ends(words: list[str]) -> None:
    with pytest.raises(SystemExit, match=r"[01]"):
        main(words)


def test_other_commands_listen_nowhere(fitted: dict[str, str]) -> None:
    for command, words in QUIET.items():
        with listening_here() as addresses:
            main_ends([command, *(fitted.get(word, word) for word in words.split())])
        assert addresses == [], command
