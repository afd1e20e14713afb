"""Trainer of a job's tails: each of a layer and its rates, on some rows, gone on with where it was."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import nn

from headstart.extractors.cache import EmbeddingView
from headstart.extractors.network import Tail
from headstart.flows.fitting import settle_device
from headstart.flows.fitting.finetuning.guides import read_guide
from headstart.flows.fitting.finetuning.kept import KeptTails, digest_of
from headstart.flows.fitting.finetuning.precision import Precisions
from headstart.flows.fitting.finetuning.trunk import Trunk
from headstart.flows.fitting.finetuning.workers import FoldOnWorker
from headstart.flows.options import FinetuneOptions
from headstart.flows.problem import Embedded, Problem, number_weights, read_weights, table_text
from headstart.heads.estimators import ClassWeight
from headstart.heads.finetuning import Epoch, TailClassifier
from headstart.heads.views import Views

HEAD = "tail"
"""Name of the head in tables and cards."""

_LIBRARIES = ("headstart", "numpy", "scikit-learn", "torch")

_Rows = npt.NDArray[np.intp]


def refuse_out_of_range(options: FinetuneOptions) -> None:
    """Tell what no tail can be trained with, before maps are embedded for it.

    Raises
    ------
    DataError
        A value is out of its range.
    JobError
        Class weights or the guide cannot be read.
    DeviceError
        There is no such device.
    """
    for rates in options.rates:
        params: Mapping[str, Any] = {**options.params, **rates}
        TailClassifier(None, tuple(options.block_rates or ()), **params).recipe()
    settle_device(options.device)
    if options.class_weight is not None:
        read_weights(options.class_weight)
    if options.guide is not None:
        read_guide(options.guide)


@dataclass(frozen=True)
class Choice:
    """A layer to train from, with what its trunk has put out, and the rates: one candidate."""

    trunk: Trunk
    rates: Mapping[str, float]

    @property
    def tap(self) -> str:
        """Rows that it is trained on."""
        return str(self.trunk.tail.tap)


@dataclass
class TailTrainer:
    """Trainer of tails of one problem.

    Attributes
    ----------
    problem : Problem
        With the maps of every layer embedded.
    options : FinetuneOptions
    views : Views
        Which rows of an image are fitted on and scored.
    kept : KeptTails
    device : str
        Where they train, settled.
    precisions : Precisions
    class_weight : "balanced", mapping of int to float, or None
        As asked for, by the classes' numbers.
    guide : mapping of str to float32 array, or None
        Share of each step that each weight takes.
    """

    problem: Problem
    options: FinetuneOptions
    views: Views
    kept: KeptTails
    device: str = field(init=False)
    precisions: Precisions = field(init=False)
    class_weight: ClassWeight = field(init=False, default=None)
    guide: Mapping[str, npt.NDArray[np.float32]] | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.device = settle_device(self.options.device)
        self.precisions = Precisions(self.options.precision, self.device)
        asked, problem = self.options.class_weight, self.problem
        self.guide = None if self.options.guide is None else read_guide(self.options.guide)
        if asked is not None:
            self.class_weight = number_weights(read_weights(asked), problem.class_names, problem.understood.left_out)

    def fit(self, choice: Choice, rows: _Rows, on_epoch: Callable[[Epoch], None] | None = None) -> TailClassifier:
        """Return a tail that is trained on some rows of the problem.

        Raises
        ------
        DataError
            They cannot be trained on, or the loss of the first epoch is not finite.
        """
        head = self._untrained(choice, rows)
        head.set_params(checkpoint=self.kept.of(self.identity(choice, rows)), on_epoch=on_epoch)
        mapped = self._to_fit(choice, rows).mapped()
        return head.fit(mapped, self.problem.y[rows], groups=self.problem.groups[rows])

    def fold(self, choice: Choice, fit_rows: _Rows, score_rows: _Rows) -> FoldOnWorker:
        """Return the training on some rows that others are then scored with, for a worker that sees the cache."""
        return FoldOnWorker(
            layer=choice.trunk.layer,
            head=self._untrained(choice, fit_rows).set_params(network=None),
            fitted=self._to_fit(choice, fit_rows),
            y=self.problem.y[fit_rows],
            groups=self.problem.groups[fit_rows],
            scored=self._to_score(choice, score_rows),
            views=self.views,
        )

    def network(self, choice: Choice) -> nn.Module:
        """Return the network that a training starts from: weights of the pretraining, and a new classifier."""
        return self._tail(choice).module

    def predict(self, head: TailClassifier, choice: Choice, rows: _Rows) -> npt.NDArray[np.float64]:
        """Return the probabilities (n_rows, n_classes) that a tail gives some rows of the problem."""
        return self.views.mean(head.predict_proba(self._to_score(choice, rows).mapped()))

    def identity(self, choice: Choice, rows: _Rows) -> str:
        """Return a digest of what a training on some rows goes by, beside the rows' labels and the recipe."""
        libraries = [version(name) for name in _LIBRARIES]
        digests, groups = self.problem.images.digest[rows], self.problem.groups[rows]
        rows_of = choice.trunk.store.key.id, choice.tap, self._embedded(choice).drawn, self.views
        shares = [] if self.guide is None else [*self.guide, *self.guide.values()]
        return digest_of(*rows_of, libraries, self.options.seed, digests, groups, self.class_weight, *shares)

    def params_of(self, choice: Choice) -> Mapping[str, Any]:
        """Return the parameters of a choice's `TailClassifier`, as a person gives them."""
        return {**self.options.params, **choice.rates}

    def named_params(self, choice: Choice) -> Mapping[str, Any]:
        """Return the layer, and those parameters that are not the usual ones: a candidate's, for tables."""
        usual = {**FinetuneOptions().params, **FinetuneOptions().rates[0]}
        several = {name for name in choice.rates if len({one[name] for one in self.options.rates}) > 1}
        params = self.params_of(choice)
        changed = {name: value for name, value in params.items() if value != usual[name] or name in several}
        weighed, views = self.options.class_weight, self.options.views
        return {
            "from": choice.trunk.layer,
            **changed,
            **({} if weighed is None else {"class_weight": table_text(weighed)}),
            **({} if self.options.guide is None else {"guide": str(self.options.guide)}),
            **({"views": self.views.n} if views else {}),
            **({} if self.device == "cpu" else {"device": self.device}),
        }

    def _untrained(self, choice: Choice, rows: _Rows) -> TailClassifier:
        tail = self._tail(choice)
        return TailClassifier(
            tail.module,
            tail.blocks,
            **self.params_of(choice),
            precision=self.precisions.of(choice.trunk, self._to_fit(choice, rows).mapped()),
            class_weight=self.class_weight,
            guide=self.guide,
            views=self.views.n,
            device=self.device,
            random_state=self.options.seed,
        )

    def _tail(self, choice: Choice) -> Tail:
        return choice.trunk.tail.with_classes(len(self.problem.class_names), seed=self.options.seed)

    def _to_fit(self, choice: Choice, rows: _Rows) -> EmbeddingView:
        return self._embedded(choice).rows.take(self.views.to_fit(rows))

    def _to_score(self, choice: Choice, rows: _Rows) -> EmbeddingView:
        return self._embedded(choice).rows.take(self.views.to_score(rows))

    def _embedded(self, choice: Choice) -> Embedded:
        return self.problem.find(choice.trunk.store.key.id, choice.tap)
