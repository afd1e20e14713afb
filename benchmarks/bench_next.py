"""Labels that it takes to come near the accuracy of all labels, by each strategy of `headstart next` against random.

For every seed all sides choose from the same images, a few a round, and are scored on the same test images after each,
by the product's `logreg` on the images chosen so far. What counts is how many labels a side has when it first reaches
95 % of the score with all labels. Strategies that need labels begin with the same random images as `random`; names
with a plus say how else they begin, and `default` is what the command takes where nobody says a strategy.

- photographs: embeddings of a folder with train/ and val/, by mobilenet_v2; each seed leaves a fifth of train out;
- digits: pixels of scikit-learn's handwritten digits; each seed takes other halves to choose from and to score on;
- rare: the same, one digit against all others, thinned to 8 %; balanced accuracy.

`ratio` is random's labels over the side's, the geometric mean over the seeds, with its 95 % interval (of Student's t,
of the logarithms); `won` counts seeds with fewer labels than random, as many, and more.
"""

import argparse
import json
import os
import tempfile
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

WEIGHTS = "weights/mobilenet_v2-imagenet.pth"
SHARE = 0.95
SIDES = (
    *("random", "typical", "centroids", "margin", "entropy", "gradients", "dropout"),
    *("typical+margin", "typical+gradients", "centroids+margin", "centroids+dropout", "default"),
    *("margin, balanced", "default, balanced"),
)


@dataclass(frozen=True)
class Images:
    """Images to choose from, and those to score on."""

    X: Any
    y: Any
    X_test: Any
    y_test: Any


@dataclass(frozen=True)
class Line:
    """Labels that a side needed, over the seeds."""

    side: str
    median: float
    ratio: float
    low: float
    high: float
    won: tuple[int, int, int]
    labels: list[int]


