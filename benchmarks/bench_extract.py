"""Extraction against the loop of the tutorials, and against what the machine allows.

Five sides take turns, each in a process of its own, on the same JPEG files and the same weights, random ones or a
torchvision state dict (`--weights`):

- tutorial: what people copy — `ImageFolder`, a `DataLoader` with as many workers as cores, float32, batches of 32,
  `no_grad`, one `torch.save` at the end;
- extract: `headstart extract` into an empty cache, and again with nothing new;
- model: the forward pass alone, compiled, in that precision, on images in memory, at its best batch size;
- decode: reading and decoding alone, on all cores.

Model and decoding share the cores, so together they allow 1 / (1/model + 1/decode) images a second: the limit.
Compiling and calibrating is left out of extract's time, as it is paid once however many images follow, and given
beside it. The features of extract are held against the tutorial's, image by image; images are random crops of two real
photographs, or of all in a folder (`--photographs`).
Ratios are medians over the rounds.
"""

import argparse
import importlib
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_images
from tutorial import tutorial_loop

SIDES = ("tutorial", "extract", "model", "decode")
LIST = ("resnet18", "resnet50", "mobilenet_v2", "efficientnet_b0", "vit_b_16")


def make_photographs(folder: Path, count: int, size: tuple[int, int] = (500, 375), given: Path | None = None) -> Path:
    """Write `count` JPEG files of `size` (width, height), in two classes: random crops of real photographs."""
    draw = np.random.default_rng(0)
    paths = sorted(path for path in given.rglob("*") if path.is_file()) if given else []
    two = [] if paths else [Image.fromarray(photograph) for photograph in load_sample_images().images]
    for number in range(count):
        photograph = Image.open(paths[number % len(paths)]).convert("RGB") if paths else two[number % 2]
        width = int(draw.integers(photograph.width // 2, photograph.width))
        height = min(photograph.height, width * size[1] // size[0])
        left, top = draw.integers(photograph.width - width + 1), draw.integers(photograph.height - height + 1)
        crop = photograph.crop((left, top, left + width, top + height)).resize(size, Image.Resampling.BICUBIC)
        place = folder / ("temple", "flower")[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        crop.save(place / f"{number:05d}.jpg", quality=90)
    return folder


def run_tutorial(images: Path, backbone: str, options: argparse.Namespace) -> dict[str, Any]:
    """Time the loop of the tutorials; its libraries are loaded before."""
    torch = importlib.import_module("torch")
    importlib.import_module("torchvision")
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "features.pt"
        seconds, _none = timed(lambda: tutorial_loop(images, backbone, out, options.weights))
        np.save(kept(images, "tutorial"), torch.load(out)["features"].numpy())  # in the order of the paths
    return {"seconds": seconds}


def run_extract(images: Path, backbone: str, options: argparse.Namespace) -> dict[str, Any]:
    """Time `headstart extract`, and once more with nothing new; its libraries are loaded before."""
    from headstart import open as open_cache
    from headstart.flows.extraction import extract
    from headstart.flows.output import plain

    importlib.import_module(
        "headstart.extractors.extraction.extraction"
    )  # what `extract` imports when it finds something to do
    importlib.import_module("headstart.extractors.backbones.registry")
    with tempfile.TemporaryDirectory() as folder:

        def job() -> Any:
            return extract(
                images,
                backbone,
                weights=options.weights,
                cache=f"{folder}/cache",
                precision=options.precision,
                compile=options.compile,
                workers=options.workers,
            )

        seconds, summary = timed(job)
        again, _ = timed(job)
        rows, _labels, listed = open_cache(f"{folder}/cache").arrays()
        np.save(kept(images, "extract"), rows[np.argsort(listed["path"].to_numpy())])
    (key,) = summary.keys
    return {"seconds": seconds, "again": again, "loop": summary.images_per_second} | {
        name: plain(getattr(key, name))
        for name in ("precision", "in_float32", "decode", "stages", "execution", "fidelity")
    }


def run_model(images: Path, backbone: str, options: argparse.Namespace) -> dict[str, Any]:
    """Time the forward pass alone, at the best of three batch sizes."""
    from headstart.extractors.backbones import load_backbone
    from headstart.extractors.images import list_images
    from headstart.extractors.network import ForwardPass, has_fast_bf16, resolve_device
    from headstart.extractors.spec import Tap

    device = resolve_device("auto")
    loaded = load_backbone(backbone, weights=options.weights)
    reduced = options.precision == "bf16" or (options.precision == "auto" and has_fast_bf16(device))

    images_at_hand = np.stack(list(decoded(list_images(images, limit=32), loaded.preprocessing)))
    at_most = min(400, sum(1 for _ in images.rglob("*.jpg")))
    found = []
    for size in (8, 16, 32) if device.type == "cpu" else (128, 256, 512):
        forward = ForwardPass(
            loaded,
            [Tap()],
            device=device,
            precision="bf16" if reduced else "fp32",
            batch_size=size,
            compiled=options.compile != "off",
        )
        batch = images_at_hand[np.arange(size) % len(images_at_hand)]
        forward(batch)  # the first pass compiles, chooses algorithms and takes memory
        passes = max(1, at_most // size)
        whole, _none = timed(lambda: [forward(batch) for _ in range(passes)])  # noqa: B023 - called at once
        found.append(whole / (passes * size))
    return {"seconds": min(found)}


def run_decode(images: Path, backbone: str, _: argparse.Namespace) -> dict[str, Any]:
    """Time reading and decoding alone."""
    from headstart.extractors.backbones import load_backbone
    from headstart.extractors.images import list_images

    preprocessing, found = load_backbone(backbone, weights="none").preprocessing, list_images(images)
    images_of = decoded(found, preprocessing)
    seconds, _none = timed(lambda: [None for _ in images_of])
    return {"seconds": seconds / len(found.rows)}


def decoded(found: Any, preprocessing: Any) -> Any:
    """Return an iterator that reads and decodes an image set on all cores."""
    from headstart.extractors.decoding import Decoding, decode_images
    from headstart.extractors.images import digest_bytes, image_sources
    from headstart.extractors.network import resolve_device
    from headstart.extractors.stages import StageTimes

    listed = [(source, digest_bytes(found.root, source)) for source in image_sources(found.rows)]
    device = resolve_device("auto")
    decode = "nvjpeg" if device.type == "cuda" else "draft"
    decoding = Decoding(preprocessing=preprocessing, decode=decode, workers=os.cpu_count() or 1, in_turn=False)
    return decode_images(found.root, listed, decoding, device, 8 if device.type == "cpu" else 128, StageTimes())


def compare(images: Path, backbone: str, options: argparse.Namespace, models: list[dict[str, Any]]) -> dict[str, Any]:
    """Run all sides in turn, `rounds` times; rates are medians, ratios are medians of each round's ratio.

    The model alone does not depend on the size of the files: what is in `models`, one a round, is not run again.
    """
    n_images = sum(1 for _ in images.rglob("*.jpg"))
    rounds = []
    for number in range(options.rounds):
        if len(models) <= number:
            models.append(run_side("model", images, backbone, options))
        sides = {side: run_side(side, images, backbone, options) for side in SIDES if side != "model"}
        rounds.append(sides | {"model": models[number]})
    extract = [one["extract"] for one in rounds]
    tutorial = [one["tutorial"]["seconds"] / n_images for one in rounds]
    # All of the command but compiling and calibrating: listing, hashing, loading, comparing with float32, sealing.
    whole = [(one["seconds"] - one["stages"]["set up"]) / n_images for one in extract]
    limit = [one["model"]["seconds"] + one["decode"]["seconds"] for one in rounds]
    middle = extract[len(extract) // 2]
    cosines = cosines_of(images)
    return {
        "images": n_images,
        "rounds": options.rounds,
        "precision": middle["precision"],
        "in_float32": middle["in_float32"],
        "decode": middle["decode"],
        "batch_size": middle["execution"]["batch_size"],
        "compiled": middle["execution"]["compiled"],
        "cosine": (middle["fidelity"] or {}).get("cosine"),
        "cosine_of_all": {"lowest": float(cosines.min()), "median": float(np.median(cosines))},
        "tutorial_images_per_second": rate(tutorial),
        "extract_images_per_second": rate(whole),
        "model_images_per_second": rate([one["model"]["seconds"] for one in rounds]),
        "decode_images_per_second": rate([one["decode"]["seconds"] for one in rounds]),
        "ratio_extract": ratio(tutorial, whole),
        "ratio_extract_with_set_up": ratio(tutorial, [one["seconds"] / n_images for one in extract]),
        "ratio_again": ratio(tutorial, [one["again"] / n_images for one in extract]),
        "share_of_model": ratio([one["model"]["seconds"] for one in rounds], [1 / one["loop"] for one in extract]),
        "share_of_limit": ratio(limit, [1 / one["loop"] for one in extract]),
        "stages": middle["stages"],
        "peak_mib": {side: max(one[side]["peak_mib"] for one in rounds) for side in SIDES},
    }


def kept(images: Path, side: str) -> Path:
    """Name the file beside the images that holds what a side computed of them."""
    return images.parent / f"{images.name}-{side}.npy"


def cosines_of(images: Path) -> Any:
    """Compare what the sides of the last round computed, image by image."""
    a, b = (np.load(kept(images, side)).astype(np.float64) for side in ("tutorial", "extract"))
    return (a * b).sum(1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))


def rate(seconds: list[float]) -> float:
    """Return images a second."""
    return round(1 / statistics.median(seconds), 1)


def ratio(slow: list[float], fast: list[float]) -> float:
    """Return how many times faster, as the median over rounds."""
    return round(statistics.median(a / b for a, b in zip(slow, fast, strict=True)), 2)


def timed(job: Callable[[], Any]) -> tuple[float, Any]:
    """Return the seconds that a job took, and what it returned."""
    begun = time.perf_counter()
    result = job()
    return time.perf_counter() - begun, result


def run_side(side: str, images: Path, backbone: str, options: argparse.Namespace) -> dict[str, Any]:
    """Run one side in a process of its own, so that its peak memory is its own."""
    command = [sys.executable, __file__, "--side", side, "--folder", str(images), "--backbone", backbone]
    command += ["--weights", options.weights, "--precision", options.precision, "--compile", options.compile]
    command += ["--workers", str(options.workers)] if options.workers else []
    done = subprocess.run(  # noqa: S603 - this very script
        command, stdout=subprocess.PIPE, check=True, text=True
    )
    return dict(json.loads(done.stdout))


def show(results: dict[str, dict[str, Any]]) -> None:
    """Print a table for people, 80 columns wide."""
    print(f"images/s on {os.cpu_count()} cores; × is times the tutorial loop; % is of what model and decoding allow")
    print(f"{'':<22}{'tutorial':>9}{'extract':>9}{'×':>7}{'model':>8}{'decode':>8}{'%':>6}{'MiB':>7}")
    for name, found in results.items():
        rates = [found[f"{side}_images_per_second"] for side in ("tutorial", "extract", "model", "decode")]
        print(
            f"{name:<22}{rates[0]:>9.1f}{rates[1]:>9.1f}{found['ratio_extract']:>7.1f}{rates[2]:>8.0f}{rates[3]:>8.0f}"
            f"{100 * found['share_of_limit']:>6.0f}{found['peak_mib']['extract']:>7.0f}"
        )
        spent = ", ".join(f"{stage} {seconds:.1f} s" for stage, seconds in found["stages"].items())
        layers = f", {len(found['in_float32'])} layers in float32" if found["in_float32"] else ""
        cosines = "against the tutorial's, cosine ≥ {lowest:.4f}, median {median:.5f}".format(**found["cosine_of_all"])
        print(f"  {found['precision']}{layers}, batches of {found['batch_size']}; {spent}\n  {cosines}")


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=2000, help="photographs of 500×375 (2000)")
    parser.add_argument("--large", type=int, default=400, help="photographs of 2000×1500 (400)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each side runs (3)")
    parser.add_argument("--backbone", nargs="+", default=LIST)
    parser.add_argument("--weights", default="none", help="a torchvision state dict (none: random)")
    parser.add_argument("--photographs", type=Path, help="folder of photographs to crop (two of scikit-learn's)")
    parser.add_argument("--precision", choices=["auto", "fp32", "bf16"], default="auto")
    parser.add_argument("--compile", choices=["auto", "on", "off"], default="on")
    parser.add_argument("--workers", type=int, help="decoding threads (one a core)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.side:
        result = globals()[f"run_{options.side}"](options.folder, options.backbone[0], options)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps(result | {"peak_mib": round(peak)}))
        return {}
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        sets = [
            make_photographs(Path(folder) / f"{size[0]}×{size[1]}", count, size, options.photographs)
            for count, size in ((options.images, (500, 375)), (options.large, (2000, 1500)))
            if count
        ]
        for name in options.backbone:
            models: list[dict[str, Any]] = []
            for images in sets:
                results[f"{name} {images.name}"] = compare(images, name, options, models)
    print(json.dumps(results, indent=1)) if options.json else show(results)
    return results


if __name__ == "__main__":
    main()
