"""The quick order of `headstart rank` against the order after a full sweep, beside one that looks at nothing.

Real encoders of ImageNet are read from a folder of weights: mobilenet_v2 and squeezenet1_0 as torchvision's state
dicts, tf_efficientnet_lite0, lite1 and lite2 as timm's, as many of them as are there; each gives features of several
layers. For each set of images every layer is ranked in a moment, and then swept: four heads with their grids, on the
same training images, and the winner's score by folds is the order that counts. Kendall's τ of each order with that one
is printed, and the score that is lost by taking the first of each.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import kendalltau

HEADS = ["logreg", "ridge", "knn", "lda"]
ENCODERS = {
    "mobilenet_v2": ("mobilenet_v2-imagenet.pth", ("features.7", "features.11", "features.14", "features.17")),
    "squeezenet1_0": ("squeezenet1_0-imagenet.pth", ("features.4", "features.7", "features.9")),
    "timm/tf_efficientnet_lite0": ("tf_efficientnet_lite0-imagenet.safetensors", ("blocks.2", "blocks.4")),
    "timm/tf_efficientnet_lite1": ("tf_efficientnet_lite1-imagenet.safetensors", ("blocks.2", "blocks.4")),
    "timm/tf_efficientnet_lite2": ("tf_efficientnet_lite2-imagenet.safetensors", ("blocks.2", "blocks.4")),
}
"""File of the weights, and layers beside the penultimate one."""


def write_digits(folder: Path, n_images: int) -> Path:
    """Write scikit-learn's digits as PNG files, a folder for each."""
    from PIL import Image
    from sklearn.datasets import load_digits

    digits = load_digits()
    for number, (pixels, label) in enumerate(zip(digits.images[:n_images], digits.target[:n_images], strict=True)):
        place = folder / str(label)
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray((pixels * 15.9).astype(np.uint8)).resize((64, 64)).convert("RGB").save(place / f"{number}.png")
    return folder


def embed(images: Path, weights: Path, cache: Path) -> list[str]:
    """Embed the images with each encoder whose weights are there, and return their names."""
    from headstart.flows import extract

    used = []
    for name, (file, layers) in ENCODERS.items():
        if (weights / file).is_file():
            taps = ["penultimate", *(f"{layer}:avg" for layer in layers)]
            extract(images, name, weights=str(weights / file), tap=taps, cache=cache, precision="fp32")
            used.append(name)
    return used


def swept(cache: Path, row: Any) -> float:
    """Return the score by folds of the best of all heads on one layer."""
    from headstart.extractors.cache import EmbeddingCache
    from headstart.flows.problem import pose_problem
    from headstart.heads.registry import FeatureSet, expand
    from headstart.heads.splits import plan_splits
    from headstart.heads.sweep import Running, sweep

    problem = pose_problem(EmbeddingCache(cache), keys=[row.key])
    plan = plan_splits(problem.y, split=problem.split, groups=problem.groups, class_names=problem.class_names)
    features = problem.find(row.key, row.tap).features
    source = FeatureSet(features=features, backbone=row.backbone, tap=row.tap, key=row.key)
    candidates, by = expand([source], HEADS), {"metric": "accuracy", "groups": problem.groups}
    results = sweep(candidates, problem.y, plan, running=Running(), **by)
    return float(results[0].scores["accuracy"].value)


def compare(images: Path, weights: Path, room: Path) -> dict[str, Any]:
    """Rank and sweep one set of images."""
    from headstart.flows.transfer.ranking import rank

    cache = room / f"{images.name}.headstart"
    encoders = embed(images, weights, cache)
    started = time.perf_counter()
    found = rank(cache, out=room / "ranking")
    quick = time.perf_counter() - started
    started = time.perf_counter()
    full = [swept(cache, row) for row in found.rows]
    slow = time.perf_counter() - started
    orders = {
        "the better of kNN and ridge": [row.score for row in found.rows],
        "the mean of kNN and ridge": [row.knn + row.ridge for row in found.rows],
        "kNN": [row.knn for row in found.rows],
        "ridge": [row.ridge for row in found.rows],
        "LogME": [row.logme for row in found.rows],
        "H-score": [row.h_score for row in found.rows],
        f"static, by {found.static_by}": [-(row.static or 0) for row in found.rows],
    }
    return {
        "images": found.images,
        "encoders": encoders,
        "layers": len(found.rows),
        "rank_seconds": round(quick, 3),
        "sweep_seconds": round(slow, 3),
        "best": round(max(full), 4),
        "orders": {
            name: {
                "tau": round(float(kendalltau(values, full).statistic), 3),
                "lost": round(max(full) - full[int(np.argmax(values))], 4),
            }
            for name, values in orders.items()
        },
    }


def show(results: dict[str, dict[str, Any]]) -> None:
    """Print a table for people, 80 columns wide."""
    for name, found in results.items():
        print(
            f"{name}: {found['layers']} layers of {len(found['encoders'])} encoders on {found['images']} images; "
            f"ranked in {found['rank_seconds']:.1f} s,\nswept in {found['sweep_seconds']:.1f} s; the best layer has "
            f"{100 * found['best']:.1f} %"
        )
        print(f"{'order by':<34}{'τ with the sweep':>18}{'first one loses':>18}")
        for order, one in found["orders"].items():
            print(f"{order:<34}{one['tau']:>18.2f}{100 * one['lost']:>16.1f} %")


def parser_of_sets(doc: str | None, *, digits: int) -> argparse.ArgumentParser:
    """Return a parser with the arguments of every benchmark that goes over image sets and digits."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", nargs="*", type=Path, help="image sets; scikit-learn's digits are one more")
    parser.add_argument("--weights", type=Path, required=True, help="folder with the encoders' weights")
    parser.add_argument("--digits", type=int, default=digits, help=f"digits that are taken ({digits}); 0 for none")
    return parser


def over_sets(options: argparse.Namespace, measure: Callable[[Path, Path], Any]) -> dict[str, Any]:
    """Measure each set in turn, with a folder for what is made on the way; by the sets' names."""
    with tempfile.TemporaryDirectory() as folder:
        sets = [one.resolve() for one in options.images]
        if options.digits:
            sets.append(write_digits(Path(folder) / "digits", options.digits))
        return {one.name: measure(one, Path(folder)) for one in sets}


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Run the benchmark from the command line."""
    parser = parser_of_sets(__doc__, digits=1000)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)
    results = over_sets(options, lambda one, folder: compare(one, options.weights, folder))
    print(json.dumps(results, indent=1)) if options.json else show(results)
    return results


if __name__ == "__main__":
    main()
