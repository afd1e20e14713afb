"""Bodies that a guide can hold back: the hidden layers of a perceptron, and a network up to its classifier."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, Self

import numpy as np

from headstart.heads.finetuning import TailClassifier
from headstart.heads.neural import Start, TorchMLPClassifier

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray
    from torch import nn

    from headstart.heads.finetuning import Rows
    from headstart.heads.transfer.guidance.values import Weights

    Codes = NDArray[np.intp]


class Trained(NamedTuple):
    """Weights of a trained body by name, and what it and its new output layer say of rows: classes (n_images,)."""

    weights: Weights
    predict: Callable[[Rows], Codes]


class Body(Protocol):
    """Layers that come from a source, below an output layer that is new for every task."""

    @property
    def weights(self) -> Weights:
        """Weights of the source, by name: where every training begins. They stay as they are."""

    def train(self, X: Rows, codes: Codes, *, guide: Weights | None, seed: int) -> Trained:
        """Train a copy on rows and all classes 0 … n - 1 (n_images,), below a new output layer drawn by the seed.

        Each weight of the body takes the guide's share of every step; the output layer takes whole steps.
        """


@dataclass(frozen=True, kw_only=True)
class HiddenLayers:
    """Hidden layers of the perceptron that `heads.neural` trains, learned on a source.

    Attributes
    ----------
    weights : mapping of str to float32 ndarray
        ``hidden.0.weight`` (n_in, n_out), ``hidden.0.bias`` and so on, from the lowest.
    mean, scale : float32 ndarray of shape (n_features,)
        Of the source: all features are standardised by them.
    params : mapping of str to object
        Of `heads.neural.TorchMLPClassifier`.
    """

    weights: Weights
    mean: NDArray[np.float32]
    scale: NDArray[np.float32]
    params: Mapping[str, Any]

    @classmethod
    def learned(cls, X: NDArray[np.float32], codes: Codes, params: Mapping[str, Any], seed: int) -> Self:
        """Train a perceptron on features and classes of the source, and keep its hidden layers."""
        scale = X.std(axis=0)
        body = cls(weights={}, mean=X.mean(axis=0), scale=np.where(scale > 0, scale, np.float32(1)), params=params)
        return replace(body, weights=body.train(X, codes, guide=None, seed=seed).weights)

    def train(self, X: Rows, codes: Codes, *, guide: Weights | None, seed: int) -> Trained:
        """Train a copy; see `Body`."""
        head, shares = TorchMLPClassifier(**self.params, random_state=seed), guide or {}
        start = Start(values=list(self.weights.values()), guide=[shares[name] for name in self.weights if shares])
        n_classes = int(codes.max()) + 1
        head.train_layers(self._standardised(X), codes, n_classes, start=start)
        layers = zip(head.coefs_[:-1], head.intercepts_[:-1], strict=True)
        named = {
            f"hidden.{number}.{kind}": values
            for number, layer in enumerate(layers)
            for kind, values in zip(("weight", "bias"), layer, strict=True)
        }
        return Trained(named, lambda asked: np.asarray(head.outputs(self._standardised(asked)).argmax(axis=1)))

    def _standardised(self, X: Rows) -> NDArray[np.float32]:
        rows = np.asarray(X[np.arange(len(X))], np.float32)
        return (rows - self.mean) / self.scale


@dataclass(frozen=True, kw_only=True)
class NetworkBody:
    """A network, or its tail, up to the classifier.

    Attributes
    ----------
    build : callable
        Number of classes and seed → the network with the weights of the source and a new classifier.
    blocks : sequence of str
        Its layers with parameters, the classifier last.
    params : mapping of str to object
        Of `heads.finetuning.TailClassifier`.
    """

    build: Callable[[int, int], nn.Module]
    blocks: Sequence[str]
    params: Mapping[str, Any]
    weights: Weights = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "weights", self._of_body(dict(self.build(2, 0).named_parameters())))

    def train(self, X: Rows, codes: Codes, *, guide: Weights | None, seed: int) -> Trained:
        """Train a copy; see `Body`."""
        network = self.build(int(codes.max()) + 1, seed)
        head = TailClassifier(network, self.blocks, guide=guide, random_state=seed, **self.params).fit(X, codes)
        return Trained(self._of_body(head.state()), head.predict)

    def _of_body(self, state: Mapping[str, Any]) -> Weights:
        """Return the parameters below the classifier; running statistics of batch norms are none."""
        names = getattr(self, "weights", state)
        return {
            name: np.array(values.detach().numpy(), np.float32)
            for name, values in state.items()
            if name in names and not f"{name}.".startswith(f"{self.blocks[-1]}.")
        }
