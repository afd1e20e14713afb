"""Part of `bench_gpu.py`: photographs to features on a device, beside the loop of the tutorials on the same device."""

import hashlib
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from bench_extract import make_photographs, timed
from gpu_rows import NO_TIME, failing_in_its_row, say

N_COMPARED = 32  # images of which features are held against float32 on the CPU
BACKBONES, TINY = {"resnet50": 2048, "mobilenet_v2": 2048, "vit_b_16": 1024}, {"mnasnet0_5": 4}
"""Networks, and how many photographs each is given."""


@dataclass(frozen=True)
class Setting:
    """One way to extract."""

    precision: str
    decode: str
    compiled: bool

    def __str__(self) -> str:
        """Return it as a row says it."""
        decoded = "nvJPEG" if self.decode == "nvjpeg" else "Pillow"
        return f"{self.precision}, {decoded}, {'compiled' if self.compiled else 'eager'}"


@contextmanager
def photographs(count: int) -> Iterator[Path]:
    """Yield a folder of classes with so many JPEG files: real ones again and again, or made up."""
    data = os.environ.get("HEADSTART_DATA", "")
    files = sorted(Path(data, "data", "hymenoptera", "train").rglob("*.jpg")) if data else []
    with tempfile.TemporaryDirectory() as folder:
        if not files:
            make_photographs(Path(folder), count)
        for number in range(count if files else 0):
            source = files[number % len(files)]
            place = Path(folder) / source.parent.name
            place.mkdir(exist_ok=True)
            (place / f"{number:05d}.jpg").symlink_to(source)
        yield Path(folder)


def run(device_name: str, deadline: float) -> None:
    """Measure every backbone in every setting until the deadline; what it does not reach, a row says."""
    import torch

    from headstart.extractors.backbones import load_backbone

    device, tiny = torch.device(device_name), device_name == "cpu"
    decodes = ["full"] if tiny else ["full", "nvjpeg"]
    for compiled in (False,) if tiny else (False, True):  # what compiles last: it takes longest to begin
        for name, count in (TINY if tiny else BACKBONES).items():
            settings = [Setting(*one, compiled) for one in product(("fp32", "bf16"), decodes)]
            with failing_in_its_row(name), photographs(count) as folder:
                backbone = load_backbone(name, weights=weights_of(name))
                compare(name, backbone, folder, settings, device, deadline)


def weights_of(backbone: str) -> str:
    """Return the file of weights that ``HEADSTART_DATA`` holds, or ``none``, which are random."""
    file = Path(os.environ.get("HEADSTART_DATA", ""), "weights", f"{backbone}-imagenet.pth")
    return str(file) if os.environ.get("HEADSTART_DATA") and file.is_file() else "none"


def compare(name: str, backbone: Any, folder: Path, settings: list[Setting], device: Any, deadline: float) -> None:
    """Time the tutorials' loop and every setting in turn, and print their medians."""
    listed, cosines, sides = listing(folder), dict[Setting, float](), dict[Setting, Callable[[list[Any]], Any]]()
    some = listed[:N_COMPARED]
    reference = extraction(backbone, folder, Setting("fp32", "full", compiled=False), torch_device("cpu"))(some)
    for setting in settings:
        if time.monotonic() > deadline:
            say(name, str(setting), note=NO_TIME)
            continue
        with failing_in_its_row(name, str(setting)):
            side = extraction(backbone, folder, setting, device)
            cosines[setting] = cosine(side(some), reference)  # warms up, too
            sides[setting] = side
    rounds: list[dict[Any, float]] = []
    for number in range(3 if device.type == "cuda" else 1):
        if sides and (time.monotonic() < deadline or not number):
            found: dict[Any, float] = {"loop": timed(lambda: tutorial_loop(name, folder, device))[0]}
            for setting, side in sides.items():
                found[setting] = timed(partial(side, listed))[0]
            rounds.append(found)
    for setting in sides:
        say(
            name,
            str(setting),
            ours=len(listed) / statistics.median(one[setting] for one in rounds),
            other="tutorial loop",
            theirs=len(listed) / statistics.median(one["loop"] for one in rounds),
            ratio=statistics.median(one["loop"] / one[setting] for one in rounds),
            note=f"cosine {cosines[setting]:.5f}",
        )


def torch_device(name: str) -> Any:
    """Return the device of this name."""
    import torch

    return torch.device(name)


def listing(folder: Path) -> list[Any]:
    """Return every photograph with its digest, as the engine takes them."""
    from headstart.extractors.images import ImageSource

    files = sorted(folder.rglob("*.jpg"))
    return [
        (
            ImageSource(str(path.relative_to(folder)), None, None, path.stat().st_size),
            hashlib.sha256(path.read_bytes()).hexdigest(),
        )
        for path in files
    ]


def extraction(backbone: Any, folder: Path, setting: Setting, device: Any) -> Callable[[list[Any]], Any]:
    """Return our extraction of listed photographs as a job that gives their features (n_images, n_features)."""
    from headstart.extractors.decoding import Decoding
    from headstart.extractors.extraction.engine import embed
    from headstart.extractors.network import ForwardPass
    from headstart.extractors.spec import Tap
    from headstart.extractors.stages import StageTimes

    on_gpu = device.type == "cuda"
    forward = ForwardPass(
        backbone,
        [Tap()],
        device=device,
        precision=setting.precision,
        batch_size=128 if on_gpu else 4,
        compiled=setting.compiled,
    )
    decoding = Decoding(
        preprocessing=backbone.preprocessing,
        decode=setting.decode,
        workers=os.cpu_count() or 1,
        in_turn=not on_gpu,
    )

    def job(listed: list[Any]) -> Any:
        batches = list(embed(forward, folder, listed, decoding, StageTimes()))
        if lost := [one for batch in batches for one in (batch.unreadable or batch.not_read).values()]:
            raise RuntimeError(f"{len(lost)} photographs could not be embedded: {lost[0]}")
        return np.concatenate([next(iter(batch.features.values())) for batch in batches])

    return job


def cosine(found: Any, expected: Any) -> float:
    """Return the least cosine between the rows of both."""
    a, b = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (found, expected))
    return float((a * b).sum(axis=1).min())


def tutorial_loop(backbone: str, folder: Path, device: Any) -> Any:
    """Embed as the tutorials do, on the device."""
    import torch
    import torchvision
    from torch import nn
    from torch.utils.data import DataLoader
    from torchvision.datasets import ImageFolder

    model = torchvision.models.get_model(backbone)
    head = [name for name, module in model.named_modules() if isinstance(module, nn.Linear)][-1]
    model.set_submodule(head, nn.Identity())
    model.eval().to(device)
    transform = torchvision.models.get_model_weights(backbone).DEFAULT.transforms()
    loader = DataLoader(
        ImageFolder(str(folder), transform=transform),
        batch_size=32,
        num_workers=(os.cpu_count() or 1) if device.type == "cuda" else 0,
        pin_memory=device.type == "cuda",
    )
    with torch.no_grad():
        return torch.cat([model(batch.to(device)).cpu() for batch, _ in loader])
