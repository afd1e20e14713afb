"""The frozen forward pass: a batch of uint8 images in, one float32 array a tap out."""

import copy
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch

from headstart.extractors.arrays import Array
from headstart.extractors.backbones import Backbone
from headstart.extractors.errors import BatchTooLargeError
from headstart.extractors.memory import keep_freed_memory
from headstart.extractors.network.casting import cast_weights, keep_in_float32
from headstart.extractors.network.compilation import compile_forward
from headstart.extractors.network.dependencies import all_dependencies
from headstart.extractors.network.folding import TRACING, simplify
from headstart.extractors.network.kept import KeptNetwork
from headstart.extractors.network.taps import TapReader
from headstart.extractors.spec import Mixed, Precision, Preprocessing, Tap
from headstart.extractors.stages import StageTimes

Pending = Callable[[], dict[str, Array]]


class ForwardPass:
    """A backbone on its device, in its precision, read out at its taps.

    Parameters
    ----------
    backbone : Backbone
        Frozen; its module is copied to the device, and never changed.
    taps : sequence of Tap
        Read in one pass.
    device : torch.device
        Where to compute.
    precision : {"fp32", "bf16"} or Mixed
        What to compute in; normalisation is float32 always.
    batch_size : int
        Every batch is padded to this size: with one shape a row's bits do not depend on how many images came with it.
    compiled : bool
        Compile it; the first batch then takes seconds to minutes, and may raise `compilation.CannotCompile`. What was
        compiled for the CPU before is taken up at once.
    plain : bool
        Without any shortcut: the network as it was loaded, in the memory layout it was loaded in. The others are
        compared with this one.
    times : StageTimes, optional
        Where the time goes: ``transfer`` and ``forward``.

    Attributes
    ----------
    module : torch.nn.Module
        What computes: the backbone's layers by their names.
    kept : KeptNetwork or None
        Where the network is kept, if it is compiled for the CPU.
    """

    def __init__(
        self,
        backbone: Backbone,
        taps: Sequence[Tap],
        *,
        device: torch.device,
        precision: Precision | Mixed,
        batch_size: int,
        compiled: bool = False,
        plain: bool = False,
        times: StageTimes | None = None,
    ) -> None:
        self.batch_size, self.device = batch_size, device
        self._times = times or StageTimes()
        most: Precision = "bf16" if isinstance(precision, Mixed) else precision
        in_float32 = precision.in_float32 if isinstance(precision, Mixed) else ()
        self._reduced = most == "bf16"
        self._layout = torch.contiguous_format if plain else torch.channels_last
        if device.type == "cpu":
            keep_freed_memory()
        self.kept: KeptNetwork | None = None
        if compiled and device.type == "cpu":
            shape = (batch_size, *backbone.preprocessing.crop, 3)
            depends_on = all_dependencies(backbone, taps, shape, precision=most, in_float32=in_float32, plain=plain)
            self.kept = KeptNetwork(depends_on, [str(tap) for tap in dict.fromkeys(taps)], shape)
            if self.kept.load():
                self._compute = self.kept.compute
                return
        module = copy.deepcopy(backbone.module)
        if not plain:
            simplify(module, [tap.layer for tap in taps])
            if self._reduced:
                cast_weights(module, but=in_float32)
        keep_in_float32(module, in_float32, device)
        self.module = module = module.to(device).to(memory_format=self._layout)
        self._read = TapReader(dataclasses.replace(backbone, module=module), taps)
        self._scale, self._shift = _scale_and_shift(backbone.preprocessing, device)
        self._compute = self._network
        if self.kept:
            self.kept.make_of(self._network, module)
            self._compute = self.kept.compute
        elif compiled:
            self._compute = compile_forward(self._network)

    @property
    def is_kept(self) -> bool:
        """Whether it was compiled before and kept, so that the first batch takes no longer than others."""
        return self.kept is not None and self.kept.loaded

    @property
    def reasons(self) -> list[str]:
        """Why the next run will have to compile again, if it will."""
        return [f"the compiled network is not kept: {self.kept.reason}"] if self.kept and self.kept.reason else []

    def __call__(self, images: Array) -> dict[str, Array]:
        """Embed uint8 images (n_images ≤ batch_size, height, width, 3) into float32 arrays (n_images, …), one a tap."""
        return self.start(images)()

    def start(self, images: Array | torch.Tensor) -> Pending:
        """Begin to embed, and return what waits for the features; on a GPU the next batch can be prepared meanwhile.

        Parameters
        ----------
        images : uint8 array or tensor (n_images ≤ batch_size, height, width, 3)
            A tensor may lie on the device already.

        Raises
        ------
        BatchTooLargeError
            The device has no memory left for so many.
        """
        try:
            return self._start(images)
        except torch.OutOfMemoryError as error:  # raised of a GPU alone
            raise BatchTooLargeError(
                f"{self.device} has no memory for a batch of {self.batch_size} images beside all else that is on it; "
                f"use --batch-size {max(1, self.batch_size // 2)}, or --device cpu"
            ) from error

    def _start(self, images: Array | torch.Tensor) -> Pending:
        with self._times.measure("transfer"):
            pixels = self._to_device(images)
        # Torch refuses to run its compiled programs under inference mode on some of its versions.
        with self._times.measure("forward"), TRACING, torch.no_grad(), exact_convolutions(self.device):
            features = self._compute(pixels)
        return self._fetch(features, len(images))

    def follow(self, images: Array) -> dict[str, torch.Tensor]:
        """Embed images so that gradients can be followed back to every layer; of an uncompiled pass."""
        with TRACING, exact_convolutions(self.device):
            return self._network(self._to_device(images), gradients=True)

    def _network(self, pixels: torch.Tensor, *, gradients: bool = False) -> dict[str, torch.Tensor]:
        # Autocast, and not a module cast to bf16: normalisation layers stay in float32, which halves the error of a
        # MobileNet.
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self._reduced):
            normalised = torch.addcmul(self._shift, pixels.permute(0, 3, 1, 2).float(), self._scale)
            normalised = normalised.contiguous(memory_format=self._layout)
            if gradients:
                normalised.requires_grad_()
            features = self._read(normalised, gradients=gradients)
            return {tap: values.float() for tap, values in features.items()}

    def _to_device(self, images: Array | torch.Tensor) -> torch.Tensor:
        given = torch.from_numpy(images) if isinstance(images, np.ndarray) else images
        if len(given) < self.batch_size:
            given = torch.cat([given, given.new_zeros((self.batch_size - len(given), *given.shape[1:]))])
        if self.device.type == "cuda" and given.device.type == "cpu":
            # From pinned memory the copy goes on by itself while this thread prepares the next batch.
            return given.pin_memory().to(self.device, non_blocking=True)
        return given.to(self.device)

    def _fetch(self, features: dict[str, torch.Tensor], n_images: int) -> Pending:
        if self.device.type != "cuda":
            return lambda: {tap: values[:n_images].numpy() for tap, values in features.items()}
        on_host = {
            tap: torch.empty(values.shape, dtype=values.dtype, pin_memory=True) for tap, values in features.items()
        }
        for tap, values in features.items():
            on_host[tap].copy_(values, non_blocking=True)
        done = torch.cuda.Event()  # type: ignore[no-untyped-call]  # torch does not annotate it
        done.record(torch.cuda.current_stream(self.device))

        def wait() -> dict[str, Array]:
            with self._times.measure("forward"):
                done.synchronize()
            return {tap: values[:n_images].numpy() for tap, values in on_host.items()}

        return wait


@contextmanager
def exact_convolutions(device: torch.device) -> Iterator[None]:
    """Keep cuDNN from computing float32 convolutions in TF32, which it does unasked: fp32 means the same everywhere."""
    if device.type != "cuda":
        yield
        return
    convolution = torch.backends.cudnn.conv  # type: ignore[attr-defined]  # torch makes it at run time
    before, convolution.fp32_precision = convolution.fp32_precision, "ieee"
    try:
        yield
    finally:
        convolution.fp32_precision = before


def _scale_and_shift(preprocessing: Preprocessing, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Factor and summand that do the work of ToTensor and Normalize: (x / 255 − mean) / std."""
    both = preprocessing.mean, preprocessing.std
    mean, std = (torch.tensor(values, device=device).view(1, 3, 1, 1) for values in both)
    return 1 / (255 * std), -mean / std
