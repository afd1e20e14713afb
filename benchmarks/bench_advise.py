"""Advice of `headstart advise` against the test scores that each of the matrix's ways then reaches.

A real encoder of ImageNet is read from a folder of weights, mobilenet_v2 as torchvision's state dict. For each set of
images, advice is asked for, and every way is taken: the best of three linear heads on the last layer, the best on
earlier layers, the last layers fine-tuned, and a small network trained from scratch; beside them the best head on raw
pixels. All are chosen on training images and scored on the same test images; paired tests say whether the advised way
is behind the best one by more than chance. Then likeness: each set as a source of each other one, and of its own half.
"""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

ENCODER, FILE = "mobilenet_v2", "mobilenet_v2-imagenet.pth"
EARLIER = ["features.4:avg", "features.7:avg", "features.11:avg", "features.14:avg", "features.17:avg"]
HEADS = ["logreg", "ridge", "lda"]
TAIL, TAILS = "features.16", {"optimizer": "adamw", "learning_rate": 0.0003, "layer_decay": 0.7, "schedule": "cosine"}
SCRATCH = {"optimizer": "adamw", "learning_rate": 0.003, "schedule": "cosine", "batch_norm": "train"}
WAYS = ["linear-last", "linear-earlier", "finetune-tail", "retrain", "raw pixels"]


def write_digits(folder: Path, n_each: int, n_test: int = 60, digits: range = range(10)) -> Path:
    """Write scikit-learn's digits as PNG files: so many of each to train on, and others to test on."""
    from PIL import Image
    from sklearn.datasets import load_digits

    data, order = load_digits(), np.random.default_rng(0).permutation(1797)
    for digit in digits:
        rows = order[data.target[order] == digit]
        for side, some in (("test", rows[:n_test]), ("train", rows[n_test : n_test + n_each])):
            place = folder / side / str(digit)
            place.mkdir(parents=True, exist_ok=True)
            for row in some:
                pixels = Image.fromarray((data.images[row] * 15.9).astype(np.uint8)).resize((64, 64))
                pixels.convert("RGB").save(place / f"{row}.png")
    return folder


def embed(images: Path, weights: Path, cache: Path) -> dict[str, str]:
    """Embed what the ways need; returns keys by network."""
    from headstart.flows import extract

    asked: dict[str, dict[str, Any]] = {
        ENCODER: {"weights": str(weights / FILE), "tap": ["penultimate", *EARLIER]},
        "raw_pixels": {"weights": "none"},
        "small_cnn": {"weights": "none"},
    }
    return {name: extract(images, name, cache=cache, **own).keys[0].id for name, own in asked.items()}


def train(way: str, cache: Path, keys: dict[str, str], weights: Path, out: Path, epochs: int) -> dict[str, str]:
    """Train layers of a network; returns what it says of each test image."""
    from headstart.flows import finetune

    if way == "finetune-tail":
        given: dict[str, Any] = {"backbone": ENCODER, "weights": str(weights / FILE), "keys": [keys[ENCODER]]}
        found = finetune(cache, TAIL, out=out, epochs=epochs, **given, **TAILS)
    else:  # the first convolution alone keeps its random weights
        given = {"backbone": "small_cnn", "keys": [keys["small_cnn"]], "epochs": 4 * epochs}
        found = finetune(cache, "features.1", out=out, **given, **SCRATCH)
    table = found.to_pandas("predictions")
    return dict(zip(table["path"], table["predicted"].astype(str), strict=True))


def fit_on(taps: list[str], cache: Path, key: str) -> tuple[dict[str, str], dict[str, str]]:
    """Fit the linear heads on some layers and take the best by folds; returns test labels, and what it says."""
    from headstart.extractors.cache import EmbeddingCache
    from headstart.flows.problem import pose_problem
    from headstart.heads.registry import FeatureSet, expand
    from headstart.heads.splits import plan_splits
    from headstart.heads.sweep import Running, fit_final, score_test, select, sweep

    problem = pose_problem(EmbeddingCache(cache), keys=[key])
    plan = plan_splits(problem.y, split=problem.split, groups=problem.groups, class_names=problem.class_names)
    given = {"backbone": "", "key": key}
    sources = [FeatureSet(features=problem.find(key, tap).features, tap=tap, **given) for tap in taps]
    results = sweep(
        expand(sources, HEADS), problem.y, plan, running=Running(), metric="accuracy", groups=problem.groups
    )
    best = select(results).candidate
    found = score_test(fit_final(best, best.features, problem.y, plan), best.features, problem.y, plan)
    paths, names = problem.images.paths(found.rows), problem.class_names
    true = [names[one] for one in problem.y[found.rows]]
    answers = [names[int(one)] for one in found.predictions]
    return dict(zip(paths, true, strict=True)), dict(zip(paths, answers, strict=True))