def photographs(cache: tuple[Any, Any, Any, Any], seed: int) -> Images:
    """Leave a fifth of the training images out."""
    X, y, X_test, y_test = cache
    rows = np.random.default_rng(seed).permutation(len(y))[: len(y) * 4 // 5]
    return Images(X[rows], y[rows], X_test, y_test)


def digits(seed: int) -> Images:
    """Split the digits in halves."""
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    return _halves(X.astype(np.float32) / 16, y, seed)


def rare(seed: int) -> Images:
    """Split the digits in halves, one digit against the others, of which 8 % are the one."""
    images = digits(seed)
    thinned = []
    for X, y in ((images.X, images.y), (images.X_test, images.y_test)):
        one, others = np.flatnonzero(y == seed % 10), np.flatnonzero(y != seed % 10)
        rows = np.sort(np.concatenate([one[: round(len(others) * 8 / 92)], others]))
        thinned += [X[rows], (y[rows] == seed % 10).astype(int)]
    return Images(*thinned)


def _halves(X: Any, y: Any, seed: int) -> Images:
    from sklearn.model_selection import train_test_split

    left, right, y_left, y_right = train_test_split(X, y, test_size=0.5, stratify=y, random_state=seed)
    return Images(left, y_left, right, y_right)


def embed(data: Path) -> tuple[Any, Any, Any, Any]:
    """Embed train/ and val/ of a folder."""
    import headstart

    found = []
    with tempfile.TemporaryDirectory() as folder:
        for side in ("train", "val"):
            cache = headstart.extract(
                str(data / "data" / "hymenoptera" / side),
                "mobilenet_v2",
                weights=str(data / WEIGHTS),
                cache=Path(folder) / side,
            ).cache
            X, y, _ = headstart.open(cache).arrays()
            found += [np.array(X), np.unique(y, return_inverse=True)[1]]
    return tuple(found)


def score(images: Images, rows: Any, *, balanced: bool) -> float:
    """Return the accuracy of the product's head on the test images, fitted on some."""
    from sklearn.metrics import accuracy_score, balanced_accuracy_score

    from headstart.heads import find_head

    known = images.y[rows]
    if len(np.unique(known)) < 2:
        answers = np.full(len(images.y_test), known[0])
    else:
        answers = find_head("logreg").make({}, 0).fit(images.X[rows], known).predict(images.X_test)
    return float((balanced_accuracy_score if balanced else accuracy_score)(images.y_test, answers))


def labels_needed(images: Images, side: str, batch: int, target: float, seed: int, *, balanced: bool) -> int:
    """Return how many labels a side has when it first reaches the target."""
    from headstart.heads.analysis.active import STRATEGIES, PartlyLabelled, choose, usual_strategy

    name, _, balance = side.partition(", ")
    start, _, later = name.rpartition("+")
    labels = np.full(len(images.y), -1)
    for number in range(len(images.y)):
        known = PartlyLabelled(images.X, labels, seed)
        has_classes = known.n_classes >= 2
        strategy = usual_strategy(known.n_classes) if later == "default" else later
        if STRATEGIES[strategy].needs_labels and not has_classes:
            strategy = start or "random"
        rows = np.flatnonzero(labels < 0)
        some = choose(known, rows, strategy, batch, balance=bool(balance) and has_classes, seed=1000 * seed + number)
        if not some:
            break
        for one in some:
            labels[one.row] = images.y[one.row]
        if score(images, np.flatnonzero(labels >= 0), balanced=balanced) >= target:
            return int((labels >= 0).sum())
    return len(images.y)


def compare(make: Callable[[int], Images], batch: int, sides: Sequence[str], seeds: int, *, balanced: bool) -> Any:
    """Let every side choose, seed by seed, and set it beside random."""
    needed: dict[str, list[int]] = {side: [] for side in sides}
    full = []
    for seed in range(seeds):
        images = make(seed)
        full.append(score(images, np.arange(len(images.y)), balanced=balanced))
        for side in sides:
            needed[side].append(labels_needed(images, side, batch, SHARE * full[-1], seed, balanced=balanced))
    lines = [asdict(line(side, needed[side], needed["random"])) for side in sides]
    return {"images": len(images.y), "batch": batch, "full": float(np.mean(full)), "sides": lines}


def line(side: str, labels: list[int], random: list[int]) -> Line:
    """Set a side beside random."""
    from scipy.stats import t

    logs = np.log(random) - np.log(labels)
    mean, error = float(logs.mean()), float(logs.std(ddof=1) / np.sqrt(len(logs)))
    reach = float(t.ppf(0.975, len(logs) - 1)) * error
    signs = np.sign(logs)
    won = tuple(int((signs == sign).sum()) for sign in (1, 0, -1))
    low, middle, high = np.exp([mean - reach, mean, mean + reach]).tolist()
    return Line(side, float(np.median(labels)), middle, low, high, won, labels)


def main(arguments: list[str] | None = None) -> None:
    """Compare, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("HEADSTART_DATA"), help="data/hymenoptera, weights")
    parser.add_argument("--sets", nargs="+", default=["photographs", "digits", "rare"])
    parser.add_argument("--sides", nargs="+", default=SIDES)
    parser.add_argument("--seeds", type=int, default=20, help="two at least")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    warnings.simplefilter("ignore")  # few images do not converge to the last digit
    makers: dict[str, tuple[Callable[[int], Images], int]] = {"digits": (digits, 10), "rare": (rare, 10)}
    if "photographs" in options.sets:
        makers["photographs"] = (partial(photographs, embed(Path(options.data))), 4)
    sides = list(dict.fromkeys(["random", *options.sides]))
    found = {name: compare(*makers[name], sides, options.seeds, balanced=name == "rare") for name in options.sets}
    print(json.dumps(found) if options.json else "\n\n".join(text_of(*one) for one in found.items()))


def text_of(name: str, found: Any) -> str:
    """Return the table of a set."""
    lines = [
        f"{name}: {found['images']} images, {found['batch']} a round; {SHARE:.0%} of {found['full']:.3f}",
        f"{'side':24} {'median':>6}  ratio and 95 % interval   won, even, lost",
    ]
    for one in found["sides"]:
        ratio = f"{one['ratio']:.2f} ({one['low']:.2f} – {one['high']:.2f})"
        lines.append(f"{one['side']:24} {one['median']:6.0f}  {ratio:24}  {', '.join(map(str, one['won']))}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
