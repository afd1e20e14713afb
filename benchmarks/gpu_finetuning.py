"""Part of `bench_gpu.py`: an epoch of a network's tail on cached maps, on a device and on the CPU."""

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from bench_extract import timed
from gpu_rows import NO_TIME, failing_in_its_row, say

ROUNDS, EPOCHS = 3, 2
TAILS = {"resnet50": ("layer4", 256, 224), "mobilenet_v2": ("features.16", 1024, 224)}
TINY = {"mobilenet_v2": ("features.18", 24, 64)}
"""First layer that is trained, how many images, and their pixels a side."""


def run(device: str, deadline: float) -> None:
    """Measure both tails until the deadline; what it does not reach, a row says."""
    for name, (layer, n_images, side) in (TINY if device == "cpu" else TAILS).items():
        if time.monotonic() > deadline:
            say(name, layer, note=NO_TIME)
            continue
        with failing_in_its_row(name, layer):
            compare(name, layer, maps_before(name, layer, n_images, side), device, deadline)


def compare(name: str, layer: str, X: Any, device: str, deadline: float) -> None:
    """Train in both precisions on the device, and in float32 on the CPU, in turn; print their medians."""
    from headstart.extractors.backbones import load_backbone
    from headstart.extractors.network import cut_before

    tail, y = cut_before(load_backbone(name, weights="none"), layer).with_classes(2, seed=0), np.arange(len(X)) % 2
    jobs = {one: training_of(tail, X, y, *one) for one in ((device, "fp32"), (device, "bf16"), ("cpu", "fp32"))}
    times: dict[Any, list[float]] = {side: [] for side in jobs}
    losses: dict[Any, float] = {}
    for number in range(ROUNDS):
        for side, job in jobs.items():
            if not number or time.monotonic() + EPOCHS * times[side][-1] < deadline:
                seconds, losses[side] = timed(job)
                times[side].append(seconds / EPOCHS)
    for precision in ("fp32", "bf16"):
        own, theirs = (statistics.median(times[side]) for side in ((device, precision), ("cpu", "fp32")))
        apart = abs(losses[device, precision] - losses["cpu", "fp32"])
        say(
            name,
            f"an epoch of {layer}, {precision}",
            ours=own,
            other="own, CPU",
            theirs=theirs,
            ratio=theirs / own,
            note=f"losses differ by {apart:.4f}",
        )


def maps_before(name: str, layer: str, n_images: int, side: int) -> Any:
    """Activations of the layers before the cut on noise, float16 (n_images, …)."""
    import torch

    from headstart.extractors.backbones import load_backbone
    from headstart.extractors.network import ForwardPass, cut_before

    backbone = load_backbone(name, weights="none")
    tap = cut_before(backbone, layer).tap
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    forward = ForwardPass(backbone, [tap], device=device, precision="fp32", batch_size=8)
    draw = np.random.default_rng(0)
    rows = [
        next(iter(forward(draw.integers(0, 256, (8, side, side, 3), dtype=np.uint8)).values())).copy()
        for _ in range(n_images // 8)
    ]
    found = np.concatenate(rows)
    return (found / max(1.0, float(np.abs(found).max()))).astype(np.float16)


def training_of(tail: Any, X: Any, y: Any, device: str, precision: str) -> Callable[[], float]:
    """Return a training of the tail as a job that gives its last loss."""
    from headstart.heads.finetuning import TailClassifier

    def job() -> float:
        head = TailClassifier(
            tail.module, tail.blocks, device=device, precision=precision, epochs=EPOCHS, patience=EPOCHS
        )
        return float(head.fit(X, y).history_[-1]["loss"])

    return job
