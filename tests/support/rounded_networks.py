"""Networks for images of 32 pixels of which bfloat16 ruins one part: large weights that nearly cancel."""

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it
from torch import nn

from headstart.extractors.spec import Preprocessing


class Ruined(nn.Module):
    """In bfloat16 nothing is left of what `cancel` puts out, x · 1000.5 − x · 1000, for both weights round to 1000."""

    def __init__(self) -> None:
        super().__init__()
        self.preprocessing = Preprocessing(resize=32, crop=(32, 32))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.mix = nn.Conv2d(3, 8, 3, 2)
            self.cancel = nn.Conv2d(16, 8, 1, bias=False)
            self.last = nn.Conv2d(8, 12, 3, 2)
        self.cancel.weight.data = torch.cat([1000.5 * torch.eye(8), -1000.0 * torch.eye(8)], 1).view(8, 16, 1, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Embed normalised images (n_images, 3, 32, 32) into (n_images, 12)."""
        mixed = F.relu(self.mix(images))
        return self.last(self.cancelled(torch.cat([mixed, mixed], 1))).mean((2, 3))  # type: ignore[no-any-return]  # modules return Any

    def cancelled(self, twice: torch.Tensor) -> torch.Tensor:
        """Let the halves of (n_images, 16, height, width) nearly cancel."""
        return self.cancel(twice)  # type: ignore[no-any-return]  # modules return Any


class OutsideOfLayers(Ruined):
    """Its cancelling weights are used by its own code, and not by a layer that could stay in float32."""

    def cancelled(self, twice: torch.Tensor) -> torch.Tensor:
        """Let the halves of (n_images, 16, height, width) nearly cancel."""
        return F.conv2d(twice, self.cancel.weight)


class CutOff(Ruined):
    """No gradient can be followed through its code."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Embed normalised images (n_images, 3, 32, 32) into (n_images, 12)."""
        with torch.no_grad():
            return super().forward(images)


class Sound(Ruined):
    """Its weights do not cancel."""

    def __init__(self) -> None:
        super().__init__()
        self.cancel.weight.data = torch.ones(8, 16, 1, 1)
