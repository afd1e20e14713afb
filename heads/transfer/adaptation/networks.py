"""Small networks that learn classes of the source from features in which the domains look alike: DANN, Deep CORAL."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch.nn.functional import cross_entropy

from headstart.heads.errors import DataError
from headstart.heads.isolation import openmp_threads
from headstart.heads.neural import TorchMLPClassifier, first_layers, forward
from headstart.heads.prediction import predict
from headstart.heads.transfer.adaptation.adapted import Adapted, Candidate

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray
    from sklearn.pipeline import Pipeline
    from torch import Tensor

    from headstart.heads.transfer.adaptation.domains import Domains

    Folds = Sequence[tuple[NDArray[np.intp], NDArray[np.intp]]]
    Layers = list[tuple[Tensor, Tensor]]

Kind = Literal["none", "adversarial", "correlation"]

HIDDEN = 128
BATCH = 64
"""Images of each domain in a step."""

STEPS = 600
_DECAY = 1e-3
_SHARPNESS = 10.0


def reversal_strength(progress: float) -> float:
    """Return λ = 2 / (1 + exp(-10 p)) - 1 at progress p from 0 to 1: 0 at first, when the domains' classifier is noise.

    References
    ----------
    Ganin et al., "Domain-adversarial training of neural networks", JMLR 17, 2016, section 5.2.2.
    """
    return 2 / (1 + math.exp(-_SHARPNESS * progress)) - 1


class Reversal(torch.autograd.Function):
    """Identity whose gradient is turned round and multiplied by a strength."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, strength: float) -> Tensor:
        """Return the features as they are."""
        ctx.strength = strength
        return features.view_as(features)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        """Return the gradient times minus the strength."""
        return -ctx.strength * gradients[0], None


def correlation_distance(source: Tensor, target: Tensor) -> Tensor:
    """Return ‖Cs - Ct‖²_F / 4d² of features (n, d), Deep CORAL's loss.

    References
    ----------
    Sun & Saenko, "Deep CORAL: correlation alignment for deep domain adaptation", ECCV workshops 2016, equation 1.
    """
    apart = torch.cov(source.T) - torch.cov(target.T)
    return (apart**2).sum() / (4 * source.shape[1] ** 2)


@dataclass(frozen=True, kw_only=True)
class NetworkRecipe:
    """How a network is trained.

    Parameters
    ----------
    kind : {"none", "adversarial", "correlation"}
        What draws the domains together.
    learning_rate : float
        Of Adam.
    weight : float
        Of what draws the domains together, beside the cross-entropy of classes.
    steps, seed : int
    """

    kind: Kind
    learning_rate: float = 1e-3
    weight: float = 1.0
    steps: int = STEPS
    seed: int = 0


def network_candidates(
    kind: Kind, grid: Sequence[Mapping[str, Any]], domains: Domains, folds: Folds, seed: int
) -> Iterator[Candidate]:
    """Yield a network for each choice of hyper-parameters, judged on the source's folds."""
    for params in grid:
        recipe = NetworkRecipe(kind=kind, seed=seed, **params)
        right = np.full(len(domains.source), np.nan)
        for fit, scored in folds:
            model = train_network(recipe, domains, fit)
            right[scored] = predict(model, domains.source[scored], domains.n_classes)[0] == domains.y[scored]
        yield Candidate(params=params, right=right, build=partial(_build, recipe, domains))


def _build(recipe: NetworkRecipe, domains: Domains) -> Adapted:
    model = train_network(recipe, domains, np.arange(len(domains.source)))
    (_, scaler), (_, head) = model.steps
    first = [(head.coefs_[0], head.intercepts_[0])]
    source, target = (forward(first, scaler.transform(X)).clip(min=0) for X in (domains.source, domains.target))
    return Adapted(model=model, source=source, target=target)


def train_network(recipe: NetworkRecipe, domains: Domains, rows: NDArray[np.intp]) -> Pipeline:
    """Train one hidden layer and a softmax on images of the source, and draw the domains together in the hidden layer.

    Parameters
    ----------
    recipe : NetworkRecipe
    domains : Domains
    rows : int ndarray of shape (n_fitted,)
        Images of the source that are trained on; all of the target are, without labels.

    Returns
    -------
    Pipeline
        Standardisation by the source, and a perceptron as `mlp` saves it.

    Raises
    ------
    DataError
        Training diverged.
    """
    scaler = StandardScaler().fit(domains.source[rows])
    source, target = (torch.from_numpy(scaler.transform(X)) for X in (domains.source[rows], domains.target))
    # One thread gives the same weights on any number of cores.
    with openmp_threads(1):
        layers = _train(recipe, source, torch.from_numpy(domains.y[rows]), target, domains.n_classes)
    head = TorchMLPClassifier(
        (HIDDEN,), dropout=0.0, learning_rate=recipe.learning_rate, weight_decay=_DECAY, random_state=recipe.seed
    )
    head.classes_, head.n_features_in_ = np.arange(domains.n_classes), source.shape[1]
    head.coefs_, head.intercepts_ = ([part.detach().numpy() for part in parts] for parts in zip(*layers, strict=True))
    head.history_, head.best_epoch_ = [], 0
    if not all(np.isfinite(coefs).all() for coefs in head.coefs_):
        raise DataError(f"training diverged at learning rate {recipe.learning_rate:g}; lower it")
    return make_pipeline(scaler, head)


def _train(recipe: NetworkRecipe, source: Tensor, y: Tensor, target: Tensor, n_classes: int) -> Layers:
    generator = torch.Generator().manual_seed(recipe.seed)
    layers = first_layers([source.shape[1], HIDDEN, n_classes], generator, "cpu")
    judge = first_layers([HIDDEN, HIDDEN, 2], generator, "cpu")
    trained = [part.requires_grad_(True) for layer in (*layers, *judge) for part in layer]
    optimizer = torch.optim.AdamW(trained, lr=recipe.learning_rate, weight_decay=_DECAY, fused=True)
    drawn = (_batches(len(X), recipe.steps, generator) for X in (source, target))
    for step, (own, other) in enumerate(zip(*drawn, strict=True)):
        hidden, there = (forward(layers[:1], X).clip(min=0) for X in (source[own], target[other]))
        loss = cross_entropy(forward(layers[1:], hidden), y[own])
        if recipe.kind == "adversarial":
            strength = reversal_strength(step / recipe.steps)
            loss = loss + recipe.weight * _confusion(judge, hidden, there, strength)
        elif recipe.kind == "correlation":
            loss = loss + recipe.weight * correlation_distance(hidden, there)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch annotates no return
        optimizer.step()
    return layers


def _confusion(judge: Layers, source: Tensor, target: Tensor, strength: float) -> Tensor:
    """Return the cross-entropy of a classifier of domains, which it learns to lower, and the features to raise."""
    both = Reversal.apply(torch.cat([source, target]), strength)
    is_target = torch.cat([torch.zeros(len(source), dtype=torch.int64), torch.ones(len(target), dtype=torch.int64)])
    return cross_entropy(forward(judge, both), is_target)


def _batches(n_rows: int, steps: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Yield so many batches of row numbers; every row comes once before any comes again."""
    size = min(BATCH, n_rows)
    order = torch.empty(0, dtype=torch.int64)
    for _ in range(steps):
        if len(order) < size:
            order = torch.randperm(n_rows, generator=generator)
        yield order[:size]
        order = order[size:]
