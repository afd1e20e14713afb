"""A small convolutional encoder for small images: learns on a CPU in seconds, and transfers."""

import torch
from torch import nn

from extractors.preprocessing import Preprocessing

FEATURE_SIZE = 128
PREPROCESSING = Preprocessing(resize=32, crop=(32, 32), mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))


class SmallCNN(nn.Module):
    """Four blocks of convolution, batch norm and ReLU, a global average, and a linear classifier.

    Parameters
    ----------
    n_classes : int
        Outputs of the classifier.
    """

    def __init__(self, n_classes: int = 10) -> None:
        super().__init__()
        self.features = nn.Sequential(
            _block(3, 32),
            nn.MaxPool2d(2),
            _block(32, 64),
            nn.MaxPool2d(2),
            _block(64, FEATURE_SIZE),
            nn.MaxPool2d(2),
            _block(FEATURE_SIZE, FEATURE_SIZE),
        )
        self.classifier = nn.Linear(FEATURE_SIZE, n_classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return logits (n_images, n_classes) for normalised images (n_images, 3, H, W), H and W at least 8 pixels."""
        logits: torch.Tensor = self.classifier(self.features(images).mean(dim=(2, 3)))
        return logits


def _block(n_in: int, n_out: int) -> nn.Sequential:
    # Batch norm has the shift, so the convolution needs no bias.
    return nn.Sequential(
        nn.Conv2d(n_in, n_out, kernel_size=3, padding=1, bias=False), nn.BatchNorm2d(n_out), nn.ReLU(inplace=True)
    )
