"""The frozen forward pass: a batch of uint8 images in, one float32 array a tap out."""

import copy
import dataclasses
from collections.abc import Sequence

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
        with torch.inference_mode(), torch.autocast(self._device.type, torch.bfloat16, enabled=self._reduced):
            pixels = torch.from_numpy(padded).to(self._device).permute(0, 3, 1, 2)
            normalised = torch.addcmul(self._shift, pixels.float(), self._scale)
            features = self._read(normalised.contiguous(memory_format=torch.channels_last))
            return {tap: values[: len(images)].float().cpu().numpy() for tap, values in features.items()}


def store_as(features: dict[str, Array], dtype: StoredDtype, *, where: str) -> dict[str, Array]:
    """Cast features for the cache.

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
        bad = ~np.isfinite(rows).all(axis=1)
        if bad.any():
            raise FeatureError(
                f"{where}, tap {tap}: {int(bad.sum())} of {len(values)} images gave features that are not finite; "
                f"try --precision fp32, and check the weights"
            )
        with np.errstate(over="ignore"):  # what overflows is refused below
            stored[tap] = values.astype(dtype)
        error = np.linalg.norm(stored[tap].reshape(rows.shape).astype(np.float32) - rows, axis=1)
        if (~(error <= _LARGEST_ROUNDING * np.linalg.norm(rows, axis=1))).any():
            largest = np.abs(rows).max()
            raise FeatureError(
                f"{where}, tap {tap}: features of size {largest:.1e} do not fit {dtype}; use --dtype float32"
            )
    return stored
