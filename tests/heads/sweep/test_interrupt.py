"""Ctrl-C as a terminal sends it: to the whole process group."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import sys
import time
from pathlib import Path
import numpy as np
from headstart.heads import HEADS, Head, register
from headstart.heads.registry.candidates import Candidate
from headstart.heads.splits import plan_splits
from headstart.heads.sweep.run import Running, sweep

announced = Path(sys.argv[2])

def make(params, seed):  # one candidate is fitted at once, the other never ends
    if params["number"]:
        while not announced.exists():
            time.sleep(0.01)
        print("in the middle of a fit", flush=True)
        time.sleep(600)
    return HEADS["dummy"].make({}, seed)

if __name__ == "__main__":
    register(Head(name="slow", summary=".", make=make, grid={}))
    source = {"features": np.ones((20, 2)), "backbone": "b", "tap": "t", "key": "k", "head": "slow"}
    candidates = [Candidate(**source, params={"number": number}) for number in (0, 1)]
    y = np.tile([0, 1], 10)
    running = Running(dask=sys.argv[1], workers=2, on_result=lambda _: announced.touch())
    try:
        sweep(candidates, y, plan_splits(y, folds=2), running=running)
    except KeyboardInterrupt:
        sys.exit(130)
"""


@pytest.mark.parametrize("dask", ["threads", "processes"])
def test_ctrl_c_ends_a_sweep_without_a_word_and_leaves_no_worker(dask, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    root = str(Path(__file__).parents[3])
    started = subprocess.Popen(
        [sys.executable, script, dask, tmp_path / "announced"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": root, "OMP_NUM_THREADS": "1"},
        start_new_session=True,
    )
    with started:
        assert started.stdout.readline() == "in the middle of a fit\n"
        os.killpg(started.pid, signal.SIGINT)
        _, errors = started.communicate(timeout=60)  # which also waits for every worker that holds the pipe
    assert (started.returncode, errors) == (130, "")
