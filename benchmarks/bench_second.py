"""Second run: as many new photographs into the cache of a first one, which compiled the network and kept it.

Each run is a process of its own, and each round begins with an empty folder for compiled networks. Both runs compile
(`--compile on`); the second has nothing to calibrate or to compile, so its images a second with set-up come near those
without. Processor seconds stand beside, for a machine that is not alone. Figures are medians over the rounds.
"""

import argparse
import importlib
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench_extract import make_photographs, timed


def run(images: Path, backbone: str, weights: str, cache: Path) -> dict[str, float]:
    """Time `headstart extract`; its libraries are loaded before."""
    from headstart.flows.extraction import extract

    for library in ("headstart.extractors.extraction.extraction", "headstart.extractors.backbones.registry"):
        importlib.import_module(library)
    importlib.import_module("torchvision")
    begun = processor_seconds()
    seconds, summary = timed(lambda: extract(images, backbone, weights=weights, cache=cache, compile="on"))
    (key,) = summary.keys
    return {
        "images": summary.embedded,
        "seconds": seconds,
        "set_up": key.stages["set up"],
        "processor_seconds": processor_seconds() - begun,
    }


def processor_seconds() -> float:
    """Return the seconds of this process and of the compilers that it started."""
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in spent)


def measure(count: int, backbone: str, weights: str, rounds: int) -> dict[str, dict[str, float]]:
    """Seconds of the first and the second run, and the shares of the rate without set-up that they reach."""
    found: dict[str, list[dict[str, float]]] = {"first": [], "second": []}
    for _ in range(rounds):
        with tempfile.TemporaryDirectory(prefix="headstart-bench-") as scratch:
            images, later, cache = (Path(scratch) / name for name in ("images", "later", "cache"))
            photographs = sorted(make_photographs(images, 2 * count).rglob("*.jpg"))
            for path in photographs[count:]:
                (later / path.parent.name).mkdir(parents=True, exist_ok=True)
                path.rename(later / path.parent.name / path.name)
            os.environ["XDG_CACHE_HOME"] = f"{scratch}/home"
            for name, runs in found.items():
                command = [sys.executable, __file__, "--run", backbone, "--weights", weights]
                done = subprocess.run(  # noqa: S603 - this very script
                    [*command, "--folder", str(images), "--cache", str(cache)],
                    stdout=subprocess.PIPE,
                    check=True,
                    text=True,
                )
                runs.append(json.loads(done.stdout))
                if name == "first":
                    shutil.copytree(later, images, dirs_exist_ok=True)
    return {name: described(runs) for name, runs in found.items()}


def described(runs: list[dict[str, float]]) -> dict[str, float]:
    """Take medians, and set the rates with and without set-up beside each other."""
    middle = {name: statistics.median(one[name] for one in runs) for name in runs[0]}
    share = statistics.median((one["seconds"] - one["set_up"]) / one["seconds"] for one in runs)
    rate = statistics.median(one["images"] / one["seconds"] for one in runs)
    return {name: round(value, 3) for name, value in (middle | {"images_a_second": rate, "share": share}).items()}


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=400, help="photographs of 500×375 a run (400)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--backbone", nargs="+", default=["resnet50", "mobilenet_v2"])
    parser.add_argument("--weights", default="none", help="a file of weights (random ones)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--run", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--cache", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.run:
        print(json.dumps(run(options.folder, options.run, options.weights, options.cache)))
        return {}
    results = {name: measure(options.images, name, options.weights, options.rounds) for name in options.backbone}
    if options.json:
        print(json.dumps(results, indent=1))
        return results
    print(f"{'':<24}{'images/s':>9}{'set up':>9}{'of the rate without':>21}{'processor':>11}")
    for backbone, runs in results.items():
        for name, one in runs.items():
            print(
                f"{f'{backbone}, {name} run':<24}{one['images_a_second']:>9.1f}{one['set_up']:>7.1f} s"
                f"{100 * one['share']:>19.0f} %{one['processor_seconds']:>9.1f} s"
            )
    return results


if __name__ == "__main__":
    main()
