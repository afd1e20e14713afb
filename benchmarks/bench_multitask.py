"""Label columns over one shared trunk against a head for each, where few of the labels are there.

scikit-learn's digits have five columns: the digit, its parity, whether it is five or more, how many loops it has, and
how much ink. The digit has all labels, or as few as the others, which have so few as is said, drawn anew each time.
One round shuffles the digits, so that this column tells nothing of the others and sharing must not be claimed. With
a folder of photographs and the weights of mobilenet_v2, there is one more set: the class of a photograph with few
labels, beside what can be measured of every one (brightness, greenness, and whether it is wider than high).

Of each column the mean over the draws is printed: the score of a network of its own, of the shared trunk, and of a
linear head, on the same test images; and in how many draws sharing was said to help or to harm.
"""

import argparse
import json
import tempfile
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

LOOPS = (1, 0, 0, 0, 1, 0, 1, 0, 2, 1)
FEW = ("parity", "five-or-more", "loops", "ink")


def write_digits(folder: Path, n_images: int) -> pd.DataFrame:
    """Write scikit-learn's digits as PNG files, and return their columns."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    folder.mkdir(parents=True)
    rows: list[dict[str, Any]] = []
    for number, (pixels, digit) in enumerate(zip(digits.images[:n_images], digits.target[:n_images], strict=True)):
        name = f"{number:04d}.png"
        Image.fromarray((pixels * 15.9).astype(np.uint8)).save(folder / name)
        row = {"digit": f"digit {digit}", "parity": ("even", "odd")[digit % 2], "loops": f"{LOOPS[digit]} loops"}
        rows.append({"path": name, **row, "five-or-more": ("no", "yes")[int(digit > 4)], "ink": pixels.sum() / 256})
    return pd.DataFrame(rows)


def measure_photographs(folder: Path) -> pd.DataFrame:
    """Return the class of each photograph, and what its pixels tell."""
    rows: list[dict[str, Any]] = []
    for path in sorted(folder.rglob("*.jpg")):
        pixels = np.asarray(Image.open(path).convert("RGB"), dtype=np.float64)
        red, green, blue = pixels.mean(axis=(0, 1)) / 255
        shape = "wide" if pixels.shape[1] > pixels.shape[0] else "high"
        row = {"kind": path.parent.name, "brightness": (red + green + blue) / 3, "shape": shape}
        rows.append({"path": str(path.relative_to(folder)), **row, "green": green / (red + green + blue)})
    return pd.DataFrame(rows)


def with_few(table: pd.DataFrame, columns: Mapping[str, int], seed: int) -> pd.DataFrame:
    """Return the table with a split, so few training labels in these columns, and all test labels."""
    rng = np.random.default_rng(seed)
    test = rng.permutation(len(table)) < len(table) // 4
    found = table.astype(object).assign(split=np.where(test, "test", "train"))
    for name, few in columns.items():
        kept = rng.permutation(np.flatnonzero(~test))[:few]
        found.loc[~test & ~np.isin(np.arange(len(table)), kept), name] = None
    return found


def compare(cache: str, table: pd.DataFrame, few: Mapping[str, int], room: Path, asked: argparse.Namespace) -> Any:
    """Return the mean scores of each column over the draws, and how often sharing was said to help or to harm."""
    import headstart

    found: dict[str, list[Any]] = {}
    how = {"seeds": asked.seeds, "max_epochs": asked.max_epochs, "out": room / "out"}
    for seed in range(asked.draws):
        labels = room / "labels.csv"
        with_few(table, few, seed).to_csv(labels, index=False)
        done = headstart.multitask(cache, labels=labels, seed=seed, **how)
        for row in done.columns:
            found.setdefault(row.column, []).append(row)
    return {
        name: {
            "labels": rows[0].n_train,
            "metric": rows[0].metric,
            **{side: round(float(np.mean([getattr(row, side).value for row in rows])), 4)
               for side in ("separate", "shared", "linear")},
            "differences": [round(row.difference.value, 4) for row in rows],
            **{verdict: sum(row.verdict == verdict for row in rows) for verdict in ("helped", "harmed")},
        }
        for name, rows in found.items()
    }  # fmt: skip


def rounds_of_digits(room: Path, options: argparse.Namespace) -> Iterator[tuple[str, Any]]:
    """Run the rounds on scikit-learn's digits, one after another."""
    import headstart

    table = write_digits(room / "digits", options.digits)
    cache = headstart.extract(room / "digits", "pixels", cache=room / "digits.headstart").cache
    shuffled = table.assign(digit=np.random.default_rng(0).permutation(table["digit"]))
    rounds: dict[str, tuple[pd.DataFrame, dict[str, int]]] = {}
    for few in options.few:
        rounds[f"digits, all labels of the digit, {few} of the others"] = table, dict.fromkeys(FEW, few)
    rounds[f"the digit shuffled, {options.few[0]} labels of the others"] = shuffled, dict.fromkeys(FEW, options.few[0])
    rounds["digits, all labels"] = table, {}
    rounds[f"digits, {options.few[0]} labels each"] = table, dict.fromkeys((*FEW, "digit"), options.few[0])
    for name, asked in list(rounds.items())[: options.rounds]:
        yield name, compare(cache, *asked, room, options)


