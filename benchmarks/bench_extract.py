"""Extraction against the loop of the tutorials, on the same images and the same weights, alternating in one run.

The loop is what people copy: `ImageFolder`, a `DataLoader` with as many workers as cores, float32, batches of 32,
`no_grad`, one `torch.save` at the end. Both sides start in this process with the libraries loaded, and both build their
backbone anew, with random weights; each round times both, and the ratio is the median over rounds. The images are crops
of scikit-learn's two sample photographs.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision
from PIL import Image
from sklearn.datasets import load_sample_images
from torch import nn
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder

from flows import extract


def make_photographs(folder: Path, count: int, size: tuple[int, int] = (500, 375)) -> Path:
    """Write `count` JPEG files of `size` (width, height), in two classes: random crops of real photographs."""
    draw = np.random.default_rng(0)
    photographs = [Image.fromarray(photograph) for photograph in load_sample_images().images]
    for number in range(count):
        photograph = photographs[number % 2]
        width = int(draw.integers(320, photograph.width))
        height = min(photograph.height, width * size[1] // size[0])
        left, top = draw.integers(photograph.width - width + 1), draw.integers(photograph.height - height + 1)
        crop = photograph.crop((left, top, left + width, top + height)).resize(size, Image.Resampling.BICUBIC)
        place = folder / ("temple", "flower")[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        crop.save(place / f"{number:05d}.jpg", quality=90)
    return folder


def tutorial_loop(images: Path, backbone: str, out: Path) -> None:
    """Embed as the tutorials do."""
    torch.manual_seed(0)
    model = torchvision.models.get_model(backbone)
    head = [name for name, module in model.named_modules() if isinstance(module, nn.Linear)][-1]
    model.set_submodule(head, nn.Identity())
    model.eval()
    transform = torchvision.models.get_model_weights(backbone).DEFAULT.transforms()  # type: ignore[attr-defined]  # an enum made at run time
    loader = DataLoader(ImageFolder(str(images), transform=transform), batch_size=32, num_workers=os.cpu_count() or 1)
    features, labels = [], []
    with torch.no_grad():
        for batch, classes in loader:
            features.append(model(batch))
            labels.append(classes)
    torch.save({"features": torch.cat(features), "labels": torch.cat(labels)}, out)


def compare(images: Path, backbone: str, rounds: int, precision: str) -> dict[str, Any]:
    """Time both sides, alternating; seconds are medians, ratios are medians of each round's ratio."""
    seconds: dict[str, list[float]] = {"tutorial": [], "extract": [], "again": []}
    n_images = sum(1 for _ in images.rglob("*.jpg"))
    keys = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            job = partial(extract, images, backbone, weights="none", cache=f"{folder}/cache", precision=precision)
            loop = partial(tutorial_loop, images, backbone, Path(folder) / "features.pt")
            seconds["tutorial"].append(timed(loop)[0])
            elapsed, summary = timed(job)
            seconds["extract"].append(elapsed)
            seconds["again"].append(timed(job)[0])
            keys += summary.keys
    return {
        "images": n_images,
        "rounds": rounds,
        "precision": keys[0]["precision"],
        "cosine": (keys[0]["fidelity"] or {}).get("cosine"),
        "tutorial_images_per_second": round(n_images / statistics.median(seconds["tutorial"]), 1),
        "extract_images_per_second": round(n_images / statistics.median(seconds["extract"]), 1),
        "ratio_extract": ratio(seconds["tutorial"], seconds["extract"]),
        "ratio_again": ratio(seconds["tutorial"], seconds["again"]),
    }


def ratio(slow: list[float], fast: list[float]) -> float:
    """Return how many times faster, as the median over rounds."""
    return round(statistics.median(a / b for a, b in zip(slow, fast, strict=True)), 2)


def timed(job: Callable[[], Any]) -> tuple[float, Any]:
    """Return the seconds that a job took, and what it returned."""
    begun = time.perf_counter()
    result = job()
    return time.perf_counter() - begun, result


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=400, help="how many photographs (400)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each side runs (3)")
    parser.add_argument("--backbone", nargs="+", default=["resnet18", "resnet50", "mobilenet_v2"])
    parser.add_argument("--precision", choices=["auto", "fp32", "bf16"], default="auto")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        images = make_photographs(Path(folder) / "photographs", options.images)
        results = {name: compare(images, name, options.rounds, options.precision) for name in options.backbone}
    if options.json:
        print(json.dumps(results, indent=1))
    else:
        print(f"{'backbone':<16}{'first run':>10}{'again':>8}   times the tutorial loop ({os.cpu_count()} cores)")
        for name, found in results.items():
            note = f"{found['precision']}, {found['extract_images_per_second']:.0f} images/s"
            print(f"{name:<16}{found['ratio_extract']:>9.1f}×{found['ratio_again']:>7.0f}×   {note}")
    return results


if __name__ == "__main__":
    main()
