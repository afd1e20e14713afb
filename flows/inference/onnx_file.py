"""One ONNX file from pixels to probabilities, which ONNX Runtime has run before it is written."""

import json
import logging
import warnings
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from headstart.extractors.atomic import write_atomically
from headstart.flows.errors import JobError
from headstart.flows.inference.grafted import LARGEST_DIFFERENCE, gives_probabilities
from headstart.flows.inference.model import Model
from headstart.flows.inference.options import Pixels

INPUT = "pixels"

_NEEDED = ("onnx", "onnxscript", "onnxruntime")
_LARGEST = 2**31 - 2**24  # bytes of weights: a file of this kind ends at 2 GiB
_BATCHES = (1, 3)


def check_onnx(target: Path) -> None:
    """Refuse a file that cannot be written, before the work and not after it.

    Raises
    ------
    JobError
        The extra is not installed, the suffix is another one, or the folder is missing.
    """
    if lacking := [name for name in _NEEDED if find_spec(name) is None]:
        raise JobError(
            f"{target}: {', '.join(lacking)} {'is' if len(lacking) == 1 else 'are'} not installed, so no ONNX file can "
            "be written: pip install 'headstart[onnx]'"
        )
    if target.suffix != ".onnx" or not target.absolute().parent.is_dir():
        raise JobError(f"{target}: expected an .onnx file in a folder that is there; name another --onnx")


def output_name(loaded: Model) -> str:
    """Name the file's output: ``probabilities``, or ``scores`` of a head that has none."""
    return "probabilities" if gives_probabilities(loaded) else "scores"


def write_onnx(network: nn.Module, loaded: Model, target: Path, pixels: Pixels) -> None:
    """Write a network with its normalisation before it, and its softmax behind it.

    Parameters
    ----------
    network : torch.nn.Module
        As `flows.inference.grafted.grafted_network` returns it.
    loaded : Model
    target : Path
    pixels : {"uint8", "float32"}
        What the file takes.

    Raises
    ------
    JobError
        The network is too large for one file, cannot be exported, or ONNX Runtime does not give what torch gives.
    """
    size = sum(values.nbytes for values in network.state_dict().values())
    if size > _LARGEST:
        raise JobError(
            f"{target}: {size / 1e9:.1f} GB of weights, and one ONNX file holds at most 2.1 GB; take them as --out "
            "FILE.safetensors"
        )
    whole = _FromPixels(network, loaded, pixels).eval()
    some = whole.some_pixels(max(_BATCHES))
    content = _exported(whole, some, loaded, target)
    _check(content, whole, some, target)
    write_atomically(target, content)


class _FromPixels(nn.Module):
    """Network behind the normalisation of its pixels, and before a softmax where the head gives probabilities."""

    def __init__(self, network: nn.Module, loaded: Model, pixels: Pixels) -> None:
        super().__init__()
        preprocessing = loaded.backbone.preprocessing
        self._size, self.pixels = preprocessing.crop, pixels
        self._softmax = gives_probabilities(loaded)
        mean, std = (torch.tensor(one).view(1, 3, 1, 1) for one in (preprocessing.mean, preprocessing.std))
        # As the frozen network is given its pixels: one multiplication, one addition.
        white = 255 if pixels == "uint8" else 1
        self.network, self.scale, self.shift = network, nn.Buffer(1 / (white * std)), nn.Buffer(-mean / std)

    def forward(self, pixels: torch.Tensor) -> Any:
        scores = self.network(torch.addcmul(self.shift, pixels.float(), self.scale))
        return scores.softmax(dim=1) if self._softmax else scores

    def some_pixels(self, n_images: int) -> torch.Tensor:
        """Return made-up images of which each is coloured otherwise, (n_images, 3, height, width)."""
        generator = torch.Generator().manual_seed(0)
        colours = torch.rand(n_images, 3, 1, 1, generator=generator)
        noise = 0.2 * torch.randn(n_images, 3, *self._size, generator=generator)
        found = (colours + noise).clip(0, 1)
        return (255 * found).to(torch.uint8) if self.pixels == "uint8" else found