def compare(images: Path, weights: Path, room: Path, epochs: int) -> dict[str, Any]:
    """Ask for advice on one set, take every way, and hold the advised one against the best one."""
    from headstart.flows.transfer.advice import advise
    from headstart.heads.scoring import Predictions, compare_paired

    cache = room / f"{images.name}.headstart"
    keys = embed(images, weights, cache)
    found = advise(cache, backbone=ENCODER, out=room / f"{images.name}.advice")
    taps = {"linear-last": ["penultimate"], "linear-earlier": EARLIER}
    says = {way: fit_on(some, cache, keys[ENCODER])[1] for way, some in taps.items()}
    true, says["raw pixels"] = fit_on(["penultimate"], cache, keys["raw_pixels"])
    for way in ("finetune-tail", "retrain"):
        says[way] = train(way, cache, keys, weights, room / f"{images.name}.{way}", epochs)
    right = {way: np.array([says[way][path] == label for path, label in true.items()]) for way in WAYS}
    scores = {way: dict(zip(("accuracy", "low", "high"), _interval(right[way]), strict=True)) for way in WAYS}
    trained = [way for way in WAYS if way != "raw pixels"]
    best = max(trained, key=lambda way: scores[way]["accuracy"])
    sides = [Predictions(classes=right[way].astype(int)) for way in (best, found.advice.action)]
    apart = compare_paired("accuracy", np.ones(len(true), int), *sides)
    return {
        "images_per_class": found.images_per_class,
        "advised": found.advice.action,
        "title": found.title,
        "cell": found.advice.cell,
        "transfer": found.advice.transfer,
        "seconds": found.seconds,
        "ways": scores,
        "best": best,
        "behind": apart.value,
        "p_value": apart.p_value,
    }


def _interval(right: Any) -> tuple[float, float, float]:
    from headstart.heads.scoring import quantile, wilson

    share = float(right.mean())
    return (share, *wilson(share, len(right), quantile()))


def likeness_of(caches: dict[str, Path], keys: dict[str, str]) -> list[dict[str, Any]]:
    """Measure how like each set is to each other one, and one half of it to the other, by the encoder's last layer."""
    from headstart.extractors.cache import EmbeddingCache
    from headstart.flows.problem import pose_problem
    from headstart.heads.transfer.likeness import measure_likeness

    sets = {}
    for name, cache in caches.items():
        problem = pose_problem(EmbeddingCache(cache), keys=[keys[name]])
        sets[name] = np.asarray(problem.find(keys[name], "penultimate").features, np.float32), problem.y
    found = []
    for source, (X, y) in sets.items():
        drawn = np.random.default_rng(0).permutation(len(X))
        pairs = {other: (X, y, Z) for other, (Z, _) in sets.items() if other != source}
        halves = np.sort(drawn[: 2 * len(X) // 3]), np.sort(drawn[2 * len(X) // 3 :])
        pairs[f"another third of {source}"] = X[halves[0]], y[halves[0]], X[halves[1]]
        for target, (A, classes, B) in pairs.items():
            likeness = measure_likeness(A, B, classes=classes)
            measures = {one.name: (one.value, one.null_high, one.between_high) for one in likeness.measures}
            found.append({"source": source, "target": target, "verdict": likeness.verdict, "measures": measures})
    return found


def show(results: dict[str, Any], likeness: list[dict[str, Any]]) -> None:
    """Print tables for people, 80 columns wide."""
    for name, one in results.items():
        print(f"\n{name}, {one['images_per_class']:g} images a class: {one['title']}")
        print(f"transfer {one['transfer']}; advised in {one['seconds']:.1f} s; the matrix alone has {one['cell']}")
        for way, score in one["ways"].items():
            mark = " ← advised" * (way == one["advised"]) + " ← best" * (way == one["best"])
            ends = f"[{100 * score['low']:.1f}, {100 * score['high']:.1f}]"
            print(f"  {way:<16}{100 * score['accuracy']:>6.1f} %  {ends:<14}{mark}")
        print(f"  the advised way is {100 * one['behind']:.1f} points behind the best, p {one['p_value']:.3f}")
    print(f"\n{'source → target':<44}{'verdict':<11}" + "".join(f"{n:>8}" for n in ("proxy-A", "sep.", "MMD²")))
    for one in likeness:
        values = [one["measures"][name][0] for name in ("proxy-A", "separation", "MMD²")]
        pair = f"{one['source']} → {one['target']}"
        print(f"{pair:<44}{one['verdict']:<11}" + "".join(f"{value:>8.2f}" for value in values))


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", nargs="*", type=Path, help="image sets with train and val; digits are more")
    parser.add_argument("--weights", type=Path, required=True, help="folder with the encoder's weights")
    parser.add_argument("--digits", type=int, nargs="*", default=[5, 20, 100], help="digits of each class (5 20 100)")
    parser.add_argument("--epochs", type=int, default=8, help="epochs of the fine-tuning (8), four times from scratch")
    parser.add_argument("--room", type=Path, help="folder for caches and results, which a second run goes on with")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        room = options.room or Path(folder)
        sets = [write_digits(room / f"digits{n}", n) for n in options.digits]
        sets += [write_digits(room / name, 60, digits=some) for name, some in _HALVES.items()]
        sets += [one.resolve() for one in options.images]
        results = {
            one.name: compare(one, options.weights, room, options.epochs) for one in sets if one.name not in _HALVES
        }
        caches = {one.name: room / f"{one.name}.headstart" for one in sets if one.name in _HALVES or one.parent != room}
        keys = {one.name: embed(one, options.weights, caches[one.name])[ENCODER] for one in sets
                if one.name in caches}  # fmt: skip
        likeness = likeness_of(caches, keys)
    found = {"advice": results, "likeness": likeness}
    print(json.dumps(found, indent=1)) if options.json else show(results, likeness)
    return found


_HALVES = {"digits 0 to 4": range(5), "digits 5 to 9": range(5, 10)}

if __name__ == "__main__":
    main()
