"""Ctrl-C as a terminal sends it: to the whole process group."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import sys
import numpy as np
from heads.candidates import FeatureSet, expand
from heads.splits import plan_splits
from heads.sweep import sweep

def announce(result):
    print("running", flush=True)

if __name__ == "__main__":
    y = np.tile([0, 1], 500)
    X = np.random.default_rng(0).normal(size=(1000, 200))
    grid = {"logreg": {"C": list(np.geomspace(1e-5, 1, 400))}}
    source = FeatureSet(features=X, backbone="b", tap="t", key="k")
    try:
        sweep(expand([source], ["logreg"], grid), y, plan_splits(y), dask=sys.argv[1], workers=1, on_result=announce)
    except KeyboardInterrupt:
        sys.exit(130)
"""


@pytest.mark.parametrize("dask", ["threads", "processes"])
def test_ctrl_c_ends_a_sweep_without_a_word_and_leaves_no_worker(dask, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    root = str(Path(__file__).parents[2])
    started = subprocess.Popen(
        [sys.executable, script, dask],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": root},
        start_new_session=True,
    )
    with started:
        assert started.stdout.readline() == "running\n"
        os.killpg(started.pid, signal.SIGINT)
        _, errors = started.communicate(timeout=60)  # which also waits for every worker that holds the pipe
    assert (started.returncode, errors) == (130, "")