def _exported(whole: _FromPixels, some: torch.Tensor, loaded: Model, target: Path) -> bytes:
    """Return the bytes of the file."""
    log, before = logging.getLogger("torch.onnx"), logging.getLogger("torch.onnx").level
    try:
        with warnings.catch_warnings(), torch.no_grad():  # of how the exporter calls torch and onnxscript
            warnings.simplefilter("ignore")
            log.setLevel(logging.ERROR)
            program: Any = torch.onnx.export(
                whole,
                (some,),
                input_names=[INPUT],
                output_names=[output_name(loaded)],
                dynamic_shapes=({0: "n_images"},),
                external_data=False,
                verbose=False,
            )
    except Exception as error:  # a network's own code may fail in any way where it is traced
        reason = next((line for line in str(error).splitlines() if line.strip()), "")
        raise JobError(
            f"{target}: torch cannot export {loaded.backbone.name} ({type(error).__name__}: {reason}); take its "
            "weights with --out, or use 'headstart predict'"
        ) from error
    finally:
        log.setLevel(before)
    proto = program.model_proto
    _strip(proto)
    proto.producer_name, proto.producer_version = "headstart", version("headstart")
    proto.doc_string = f"{', '.join(loaded.classes)}: {loaded.card['head']} in {loaded.backbone.name}"
    for name, value in sorted(_metadata(whole, loaded).items()):
        proto.metadata_props.add(key=name, value=value)
    return bytes(proto.SerializeToString())


def _strip(proto: Any) -> None:
    """Take out what the exporter notes of the code and of the files that it lies in."""
    del proto.metadata_props[:]
    for part in (*proto.graph.node, *proto.graph.value_info, *proto.graph.input, *proto.graph.output, proto.graph):
        del part.metadata_props[:]
    for function in proto.functions:
        for part in (*function.node, function):
            del part.metadata_props[:]


def _metadata(whole: _FromPixels, loaded: Model) -> dict[str, str]:
    """Return the file's metadata for programs, as JSON where it is no plain text."""
    backbone, card = loaded.backbone, loaded.card
    height, width = backbone.preprocessing.crop
    ends = "0 to 255" if whole.pixels == "uint8" else "0 to 1"
    return {
        "class_names": json.dumps(loaded.classes, ensure_ascii=False),
        "key": loaded.key.id,
        "embedding": json.dumps(loaded.key.as_dict(), ensure_ascii=False),
        "preprocessing": json.dumps(backbone.preprocessing.as_dict()),
        "input": f"{INPUT}: {whole.pixels} from {ends}, RGB, (n_images, 3, {height}, {width}), resized and cropped "
        "as `preprocessing` says; its mean and std are applied inside",
        "output": f"{output_name(loaded)}: float32 (n_images, {len(loaded.classes)}), in the order of `class_names`",
        "backbone": backbone.name,
        "weights": backbone.weights,
        "head": str(card["head"]),
        "tap": str(card["tap"]),
        "headstart_version": version("headstart"),
        **({"decision": json.dumps(loaded.decision.as_dict())} if loaded.decision else {}),
    }


def _check(content: bytes, whole: nn.Module, some: torch.Tensor, target: Path) -> None:
    """Run the file, in batches of several sizes, and hold what it gives against torch."""
    for size in _BATCHES:
        with torch.no_grad():
            expected = whole(some[:size]).numpy()
        found = _run(content, some[:size].numpy(), target)
        off = float("nan") if found.shape != expected.shape else float(np.abs(found - expected).max())
        if not off <= LARGEST_DIFFERENCE * max(1.0, float(np.abs(expected).max())):
            raise JobError(
                f"{target}: ONNX Runtime gives {size} images other numbers than torch (off by {off:.1e}); take the "
                "weights with --out, or use 'headstart predict'"
            )


def _run(content: bytes, pixels: Any, target: Path) -> Any:
    import onnxruntime  # noqa: PLC0415 - optional

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors
    try:
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        return session.run(None, {INPUT: pixels})[0]
    except Exception as error:  # its errors have no type in common
        raise JobError(
            f"{target}: ONNX Runtime cannot run the file ({str(error).partition(chr(10))[0]}); take the weights with "
            "--out, or use 'headstart predict'"
        ) from error
