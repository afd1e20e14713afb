"""Every GPU test and benchmark, each part a process with a limit of time, as one table; `gpu.sh` runs it.

- tests: those that need a CUDA device and skip elsewhere, where pytest is installed;
- extraction: photographs to features in float32 and bfloat16, decoded by Pillow on all cores or by nvJPEG, uncompiled
  and compiled, beside the loop of the tutorials on the same device; and the least cosine to float32 on the CPU;
- sweeps: mlp and linear-torch on the device beside the CPU; logreg and ridge, which are solved on the CPU whatever
  the device, beside scikit-learn's search there;
- finetuning: an epoch of a tail on cached maps, beside the CPU.

All sides of a part run in one process, alternating; seconds and ratios are medians over the rounds. A part that fails
or takes too long is a row of the table with the reason; what it measured before stays.
"""

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from gpu_rows import say

LIMITS = {"tests": 110, "extraction": 200, "sweeps": 80, "finetuning": 60}
"""Seconds of each part: 450 together, which leaves 30 of eight minutes for starting."""

Row = dict[str, Any]


def describe(device: str) -> str | None:
    """Say in a line which device and libraries these are; None where there is no such device."""
    import torch

    machine = f"{os.cpu_count()} cores, Python {platform.python_version()}, torch {torch.__version__}"
    if device == "cpu":
        return f"the CPU in place of a GPU, at tiny sizes; {machine}"
    if not torch.cuda.is_available():
        return None
    found = torch.cuda.get_device_properties(device)
    return f"{found.name}, {found.total_memory / 2**30:.0f} GiB, CUDA {torch.version.cuda}; {machine}"


def run_part(part: str, options: argparse.Namespace, seconds: float) -> list[Row]:
    """Run a part in a process of its own, and return its rows; at the end of its time it is ended with its children."""
    command = [sys.executable, __file__, "--part", part, "--device", options.device, "--seconds", str(int(seconds))]
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(  # noqa: S603 - this very script
            command, stdout=subprocess.PIPE, stderr=errors, text=True, start_new_session=True
        )
        try:
            printed, late = process.communicate(timeout=seconds)[0], False
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            printed, late = process.communicate()[0], True
        errors.seek(0)
        last = (errors.read().strip().splitlines() or ["it said nothing"])[-1]
    rows = [json.loads(line) for line in printed.splitlines() if line.startswith("{")]
    if late:
        return [*rows, {"what": part, "failed": f"ended after {seconds:.0f} s"}]
    if process.returncode:
        return [*rows, {"what": part, "failed": f"exit status {process.returncode}: {last}"}]
    return rows or [{"what": part, "failed": "it measured nothing"}]


def run_tests(options: argparse.Namespace) -> None:
    """Run the tests that skip without a GPU, and those of what a GPU decodes."""
    from importlib.util import find_spec

    if find_spec("pytest") is None:
        say("tests", note="left out: pytest is not installed")
        return
    root = Path(__file__).parents[1]
    ours = [path for wing in ("extractors", "heads") for path in sorted((root / "tests" / wing).rglob("test_*.py"))]
    files = [str(path) for path in ours if "torch.cuda.is_available()" in path.read_text("utf-8")]
    # A configuration of its own: ours asks for plugins that may not be here.
    command = [sys.executable, "-m", "pytest", "-q", "-rfE", "-c", os.devnull, f"--rootdir={root}"]
    command += ["--import-mode=importlib", "-p", "no:cacheprovider", "--continue-on-collection-errors", "-k"]
    command += ["gpu_gives" if options.device == "cpu" else "gpu", *files]
    ran = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, cwd=root)  # noqa: S603 - our own tests
    lines = [line for line in ran.stdout.splitlines() if line.strip()]
    for line in lines:
        if line.startswith(("FAILED", "ERROR")):
            say("tests", failed=line)
    if ran.returncode == 5:
        say("tests", failed="none ran")
    say("tests", note=lines[-1].strip("= ") if lines else "")


def show(rows: list[Row], machine: str, seconds: float) -> None:
    """Print the table."""
    print(f"{machine}\nextraction in images/s, all else in seconds; × is how many times as fast as the other side")
    print(f"{'':<13}{'':<30}{'ours':>8}  {'other side':<14}{'':>8}{'×':>7}")
    for row in rows:
        if "failed" in row:
            print(f"{row['what']:<13}FAILED: {row['failed']}")
            continue
        cells = f"{row['what']:<13}{row['setting']:<30}{_number(row, 'ours'):>8}"
        cells += f"  {row.get('other', ''):<14}{_number(row, 'theirs'):>8}{_number(row, 'ratio'):>7}"
        print(f"{cells}  {row['note']}" if "note" in row else cells.rstrip())
    failed = sum("failed" in row for row in rows)
    print(f"{seconds:.0f} s; {f'{failed} failed' if failed else 'nothing failed'}")


def _number(row: Row, name: str) -> str:
    value = row.get(name)
    if value is None:
        return ""
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def main(arguments: list[str] | None = None) -> int:
    """Run all parts, print the table, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = os.environ.get("HEADSTART_GPU_DEVICE", "cuda")
    parser.add_argument("--device", default=default, help="cuda, cuda:1, or cpu to try the script (cuda)")
    parser.add_argument("--parts", nargs="+", choices=LIMITS, default=list(LIMITS), help="(all)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--part", choices=LIMITS, help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=int, default=60, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.part:
        _run_here(options)
        return 0
    machine, begun = describe(options.device), time.monotonic()
    if machine is None:
        print("no CUDA device: run it on a machine with a GPU, or try the script with --device cpu")
        return 2
    rows = [row for part in options.parts for row in run_part(part, options, LIMITS[part])]
    seconds = time.monotonic() - begun
    if options.json:
        print(json.dumps({"machine": machine, "seconds": seconds, "rows": rows}, indent=1))
    else:
        show(rows, machine, seconds)
    return int(any("failed" in row for row in rows))


def _run_here(options: argparse.Namespace) -> None:
    """Run a part in this process."""
    if options.part == "tests":
        run_tests(options)
        return
    from importlib import import_module

    import_module(f"gpu_{options.part}").run(options.device, time.monotonic() + options.seconds - 10)


if __name__ == "__main__":
    sys.exit(main())
