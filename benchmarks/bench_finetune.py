"""An epoch of fine-tuning on cached maps against the plain loop, which opens every image and runs the whole network.

Two sides take turns, each in a process of its own, on the same JPEG files, the same weights, the same images in the
same order, with the same tail in evaluation mode (SGD with momentum, batches of 32), the loop in float32:

- loop: what people write — `ImageFolder`, a `DataLoader` with as many workers as cores, the trunk frozen; a pass over
  the images that are trained on, and one over a tenth that is held out;
- finetune: the same epoch by `TailClassifier` on the rows that `headstart extract` has cached.

Both say their losses, which have to agree. Ratios are medians of each round's ratio, of the clock and, for a machine
on which others work too, of the processors' time. What is paid once, the extraction, is given beside it, with the
number of epochs after which both together are faster than the loop.

Weights are random; their batch norms have seen some of the photographs, or features of random weights would overflow.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from bench_extract import make_photographs, ratio, timed

SIDES = ("loop", "finetune")
LAYERS = {"resnet50": "layer4", "mobilenet_v2": "features.16"}
"""First layer that is trained: resnet50's last stage, mobilenet_v2's last three blocks."""

CLASSES = ("flower", "temple")
BATCH, RATE, MOMENTUM, SEED = 32, 0.003, 0.9, 0


@dataclass(frozen=True)
class Images:
    """Classes of the photographs, from 0, in the order of their names, and the rows that are trained on, in order."""

    labels: "np.ndarray[Any, Any]"
    fit: "np.ndarray[Any, Any]"
    held_out: "np.ndarray[Any, Any]"

    @classmethod
    def of(cls, photographs: Path) -> "Images":
        """Split as `TailClassifier` does, and shuffle as it does in its first epoch."""
        from headstart.heads.neural import hold_out

        counts = [sum(1 for _ in (photographs / name).glob("*.jpg")) for name in CLASSES]
        labels = np.repeat(np.arange(len(CLASSES)), counts)
        fit, held_out = hold_out(labels, 0.1, SEED)
        return cls(labels, np.random.default_rng([SEED, 1]).permutation(fit), held_out)


def prepared(backbone: str, photographs: Path, image_size: int) -> Any:
    """Return the photographs as the loop takes them: resized and cropped as the tutorials do."""
    import torchvision
    from torchvision.datasets import ImageFolder

    prepare = next(iter(torchvision.models.get_model_weights(backbone))).transforms
    usual = prepare()
    resize = round(usual.resize_size[0] * image_size / usual.crop_size[0])
    return ImageFolder(str(photographs), prepare(crop_size=image_size, resize_size=resize))


def make_weights(backbone: str, images: Any, place: Path) -> Path:
    """Write random weights whose batch norms have the statistics of some photographs."""
    import torch
    import torchvision

    torch.manual_seed(SEED)
    model = torchvision.models.get_model(backbone).train()
    for layer in model.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.momentum = None  # the mean of all batches
    some = np.linspace(0, len(images) - 1, min(16, len(images))).astype(int)
    with torch.no_grad():
        model(torch.stack([images[number][0] for number in some]))
    torch.save(model.state_dict(), place)
    return place


def run_loop(options: argparse.Namespace) -> dict[str, Any]:
    """Time an epoch of the plain loop; model and libraries are loaded before."""
    import torch
    import torchvision
    from torch import nn
    from torch.nn import functional
    from torch.utils.data import DataLoader, Subset

    found = Images.of(options.folder)
    model = torchvision.models.get_model(options.backbone)
    model.load_state_dict(torch.load(options.weights, weights_only=True))
    head = "fc" if options.backbone == "resnet50" else "classifier.1"
    torch.manual_seed(SEED)
    model.set_submodule(head, nn.Linear(model.get_submodule(head).in_features, len(CLASSES)))
    model.eval().requires_grad_(requires_grad=False)
    trained = (
        ("layer4.", "fc.") if options.backbone == "resnet50" else ("features.16.", "features.17.", "features.18.", head)
    )
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name.startswith(trained))
    images = prepared(options.backbone, options.folder, options.image_size)
    workers = {"batch_size": BATCH, "num_workers": os.cpu_count() or 1}
    train, held_out = (DataLoader(Subset(images, rows.tolist()), **workers) for rows in (found.fit, found.held_out))
    optimizer = torch.optim.SGD([one for one in model.parameters() if one.requires_grad], lr=RATE, momentum=MOMENTUM)

    def epoch() -> tuple[float, float]:
        total = 0.0
        for batch, classes in train:
            optimizer.zero_grad()
            loss = functional.cross_entropy(model(batch), classes)
            loss.backward()
            optimizer.step()
            total += loss.item() * len(batch)
        after = 0.0
        with torch.no_grad():
            for batch, classes in held_out:
                after += float(functional.cross_entropy(model(batch), classes, reduction="sum"))
        return total / len(found.fit), after / len(found.held_out)

    before = spent()
    seconds, (loss, val_loss) = timed(epoch)
    return {"seconds": seconds, "processor_seconds": spent() - before, "loss": loss, "val_loss": val_loss}


def run_finetune(options: argparse.Namespace) -> dict[str, Any]:
    """Time an epoch of the tail on cached maps; the cache, the network and the libraries are opened before."""
    from headstart.extractors.backbones import load_backbone
    from headstart.extractors.cache import EmbeddingCache
    from headstart.extractors.listing import read_listing
    from headstart.extractors.network import cut_before
    from headstart.heads.finetuning import TailClassifier

    cache, found = EmbeddingCache(options.cache), Images.of(options.folder)
    backbone = load_backbone(options.backbone, weights=str(options.weights), image_size=options.image_size)
    tail = cut_before(backbone, LAYERS[options.backbone]).with_classes(len(CLASSES), seed=SEED)
    rows = cache.stores()[0].view(str(tail.tap), read_listing(cache).usable["digest"].tolist()).mapped()
    how = {"batch_size": BATCH, "learning_rate": RATE, "momentum": MOMENTUM, "random_state": SEED}
    how |= {"precision": options.precision}
    head = TailClassifier(tail.module, tail.blocks, epochs=1, **how)
    before = spent()
    seconds, _ = timed(lambda: head.fit(rows, found.labels))
    (epoch,) = head.history_
    return {
        "seconds": seconds,
        "processor_seconds": spent() - before,
        "loss": epoch["loss"],
        "val_loss": epoch["val_loss"],
        "bytes_an_image": int(rows[:1].nbytes),
        "stored_as": str(rows[:1].dtype),
    }


def spent() -> float:
    """Return the seconds that processors have worked for this process and those that it has waited for."""
    used = [resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def compare(photographs: Path, backbone: str, options: argparse.Namespace, room: Path) -> dict[str, Any]:
    """Extract once, then run both sides in turn, `rounds` times."""
    from headstart.extractors.backbones import load_backbone
    from headstart.extractors.network import cut_before
    from headstart.flows.extraction import extract

    weights = make_weights(backbone, prepared(backbone, photographs, options.image_size), room / f"{backbone}.pth")
    alike = {"weights": str(weights), "image_size": options.image_size}
    tap = str(cut_before(load_backbone(backbone, **alike), LAYERS[backbone]).tap)
    cache = room / f"{backbone}.headstart"
    asked = {"tap": tap, "precision": "fp32", "decode": "full", "compile": "off", **alike}
    extraction, _ = timed(lambda: extract(photographs, backbone, cache=cache, **asked))
    given = {"folder": photographs, "backbone": backbone, "cache": cache, "weights": weights}
    given |= {"image-size": options.image_size, "precision": options.precision}
    rounds = [{side: run_side(side, given) for side in SIDES} for _ in range(options.rounds)]
    loop, finetune = ([one[side] for one in rounds] for side in SIDES)
    slow, fast = ([one["seconds"] for one in several] for several in (loop, finetune))
    worked = [[one["processor_seconds"] for one in several] for several in (loop, finetune)]
    saved = statistics.median(slow) - statistics.median(fast)
    n_images = sum(1 for _ in photographs.rglob("*.jpg"))
    return {
        "ratio": ratio(slow, fast),
        "ratio_of_processor_time": ratio(*worked),
        "ratios": [round(one / other, 2) for one, other in zip(slow, fast, strict=True)],
        "from": LAYERS[backbone],
        "precision": options.precision,
        "images": n_images,
        "rounds": options.rounds,
        "loop_seconds": round(statistics.median(slow), 3),
        "finetune_seconds": round(statistics.median(fast), 3),
        "extraction_seconds": round(extraction, 3),
        "repaid_after_epochs": round(extraction / saved, 2) if saved > 0 else None,
        "bytes_an_image": finetune[0]["bytes_an_image"],
        "stored_as": finetune[0]["stored_as"],
        "jpeg_bytes_an_image": round(sum(one.stat().st_size for one in photographs.rglob("*.jpg")) / n_images),
        "loss": [loop[0]["loss"], finetune[0]["loss"]],
        "val_loss": [loop[0]["val_loss"], finetune[0]["val_loss"]],
    }


def run_side(side: str, given: dict[str, Any]) -> dict[str, Any]:
    """Run one side in a process of its own."""
    words = [word for name, value in given.items() for word in (f"--{name}", str(value))]
    command = [sys.executable, __file__, "--side", side, *words]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)  # noqa: S603 - this very script
    return dict(json.loads(done.stdout))


def show(results: dict[str, dict[str, Any]]) -> None:
    """Print a table for people, 80 columns wide."""
    print(f"an epoch of finetune on {os.cpu_count()} cores; × is times the speed of the plain loop in float32")
    print(f"{'':<14}{'from':<12}{'×':>6}{'× CPU':>7}{'loop s':>8}{'ours s':>8}{'extract s':>11}{'repaid after':>14}")
    for name, found in results.items():
        print(
            f"{name:<14}{found['from']:<12}{found['ratio']:>6.1f}{found['ratio_of_processor_time']:>7.1f}"
            f"{found['loop_seconds']:>8.1f}"
            f"{found['finetune_seconds']:>8.1f}{found['extraction_seconds']:>11.1f}"
            f"{found['repaid_after_epochs'] or float('inf'):>7.1f} epochs"
        )
        losses = [f"{one:.4f} and {other:.4f}" for one, other in (found["loss"], found["val_loss"])]
        print(
            f"  {found['images']} photographs, {found['bytes_an_image'] / 1000:.0f} kB each as {found['stored_as']} "
            f"(JPEG: {found['jpeg_bytes_an_image'] / 1000:.0f} kB); rounds: {', '.join(map(str, found['ratios']))}"
        )
        print(f"  loss, loop and finetune: over the epoch {losses[0]}, then held out {losses[1]}")


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=512, help="photographs, at least 100 (512)")
    parser.add_argument("--size", type=int, nargs=2, default=(500, 375), metavar=("WIDTH", "HEIGHT"))
    parser.add_argument("--image-size", type=int, default=224, help="pixels a side that networks see (224)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each side runs (3)")
    parser.add_argument("--backbone", nargs="+", choices=LAYERS, default=list(LAYERS))
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32", help="of our tail (fp32)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    for hidden in ("--side", "--folder", "--weights", "--cache"):
        parser.add_argument(hidden, help=argparse.SUPPRESS, type=str if hidden == "--side" else Path)
    options = parser.parse_args(arguments)
    if options.side:
        options.backbone = options.backbone[0]
        print(json.dumps((run_loop if options.side == "loop" else run_finetune)(options)))
        return {}
    with tempfile.TemporaryDirectory() as folder:
        photographs = make_photographs(Path(folder) / "photographs", options.images, tuple(options.size))
        results = {name: compare(photographs, name, options, Path(folder)) for name in options.backbone}
    print(json.dumps(results, indent=1)) if options.json else show(results)
    return results


if __name__ == "__main__":
    main()