def rounds_of_photographs(room: Path, options: argparse.Namespace) -> Iterator[tuple[str, Any]]:
    """Run the round on photographs."""
    import headstart

    weights = str(options.weights / "mobilenet_v2-imagenet.pth")
    photos = options.photographs.resolve()
    cache = headstart.extract(photos, "mobilenet_v2", weights=weights, cache=room / "photos.headstart").cache
    table, few = measure_photographs(photos), options.few[0]
    name = f"{photos.name}, {few} labels of the kind"
    yield name, compare(cache, table, {"kind": few}, room, options)


def show(name: str, columns: dict[str, Any]) -> None:
    """Print a table for people, 80 columns wide."""
    print(f"\n{name}")
    print(f"{'':<14}{'labels':>7}{'separate':>10}{'shared':>8}{'linear':>8}{'helped':>8}{'harmed':>8}")
    for column, one in columns.items():
        factor, digits = (100, 1) if one["metric"] == "accuracy" else (1, 3)
        scores = [f"{factor * one[side]:.{digits}f}" for side in ("separate", "shared", "linear")]
        counts = [f"{one[verdict]} of {len(one['differences'])}" for verdict in ("helped", "harmed")]
        words = [f"{word:>{width}}" for word, width in zip([*scores, *counts], (10, 8, 8, 8, 8), strict=True)]
        print(f"{column:<14}{one['labels']:>7}{''.join(words)}", flush=True)


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photographs", nargs="?", type=Path, help="photographs, a folder for each class")
    parser.add_argument("--weights", type=Path, help="folder with mobilenet_v2-imagenet.pth")
    parser.add_argument("--digits", type=int, default=1797, help="digits that are taken (1797)")
    parser.add_argument("--few", type=int, nargs="+", default=[40], help="labels of the columns with few (40)")
    parser.add_argument("--draws", type=int, default=3, help="draws of splits and labels (3)")
    parser.add_argument("--seeds", type=int, default=5, help="networks of each kind (5)")
    parser.add_argument("--rounds", type=int, help="rounds of digits, from the first on (all)")
    parser.add_argument("--max-epochs", type=int, help="of each network (50, and more where images are few)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        room = Path(folder)
        asked = [rounds_of_digits(room, options)] if options.digits else []
        if options.photographs and options.weights:
            asked.append(rounds_of_photographs(room, options))
        for name, found in chain(*asked):
            results[name] = found
            if not options.json:
                show(name, found)
    if options.json:
        print(json.dumps(results, indent=1))
    return results


if __name__ == "__main__":
    main()
