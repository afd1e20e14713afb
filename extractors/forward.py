"""The frozen forward pass: a batch of uint8 images in, one float32 array a tap out."""

import copy
import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch

from extractors.backbone import Backbone
from extractors.errors import FeatureError
from extractors.key import Precision, StoredDtype
from extractors.shards import Array
from extractors.taps import Tap, TapReader

_LARGEST_ROUNDING = 1e-3  # float16 keeps 11 bits: of normal numbers it loses 5e-4 at most


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
    precision : {"fp32", "bf16"}
        What to compute in; normalisation is float32 always.
    batch_size : int
        Every batch is padded to this size: with one shape a row's bits do not depend on how many images came with it.
    """

    def __init__(
        self,
        backbone: Backbone,
        taps: Sequence[Tap],
        *,
        device: torch.device,
        precision: Precision,
        batch_size: int,
    ) -> None:
        self.batch_size = batch_size
        self._device = device
        self._reduced = precision == "bf16"
        module = copy.deepcopy(backbone.module).to(device).to(memory_format=torch.channels_last)
        self._read = TapReader(dataclasses.replace(backbone, module=module), taps)
        preprocessing = backbone.preprocessing
        mean, std = (
            torch.tensor(values, device=device).view(1, 3, 1, 1) for values in (preprocessing.mean, preprocessing.std)
        )
        # One multiplication and one addition do the work of ToTensor and Normalize: (x / 255 − mean) / std.
        self._scale, self._shift = 1 / (255 * std), -mean / std

    def __call__(self, images: Array) -> dict[str, Array]:
        """Embed uint8 images (n_images ≤ batch_size, height, width, 3) into float32 arrays (n_images, …), one a tap."""
        padded = np.zeros((self.batch_size, *images.shape[1:]), np.uint8)
        padded[: len(images)] = images
        # Autocast, and not a module cast to bf16: normalisation layers stay in float32, which halves the error of a
        # MobileNet.
        autocast = torch.autocast(self._device.type, torch.bfloat16, enabled=self._reduced)
        with torch.inference_mode(), _exact_convolutions(self._device), autocast:
            pixels = torch.from_numpy(padded).to(self._device).permute(0, 3, 1, 2)
            normalised = torch.addcmul(self._shift, pixels.float(), self._scale)
            features = self._read(normalised.contiguous(memory_format=torch.channels_last))
            return {tap: values[: len(images)].float().cpu().numpy() for tap, values in features.items()}


@contextmanager
def _exact_convolutions(device: torch.device) -> Iterator[None]:
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


def store_as(
    features: dict[str, Array], dtype: StoredDtype, *, backbone: str, paths: Sequence[str]
) -> dict[str, Array]:
    """Cast features for the cache.

    Parameters
    ----------
    features : dict of tap to float32 array (n_images, …)
        From a forward pass.
    dtype : {"float16", "float32"}
        What the cache stores.
    backbone : str
        For the messages.
    paths : sequence of str (n_images,)
        The images, for the messages.

    Raises
    ------
    FeatureError
        A value is not finite, or `dtype` would change an image's features by more than its rounding does: too large
        values become infinite in float16, and too small ones vanish (a MobileNet with random weights gives features
        below 1e-7).
    """
    stored = {}
    for tap, values in features.items():
        rows = values.reshape(len(values), -1)
        bad = np.flatnonzero(~np.isfinite(rows).all(axis=1))
        if len(bad):
            raise FeatureError(
                f"{backbone}, tap {tap}: {len(bad)} of {len(values)} images in a batch gave features that are not "
                f"finite, first {paths[bad[0]]}; try --precision fp32, and check the weights"
            )
        with np.errstate(over="ignore"):  # what overflows is refused below
            stored[tap] = values.astype(dtype)
        error = np.linalg.norm(stored[tap].reshape(rows.shape).astype(np.float32) - rows, axis=1)
        lost = np.flatnonzero(~(error <= _LARGEST_ROUNDING * np.linalg.norm(rows, axis=1)))
        if len(lost):
            raise FeatureError(
                f"{backbone}, tap {tap}: features of size {np.abs(rows[lost[0]]).max():.1e} do not fit {dtype}, "
                f"first {paths[lost[0]]}; use --dtype float32"
            )
    return stored
