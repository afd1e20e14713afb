"""`benchmarks/gpu.sh` measures all that runs on a GPU where little is installed, in its time, and says what failed."""

import json
import os
import re
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest
import torch
from support.benchmarks import load
from support.source_modules import ROOT

SCRIPT = ROOT / "benchmarks" / "gpu.sh"
THERE = {"torch", "torchvision", "h5py", "scikit-learn", "numpy", "scipy", "pillow"}
BROUGHT = {"filelock", "fsspec", "jinja2", "joblib", "threadpoolctl"}  # by torch and scikit-learn

# What the machine lacks cannot be found.
LACKING = """
import importlib.machinery, os, sys
lacking = set(os.environ["LACKING"].split())
class Finder(importlib.machinery.PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in lacking else super().find_spec(name, path, target)
sys.meta_path[:] = [Finder if one is importlib.machinery.PathFinder else one for one in sys.meta_path]
for part in ("extraction", "sweeps", "finetuning"):
    __import__("gpu_" + part).run("cpu", float("inf"))
print(*sorted(lacking & set(sys.modules)))
print(sys.modules["lazy_loader"].__file__)
"""


def lacking() -> set[str]:
    """Return the modules of our dependencies that neither the machine has nor what it has brings."""
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    names = {re.split(r"[<>=\[ ]", one)[0] for one in needed} - THERE - BROUGHT - {"lazy-loader"}
    return names | {"timm", "pytest", "click", "scikit-learn-intelex"}


def test_the_engine_extracts_sweeps_and_trains_with_torch_and_scikit_learn_alone() -> None:
    paths = [str(ROOT / "benchmarks" / "without"), str(ROOT), str(ROOT / "benchmarks")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths), "LACKING": " ".join(lacking())}
    environment |= {"OMP_NUM_THREADS": "1", "HEADSTART_DATA": ""}
    done = subprocess.run(
        [sys.executable, "-c", LACKING], env=environment, capture_output=True, text=True, check=False, cwd="/"
    )
    assert done.returncode == 0, done.stderr
    *printed, loaded, stand_in = done.stdout.splitlines()
    rows = [json.loads(line) for line in printed]
    assert [row for row in rows if "failed" in row] == []
    assert {row["what"] for row in rows} == {"mnasnet0_5", "mlp", "linear-torch", "logreg", "ridge", "mobilenet_v2"}
    assert all(row["ours"] > 0 and row["theirs"] > 0 and row["ratio"] > 0 for row in rows)
    cosines = [float(row["note"].split()[1]) for row in rows if row["note"].startswith("cosine")]
    assert len(cosines) == 2
    assert min(cosines) > 0.999
    assert loaded == ""
    assert Path(stand_in) == ROOT / "benchmarks" / "without" / "lazy_loader.py"


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
def test_without_a_gpu_the_script_says_so_in_one_line_and_how_to_try_it() -> None:
    environment = {
        name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "HEADSTART_GPU_DEVICE"}
    }
    done = subprocess.run(
        ["sh", str(SCRIPT)], env=environment | {"PYTHON": sys.executable}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stdout.splitlines() == [
        "no CUDA device: run it on a machine with a GPU, or try the script with --device cpu"
    ]
    assert done.stderr == ""


def test_a_part_that_fails_or_takes_too_long_is_a_row_and_keeps_what_it_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    script = tmp_path / "part.py"
    row = {"what": "net", "setting": "fp32", "ours": 812.3, "other": "loop", "theirs": 64, "ratio": 12.7}
    script.write_text(
        "import sys, time\n"
        f"print({json.dumps(row)!r}, flush=True)\n"
        'part = sys.argv[sys.argv.index("--part") + 1]\n'
        'if part == "sweeps": raise RuntimeError("CUDA out of memory")\n'
        'if part == "finetuning": time.sleep(600)\n'
    )
    bench = load("bench_gpu")
    monkeypatch.setattr(bench, "__file__", str(script))
    monkeypatch.setattr(bench, "LIMITS", {"extraction": 60, "sweeps": 60, "finetuning": 1})
    assert bench.main(["--device", "cpu", "--parts", "extraction"]) == 0
    assert "nothing failed" in capsys.readouterr().out
    begun = time.monotonic()
    assert bench.main(["--device", "cpu", "--parts", "extraction", "sweeps", "finetuning"]) == 1
    assert time.monotonic() - begun < 300
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if "FAILED" in line] == [
        "sweeps       FAILED: exit status 1: RuntimeError: CUDA out of memory",
        "finetuning   FAILED: ended after 1 s",
    ]
    measured = [line.split() for line in lines if line.startswith("net")]
    assert measured == [["net", "fp32", "812", "loop", "64.0", "12.7"]] * 3
    assert max(map(len, lines)) < 110


def test_one_setting_that_fails_leaves_the_others_their_rows(capsys: pytest.CaptureFixture[str]) -> None:
    rows = load("gpu_rows")
    with rows.failing_in_its_row("resnet50", "fp32, nvJPEG"):
        raise RuntimeError("nvjpegDecodeBatched failed: 6\n\nand more")
    assert json.loads(capsys.readouterr().out)["failed"] == (
        "fp32, nvJPEG: RuntimeError: nvjpegDecodeBatched failed: 6"
    )


def test_all_parts_together_stay_under_eight_minutes() -> None:
    assert sum(load("bench_gpu").LIMITS.values()) <= 460


def test_the_tests_that_need_a_gpu_are_among_those_that_the_script_runs() -> None:
    skipped = {path for path in (ROOT / "tests").rglob("test_*.py") if 'reason="needs a CUDA GPU"' in path.read_text()}
    assert {path.relative_to(ROOT / "tests").parts[0] for path in skipped} <= {
        "extractors",
        "heads",
        "test_gpu_script.py",
    }
    unnamed = [
        name
        for path in skipped - {Path(__file__)}
        for name in re.findall(r'reason="needs a CUDA GPU"\)\n(?:@.*\n)*def (test_\w+)', path.read_text())
        if "gpu" not in name
    ]
    assert unnamed == []
