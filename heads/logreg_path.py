"""Logistic regression for many C at once: one batched L-BFGS that takes scikit-learn's steps, on matrix products.

Problems of one set of images share it, so that an iteration of all of them is two large products. The steps are those
of scikit-learn's solver (scipy's L-BFGS-B from zero, stopped at the same gradient), because where C is large and the
solver stops long before the minimum, it is where it stops that decides the score.
"""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor

from heads.anchored_loss import AnchoredLoss
from heads.batched_lbfgs import Search
from heads.softmax_loss import SoftmaxLoss
from heads.standardisation import standardise

# Each is where bfloat16 is anchored anew: its error is then that of a small change. The last leaves room below the
# tolerance, so that nearly all problems have arrived when float32 looks.
_STAGES = (100.0, 10.0, 0.95)  # of the tolerance
_WORTH_BFLOAT16 = 2**28  # multiplications of an evaluation, below which a search in float32 takes no time either


def solve_logreg(
    features: NDArray[np.float32],
    codes: NDArray[np.intp],
    scored: NDArray[np.float32],
    grid: Sequence[Mapping[str, Any]],
    seed: int,  # noqa: ARG001 - every path takes a seed; this one draws nothing
) -> list[NDArray[np.float64]]:
    """Return the probabilities (n_scored, n_classes) of one fold's images for each ``C`` of a grid.

    Parameters
    ----------
    features, scored : float32 ndarray of shape (n_images, n_features) and (n_scored, n_features)
        To fit on and to predict; standardised here by what is fitted on.
    codes : int ndarray of shape (n_images,)
        Classes, 0 … n_classes - 1, each of them present.
    grid : sequence of mappings
        With ``C``, and nothing else.

    Raises
    ------
    ValueError
        A C is not above 0.
    """
    strengths = np.array([one.get("C", 1.0) for one in grid], dtype=np.float64)
    if not (strengths > 0).all():
        raise ValueError(f"C is {strengths.min()}, expected a number above 0")
    Z, Z_scored = (torch.from_numpy(X) for X in standardise(features, scored))
    coefs, intercepts = fit_logistic(Z, torch.from_numpy(codes), strengths)
    # (n_classes, n_scored) each: scikit-learn computes its softmax in the dtype of the features, too.
    scores = (torch.addmm(b[:, None], w, Z_scored.T) for w, b in zip(coefs, intercepts, strict=True))
    return [torch.softmax(each.double(), dim=0).T.contiguous().numpy() for each in scores]


def fit_logistic(
    Z: Tensor,
    codes: Tensor,
    strengths: NDArray[np.float64],
    *,
    tol: float = 1e-4,
    max_iter: int = 1000,
) -> tuple[Tensor, Tensor]:
    """Minimise mean cross-entropy + ‖W‖² / (2 C n_images) for every C.

    Of two classes scikit-learn weighs one column w; here they have −w/2 and w/2, whose penalty is doubled.

    Parameters
    ----------
    Z : float32 tensor of shape (n_images, n_features)
        Standardised.
    codes : int64 tensor of shape (n_images,)
        Classes, 0 … n_classes - 1.
    strengths : ndarray of shape (n_problems,)
        C of each problem.
    tol : float
        Largest component of the gradient to stop at, scikit-learn's default.
    max_iter : int
        Steps; a problem that takes more gives a ConvergenceWarning.

    Returns
    -------
    coefs : float32 tensor of shape (n_problems, n_classes, n_features)
    intercepts : float32 tensor of shape (n_problems, n_classes)
    """
    n_images, n_features = Z.shape
    n_classes, n_problems = int(codes.max()) + 1, len(strengths)
    penalties = torch.from_numpy((1 if n_classes > 2 else 2) / (strengths * n_images)).float()
    # scipy's first step has length 1; of two classes −w/2 and w/2 are together shorter than w.
    search = Search(n_problems, n_classes * (n_features + 1), first_length=1.0 if n_classes > 2 else 0.5**0.5)
    exact = SoftmaxLoss(Z, codes, n_classes, penalties)
    if has_fast_bfloat16() and Z.numel() * n_classes * n_problems >= _WORTH_BFLOAT16:
        for stage in _STAGES:
            search.run(AnchoredLoss(exact, search.points), stage * tol, max_iter)
    failed = search.run(exact, tol, max_iter)
    if failed:
        warnings.warn(
            f"lbfgs failed to converge in {max_iter} steps for {failed} of {n_problems} values of C",
            ConvergenceWarning,
            stacklevel=2,
        )
    found = search.points.view(n_problems, n_classes, n_features + 1)
    return found[..., :-1], found[..., -1]


def has_fast_bfloat16() -> bool:
    """Tell whether the processor multiplies bfloat16 matrices in hardware."""
    # torch has no public name for these: torch.cpu.amp tells what autocast supports, which is everywhere.
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())  # noqa: SLF001 - see above
