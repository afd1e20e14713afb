"""`headstart zeroshot` against its rivals: shuffled class vectors, the nearest seen class, and chance.

Two sets that need no download are embedded with mobilenet_v2 and the weights of a file. scikit-learn's digits are
described by the segments of a seven-segment display that show them: three digits are held out, in as many ways as are
asked for. Drawn shapes (circles, squares, …) in six colours are described by shape and colour: combinations are held
out that are never seen, though each shape and each colour is. In every round labels of the unseen classes are used
once, to score. The mean over rounds is printed with 1.96 standard errors: rounds share images, so that other sets may
differ more.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

SEGMENTS = ["abcdef", "bc", "abged", "abgcd", "fgbc", "afgcd", "afgedc", "abc", "abcdefg", "abcdfg"]
COLOURS = {
    "red": 0xC03030,
    "green": 0x30A040,
    "blue": 0x3050C0,
    "yellow": 0xD0C030,
    "white": 0xE8E8E8,
    "purple": 0x8030A0,
}
SHAPES = ("circle", "square", "triangle", "cross", "ring", "bar")


def write_shapes(folder: Path, each: int, seed: int = 0) -> Path:
    """Draw so many images of each shape in each colour on grey noise, a folder for each class."""
    from PIL import Image, ImageDraw

    rng = np.random.default_rng(seed)
    for shape in SHAPES:
        for colour, value in COLOURS.items():
            place = folder / f"{colour} {shape}"
            place.mkdir(parents=True, exist_ok=True)
            fill = tuple(value >> bits & 255 for bits in (16, 8, 0))
            for number in range(each):
                image = Image.fromarray(rng.integers(40, 110, (96, 96, 1), dtype=np.uint8).repeat(3, axis=2))
                side, left, top = int(rng.integers(40, 64)), int(rng.integers(4, 28)), int(rng.integers(4, 28))
                _draw(ImageDraw.Draw(image), shape, (left, top, left + side, top + side), fill)
                image.save(place / f"{number}.png")
    return folder


def _draw(pen: Any, shape: str, box: tuple[int, int, int, int], fill: tuple[int, ...]) -> None:
    left, top, right, low = box
    third, middle = (right - left) // 3, (left + right) // 2
    if shape == "circle":
        pen.ellipse(box, fill=fill)
    elif shape == "square":
        pen.rectangle(box, fill=fill)
    elif shape == "triangle":
        pen.polygon([(middle, top), (right, low), (left, low)], fill=fill)
    elif shape == "cross":
        pen.rectangle((left + third, top, right - third, low), fill=fill)
        pen.rectangle((left, top + third, right, low - third), fill=fill)
    elif shape == "ring":
        pen.ellipse(box, outline=fill, width=third // 2)
    else:
        pen.rectangle((left, top + third, right, low - third), fill=fill)


def digit_rounds(rounds: int, rng: np.random.Generator) -> tuple[dict[str, list[float]], list[list[str]]]:
    """Return the digits' segments, and three digits to hold out in each round."""
    vectors = {str(digit): [float(one in lit) for one in "abcdefg"] for digit, lit in enumerate(SEGMENTS)}
    return vectors, [sorted(map(str, rng.choice(10, 3, replace=False))) for _ in range(rounds)]


def shape_rounds(rounds: int, rng: np.random.Generator) -> tuple[dict[str, list[float]], list[list[str]]]:
    """Return shape and colour of each class, and a combination of every shape to hold out in each round."""
    words = [*COLOURS, *SHAPES]
    vectors = {
        f"{colour} {shape}": [float(one in (colour, shape)) for one in words] for colour in COLOURS for shape in SHAPES
    }
    names = list(COLOURS)
    return vectors, [
        [f"{names[at]} {shape}" for at, shape in zip(rng.permutation(6), SHAPES, strict=True)] for _ in range(rounds)
    ]


def compare(cache: Path, vectors: dict[str, list[float]], unseen: list[list[str]], room: Path) -> dict[str, Any]:
    """Run the job once for each set of unseen classes, and gather what each row reached."""
    from headstart.flows.transfer.zero_shot import zeroshot

    started = time.perf_counter()
    found: dict[str, list[float]] = {}
    beaten: dict[str, int] = {"shuffled class vectors": 0, "nearest seen class": 0}
    for names in unseen:
        summary = zeroshot(cache, classes=vectors, unseen=names, out=room / "zeroshot")
        saved = summary.rows[0]
        rows = {"chosen": saved} | {row.name: row for row in summary.rows}
        for name, row in rows.items():
            for score in ("zero_shot", "unseen", "seen", "harmonic"):
                if (value := getattr(row, score)) is not None:
                    found.setdefault(f"{name}: {score}", []).append(value.value)
        worse = summary.verdict.partition("no better than")[2]
        for name in beaten:
            beaten[name] += {"nearest seen class": "nearest seen"}.get(name, name) not in worse
    return {
        "rounds": len(unseen),
        "seconds": round(time.perf_counter() - started, 1),
        "means": {name: _mean(values) for name, values in found.items()},
        "beaten": beaten,
    }


def _mean(values: list[float]) -> tuple[float, float]:
    error = float(np.std(values, ddof=1) / len(values) ** 0.5) if len(values) > 1 else 0.0
    return round(float(np.mean(values)), 4), round(1.96 * error, 4)


def show(results: dict[str, dict[str, Any]]) -> None:
    """Print a table for people, 80 columns wide."""
    for name, found in results.items():
        print(f"{name}: {found['rounds']} rounds in {found['seconds']:.0f} s; accuracy by class in per cent")
        names = list(dict.fromkeys(one.partition(": ")[0] for one in found["means"]))
        print(f"{'':<26}{'among unseen':>16}{'unseen':>10}{'seen':>10}{'H':>10}")
        for row in names:
            cells = [found["means"].get(f"{row}: {one}") for one in ("zero_shot", "unseen", "seen", "harmonic")]
            first = f"{100 * cells[0][0]:.1f} ± {100 * cells[0][1]:.1f}" if cells[0] else ""
            others = "".join(f"{100 * one[0]:>10.1f}" if one else f"{'':>10}" for one in cells[1:])
            print(f"{row:<26}{first:>16}{others}")
        print("beats, of all rounds:", ", ".join(f"{one} {count}" for one, count in found["beaten"].items()))


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Run the benchmark from the command line."""
    from bench_rank import write_digits

    from headstart.flows import extract

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", default="none", help="file of mobilenet_v2's weights; random ones without")
    parser.add_argument("--digits", type=int, default=1000, help="digits that are taken (1000); 0 for none")
    parser.add_argument("--shapes", type=int, default=10, help="drawings of each of 36 classes (10); 0 for none")
    parser.add_argument("--rounds", type=int, default=15, help="sets of unseen classes (15)")
    parser.add_argument("--backbone", default="mobilenet_v2", help="another backbone (mobilenet_v2)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        room = Path(folder)
        sets = [
            ("digits", options.digits, write_digits, digit_rounds),
            ("shapes", options.shapes, write_shapes, shape_rounds),
        ]
        for name, size, write, rounds in sets:
            if size:
                images, cache = write(room / name, size), room / f"{name}.headstart"
                extract(images, options.backbone, weights=options.weights, cache=cache, precision="fp32")
                vectors, unseen = rounds(options.rounds, np.random.default_rng(0))
                results[name] = compare(cache, vectors, unseen, room)
    print(json.dumps(results, indent=1)) if options.json else show(results)
    return results


if __name__ == "__main__":
    main()
