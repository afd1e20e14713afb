"""A small convolutional encoder for small images: learns on a CPU in seconds, and transfers."""

import torch
from torch import nn

from headstart.extractors.spec import Preprocessing

FEATURE_SIZE = 256
PREPROCESSING = Preprocessing(resize=32, crop=(32, 32), mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))


class SmallCNN(nn.Module):
    """Three blocks of convolution, batch norm, ReLU and pooling, an average over each quarter, and a linear classifier.

    The quarters keep apart what is above and below: on digits, a global average transferred worse than raw pixels.

    Parameters
    ----------
    n_classes : int
        Outputs of the classifier.
    """

    def __init__(self, n_classes: int = 10) -> None:
        super().__init__()
        self.features = nn.Sequential(*_block(3, 16), *_block(16, 32), *_block(32, 64))
        self.pool = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten())
        self.classifier = nn.Linear(FEATURE_SIZE, n_classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return logits (n_images, n_classes) for normalised images (n_images, 3, H, W), H and W at least 16 pixels."""
        logits: torch.Tensor = self.classifier(self.pool(self.features(images)))
        return logits


def _block(n_in: int, n_out: int) -> list[nn.Module]:
    # Batch norm has the shift, so the convolution needs no bias.
    convolution = nn.Conv2d(n_in, n_out, kernel_size=3, padding=1, bias=False)
    return [convolution, nn.BatchNorm2d(n_out), nn.ReLU(inplace=True), nn.MaxPool2d(2)]
