"""Encoders that learned without labels, beside the same network with random weights, and beside raw pixels.

Scikit-learn's digits are halved: from one half, whose labels nobody is told, an encoder learns each of the tasks; five
labels a class of it then tell the other half. For each seed the network, the halves and the draws are others; printed
are means over the seeds, layer by layer, with the ends of the mean's interval over seeds where there are several, and
else those over draws and images. Folders of photographs that are named are done likewise, on their own splits.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import t

TASKS = ("rotation", "masked", "denoise")
TAPS = ["features.3:avg", "features.7:avg", "features.11:avg", "features.3:flatten", "features.7:flatten"]
TAPS += ["features.11:flatten", "penultimate"]


def write_digits(folder: Path, seed: int, n_images: int) -> Path:
    """Write scikit-learn's digits as PNG files of 32 pixels a side, half of them below train/, half below test/."""
    from PIL import Image
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    for place, number in enumerate(np.random.default_rng(seed).permutation(len(pixels))[:n_images]):
        file = folder / ("train", "test")[place % 2] / str(labels[number]) / f"{number:04d}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        image = Image.fromarray((pixels[number].reshape(8, 8) * (255 / 16)).astype(np.uint8))
        image.resize((32, 32), Image.Resampling.BICUBIC).save(file)
    return folder


def learned(images: Path, task: str, seed: int, folder: Path, options: dict[str, Any]) -> dict[str, Any]:
    """Let an encoder learn from a set of images, and return what it is worth."""
    from headstart.flows.transfer.pretraining import pretrain

    began = time.perf_counter()
    found = pretrain(
        images, task=task, seed=seed, tap=TAPS, cache=folder / "cache", out=folder / f"{task}-{seed}", **options
    )
    rows = {f"{row.weights} {row.tap}": row for row in found.rows}
    return {
        "loss": found.loss,
        "trivial": found.trivial,
        "turns told": found.accuracy,
        "seconds": time.perf_counter() - began,
        "verdict": found.verdict,
        "accuracy": {name: row.accuracy.value for name, row in rows.items()},
        "over random": {row.tap: _ends(row.over_random) for row in found.rows if row.over_random},
        "over pixels": {row.tap: _ends(row.over_pixels) for row in found.rows if row.over_random and row.over_pixels},
    }


def _ends(found: Any) -> list[float]:
    return [found.value, found.low, found.high]


def over_seeds(found: Sequence[Sequence[float]]) -> list[float]:
    """Return the mean with the ends of its interval: over seeds where there are several, as measured where not."""
    values = np.array(found)[:, 0]
    if len(values) == 1:
        return list(found[0])
    reach = float(t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))
    return [float(values.mean()), float(values.mean()) - reach, float(values.mean()) + reach]


def summarised(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Join the runs of one task: means, differences with intervals, and what is claimed of both."""
    accuracy = {name: float(np.mean([run["accuracy"][name] for run in runs])) for name in runs[0]["accuracy"]}
    over = {
        control: {tap: over_seeds([run[control][tap] for run in runs]) for tap in runs[0][control]}
        for control in ("over random", "over pixels")
    }
    middle = max(accuracy[f"pre-trained {tap}"] for tap in TAPS[:-1])
    return {
        **{name: float(np.mean([run[name] for run in runs])) for name in ("loss", "trivial", "seconds")},
        "turns told": None if runs[0]["turns told"] is None else float(np.mean([run["turns told"] for run in runs])),
        "accuracy": accuracy,
        **over,
        "beats random weights": over["over random"]["penultimate"][1] > 0,
        "beats raw pixels": over["over pixels"]["penultimate"][1] > 0,
        "a middle layer beats the last": middle > accuracy["pre-trained penultimate"],
    }


def show(name: str, task: str, found: dict[str, Any]) -> None:
    """Print the table of one task on one image set."""
    print(
        f"\n{name}, {task}: loss {found['loss']:.3f} of {found['trivial']:.3f}"
        + ("" if found["turns told"] is None else f", {100 * found['turns told']:.1f} % of the turns told")
        + f", {found['seconds']:.0f} s"
    )
    print(f"{'layer':22}{'learned':>9}{'random':>9}  {'over random, points':24}over raw pixels, points")
    for tap in TAPS:
        own, random = (100 * found["accuracy"][f"{kind} {tap}"] for kind in ("pre-trained", "random"))
        ends = [
            "{:+5.1f} [{:+.1f}, {:+.1f}]".format(*(100 * end for end in found[control][tap]))
            for control in ("over random", "over pixels")
        ]
        print(f"{tap:22}{own:9.1f}{random:9.1f}  {ends[0]:24}{ends[1]}")
    print(f"{'raw pixels':22}{'':9}{100 * found['accuracy']['raw pixels raw pixels']:9.1f}")
    claims = ("beats random weights", "beats raw pixels", "a middle layer beats the last")
    print("; ".join(f"{claim}: {'yes' if found[claim] else 'no'}" for claim in claims), flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("photos", nargs="*", type=Path, help="further image sets, with labels")
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=TASKS)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--images", type=int, default=1797, help="digits")
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--image-size", type=int, help="of the photographs")
    parser.add_argument("--no-digits", action="store_true")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(arguments)
    results: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for name in [*([] if given.no_digits else ["digits"]), *map(str, given.photos)]:
            for task in given.tasks:
                runs = []
                for seed in range(given.seeds):
                    folder, options = (
                        Path(scratch) / f"{Path(name).name}-{seed}",
                        {"epochs": given.epochs, "draws": given.draws},
                    )
                    if name == "digits":
                        images = folder / "digits"
                        if not images.exists():
                            write_digits(images, seed, given.images)
                    else:
                        images = Path(name)
                        options |= {"image_size": given.image_size, "augment": "strong"}
                    runs.append(learned(images, task, seed, folder, options))
                results.setdefault(name, {})[task] = summarised(runs)
                if not given.json:
                    show(Path(name).name, task, results[name][task])
    if given.json:
        print(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
