"""Sets and outliers of a model on real photographs: ``python benchmarks/bench_doubt.py DATA``.

DATA holds ``data/hymenoptera`` (398 photographs of ants and bees) and ``weights/mobilenet_v2-imagenet.pth``, which are
no part of the repository. Two questions:

- How well are other photographs told from ants and bees by each outlier score, and by the plain maximum probability?
  The others are crops of the three photographs that scikit-learn and matplotlib bring along. The share of pairs that
  are in order (AUROC); of wrong answers among ants and bees, too.
- How often do sets hold the true class over random splits of all 398 photographs, and how often is one of them taken
  for an outlier? Thresholds are out of fold, or of a half that fitted nothing.
"""

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import sklearn
from PIL import Image
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, StratifiedShuffleSplit

import headstart
from headstart.heads.coverage import OUTLIER_METHODS, SET_METHODS, fit_outliers, fit_sets, quantile_of
from headstart.heads.isolation import quiet_and_single_threaded
from headstart.heads.registry import find_head

N_TEST, FALSE_ALARMS, FOLDS = 153, 0.05, 5
ASKED = (0.9, 0.95)


def photographs() -> dict[str, Path]:
    """Return the photographs that two libraries bring along: a temple, a flower and a person."""
    samples = Path(sklearn.__file__).parent / "datasets" / "images"
    hopper = Path(mpl.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    return {"china": samples / "china.jpg", "flower": samples / "flower.jpg", "grace_hopper": hopper}


def cut_crops(folder: Path, n_each: int) -> None:
    """Write square crops of each of them, of a third to four fifths of its shorter side."""
    generator = np.random.default_rng(0)
    for name, file in photographs().items():
        image = Image.open(file).convert("RGB")
        (folder / name).mkdir(parents=True)
        for number in range(n_each):
            side = int(generator.uniform(0.35, 0.8) * min(image.size))
            left, top = (int(generator.integers(0, length - side + 1)) for length in image.size)
            image.crop((left, top, left + side, top + side)).save(folder / name / f"{number:02d}.png")


def embed(images: Path, data: Path, cache: Path) -> tuple[Any, Any, list[str]]:
    """Return features, class numbers and paths of images."""
    weights = str(data / "weights" / "mobilenet_v2-imagenet.pth")
    headstart.extract(images, "mobilenet_v2", weights=weights, cache=cache)
    X, y, table = headstart.open(cache).arrays()
    return X.astype(np.float32), np.unique(y, return_inverse=True)[1], table["path"].tolist()


def fitted(X: Any, y: Any) -> Any:
    """Return the head that wins on these photographs, fitted."""
    return find_head("logreg").make({"C": 0.01}, 0).fit(X, y)


def tell_others(X: Any, y: Any, is_test: Any, others: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Return the AUROC of every score, by photograph and of wrong answers."""
    head = fitted(X[~is_test], y[~is_test])
    scores = {name: fit_outliers(X[~is_test], y[~is_test], method=name).distance for name in OUTLIER_METHODS}
    scores["maximum probability"] = lambda rows: -head.predict_proba(rows).max(axis=1)
    wrong = head.predict(X[is_test]) != y[is_test]
    groups = {"all": np.concatenate(list(others.values())), **others}
    found: dict[str, dict[str, float]] = {}
    for name, score in scores.items():
        own = score(X[is_test])
        row = {group: _auroc(own, score(rows)) for group, rows in groups.items()}
        found[name] = row | {"wrong answers": float(roc_auc_score(wrong, own))}
    return found


def _auroc(own: Any, foreign: Any) -> float:
    is_foreign = np.repeat([0, 1], [len(own), len(foreign)])
    return float(roc_auc_score(is_foreign, np.concatenate([own, foreign])))


def split_again(X: Any, y: Any, n_splits: int) -> dict[str, float]:
    """Return mean coverage and false alarms over random splits."""
    draws = np.random.default_rng(0).random(len(y))
    rows = [
        _measure(X, y, draws, train, test, seed)
        for seed, (train, test) in enumerate(
            StratifiedShuffleSplit(n_splits, test_size=N_TEST, random_state=0).split(X, y)
        )
    ]
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


def _measure(X: Any, y: Any, draws: Any, train: Any, test: Any, seed: int) -> dict[str, float]:
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    parts = [(train[fit], train[score]) for fit, score in folds.split(train, y[train])]
    held_out = parts[0][1]
    probability = np.zeros((len(y), 2))
    for fit, score in parts:
        probability[score] = fitted(X[fit], y[fit]).predict_proba(X[score])
    whole, part = (fitted(X[rows], y[rows]).predict_proba(X[test]) for rows in (train, parts[0][0]))
    found = {}
    for way, rows, new in (("out of fold", train, whole), ("held out", held_out, part)):
        for method in SET_METHODS:
            for asked in ASKED:
                sets = fit_sets(y[rows], probability[rows], draws[rows], coverage=asked, method=method)
                covered = sets.of(new, draws[test])[np.arange(len(test)), y[test]]
                found[f"{method} {asked:g} {way}"] = float(covered.mean())
    for method in OUTLIER_METHODS:
        scores = [fit_outliers(X[fit], y[fit], method=method) for fit, _ in parts]
        distances = [one.distance(X[score]) for one, (_, score) in zip(scores, parts, strict=True)]
        threshold = quantile_of(np.concatenate(distances), 1 - FALSE_ALARMS)
        found[f"{method} false alarms"] = float((scores[0].distance(X[test]) > threshold).mean())
    return found


def main(words: Sequence[str] | None = None) -> None:
    """Print the shares."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with data/hymenoptera and weights/")
    parser.add_argument("--splits", type=int, default=200)
    parser.add_argument("--crops", type=int, default=50, help="of each of the three photographs")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args(words)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        cut_crops(folder / "others", asked.crops)
        X, y, paths = embed(asked.data / "data" / "hymenoptera", asked.data, folder / "own.headstart")
        rows, _, names = embed(folder / "others", asked.data, folder / "others.headstart")
    is_test = np.array([not path.startswith("train") for path in paths])
    others = {name: rows[[path.startswith(name) for path in names]] for name in photographs()}
    with quiet_and_single_threaded():
        found = {"auroc": tell_others(X, y, is_test, others), "splits": split_again(X, y, asked.splits)}
    if asked.json:
        print(json.dumps(found))
        return
    for score, row in found["auroc"].items():
        print(f"{score:20}", *(f"{group} {value:.3f}" for group, value in row.items()), sep="  ")
    for name, value in found["splits"].items():
        print(f"{name:28} {100 * value:.1f} %")


if __name__ == "__main__":
    main()
