"""Cross-entropy of linear models with an L2 penalty, for many penalties at once, in large matrix products.

Points are flat: (n_problems, n_classes · (n_features + 1)), each class's weights followed by its intercept.
"""

from functools import cached_property

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it
from torch import Tensor

_BLOCK_NUMBERS = 2**20  # scores held at a time, 4 MiB
_ROWS = 256


class SoftmaxLoss:
    """Mean cross-entropy plus penalty / 2 ‖W‖², in float32.

    Parameters
    ----------
    Z : float32 tensor of shape (n_images, n_features)
    codes : int64 tensor of shape (n_images,)
        Classes, 0 … n_classes - 1.
    n_classes : int
    penalties : float32 tensor of shape (n_problems,)
        Intercepts are not penalised.

    Attributes
    ----------
    n_classes : int
    images, codes : sequence of tensors
        Z and codes, in blocks.
    """

    def __init__(self, Z: Tensor, codes: Tensor, n_classes: int, penalties: Tensor) -> None:
        self.n_classes, self._penalties = n_classes, penalties
        n_rows = max(256, _BLOCK_NUMBERS // (n_classes * len(penalties)))
        self.images, self.codes = torch.split(Z, n_rows), torch.split(codes, n_rows)
        self._n_images = len(Z)

    @cached_property
    def halves(self) -> list[Tensor]:
        """The images in bfloat16, blocks filled up with zeros: fast products depend on their shape."""
        return [F.pad(images.bfloat16(), (0, 0, 0, -len(images) % _ROWS)) for images in self.images]

    def __call__(self, problems: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
        """Return values (n,), float64, and gradients (n, n_params) of n problems at their points.

        Parameters
        ----------
        problems : int64 tensor (n,)
        points : float32 tensor (n, n_params)
        """
        coefs, intercepts = self.class_major(points)
        sums = ClassSums(coefs, intercepts, self.n_classes)
        for images, codes in zip(self.images, self.codes, strict=True):
            residuals = sums.add(torch.addmm(intercepts, coefs, images.T), codes)
            sums.gradient.addmm_(residuals, images)
        return self.penalised(sums.loss, sums.gradient, sums.intercept_gradient, problems, points)

    def class_major(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Return weights (n_classes · n, n_features) and intercepts (n_classes · n, 1), all of one class together."""
        by_class = points.view(len(points), self.n_classes, -1).transpose(0, 1).flatten(0, 1)
        return by_class[:, :-1].contiguous(), by_class[:, -1:].contiguous()

    def penalised(
        self, loss: Tensor, gradient: Tensor, intercept_gradient: Tensor, problems: Tensor, points: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return values and gradients, as when called, from the sums over images that `ClassSums` has."""
        n, penalties = len(problems), self._penalties[problems]
        by_class = torch.cat([gradient, intercept_gradient], dim=1) / self._n_images
        gradients = by_class.view(self.n_classes, n, -1).transpose(0, 1).contiguous()
        weights = points.view(n, self.n_classes, -1)[..., :-1]
        gradients[..., :-1] += penalties[:, None, None] * weights
        values = loss / self._n_images + 0.5 * (penalties * weights.square().sum(dim=(1, 2))).double()
        return values, gradients.flatten(1)


class ClassSums:
    """What is added up over the images, for the problems at hand.

    Parameters
    ----------
    coefs : float32 tensor of shape (n_classes · n, n_features)
    intercepts : float32 tensor of shape (n_classes · n, 1)
    n_classes : int

    Attributes
    ----------
    loss : float64 tensor of shape (n,)
    gradient : float32 tensor of shape (n_classes · n, n_features)
        For the caller to add to.
    intercept_gradient : float32 tensor of shape (n_classes · n, 1)
    """

    def __init__(self, coefs: Tensor, intercepts: Tensor, n_classes: int) -> None:
        self._n_classes = n_classes
        self.loss = torch.zeros(len(coefs) // n_classes, dtype=torch.float64)
        self.gradient = torch.zeros_like(coefs)
        self.intercept_gradient = torch.zeros_like(intercepts)

    def add(self, scores: Tensor, codes: Tensor) -> Tensor:
        """Add the losses of scores (n_classes · n, n_images), and return the derivative by each score."""
        n_images = len(codes)
        # The classes come first, so that a softmax over them runs along the images: ten times as fast as the last axis.
        log_probability = F.log_softmax(scores.view(self._n_classes, -1, n_images), dim=0)
        true = codes.expand(1, log_probability.shape[1], n_images)
        self.loss -= log_probability.gather(0, true)[0].sum(dim=1, dtype=torch.float64)
        residuals = log_probability.exp_()
        residuals.scatter_add_(0, true, residuals.new_full((), -1.0).expand(true.shape))
        self.intercept_gradient += residuals.sum(dim=2).view(-1, 1)
        return residuals.flatten(0, 1)
