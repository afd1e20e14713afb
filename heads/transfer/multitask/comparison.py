"""A shared trunk against a head for each column: fitted on the same images, scored on the same test images."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from headstart.heads.errors import DataError
from headstart.heads.neural import TorchMLPClassifier
from headstart.heads.scoring import Difference, Predictions, Score, compare_paired, holm, score_predictions
from headstart.heads.transfer.multitask.columns import Column, Doubles, Rows
from headstart.heads.transfer.multitask.estimator import History, SharedColumns
from headstart.heads.transfer.multitask.linear import HEAD_OF, answer, fit_linear, score
from headstart.heads.transfer.multitask.verdicts import Verdict, judge


@dataclass(frozen=True, kw_only=True)
class Images:
    """Images of a comparison.

    Attributes
    ----------
    train, test : int ndarray
        Rows.
    choosing : sequence of int ndarray
        For each seed, rows of `train` that choose the epoch.
    groups : int ndarray of shape (n_images,)
        Images with the same number are counted together.
    """

    train: Rows
    test: Rows
    choosing: Sequence[Rows]
    groups: Rows


@dataclass(frozen=True, kw_only=True)
class Compared:
    """One column: shared trunk, separate head and linear head, on the test images that have its label.

    Attributes
    ----------
    shared, separate, linear : Score
        Of the committees, and of the linear head.
    head : str
        The linear head's name.
    params : mapping of str to Any
        Its parameters, as they were chosen.
    difference, against_linear : Difference
        The shared committee minus the separate one, and minus the linear head.
    p_adjusted, p_linear : float
        Of both, corrected for the number of columns; the first goes by seeds, too.
    verdict : {"helped", "harmed", "no difference"}
    seeds : list of (float, float)
        Of each seed the score of the network on the shared trunk, and that of the separate one.
    n_train, n_test : int
        Labels.
    curves : tuple of list of dict
        Epochs of the first seed's networks, shared and separate.
    number : int
        Of the column.
    """

    shared: Score
    separate: Score
    linear: Score
    head: str
    params: Mapping[str, Any]
    difference: Difference
    against_linear: Difference
    p_adjusted: float
    p_linear: float
    verdict: Verdict
    seeds: list[tuple[float, float]]
    n_train: int
    n_test: int
    curves: tuple[History, History]
    number: int


@dataclass(frozen=True, kw_only=True)
class Shared:
    """The shared trunk on standardised features, and how it compares."""

    model: Pipeline
    columns: list[Compared]


def compare_columns(
    X: NDArray[np.floating],
    columns: Sequence[Column],
    images: Images,
    *,
    seeds: Sequence[int] = (0,),
    weighting: str = "label",
    training: Mapping[str, Any] | None = None,
    on_fit: Callable[[int], None] = lambda _: None,
) -> Shared:
    """Fit a shared trunk, a separate network for each column and a linear head for each, and compare them.

    All see the same features, standardised by all training images; the networks are trained in the same way, from
    seeds of the same number, and their epochs are chosen by the same images.

    Parameters
    ----------
    X : ndarray of shape (n_images, n_features)
    columns : sequence of Column
    images : Images
    seeds : sequence of int
        A network for each, of which all together are the committee that is scored.
    weighting, training
        See `heads.transfer.multitask.estimator.SharedColumns`.
    on_fit : callable
        Called with 1 after each of the ``1 + n_columns`` fits.

    Raises
    ------
    DataError
        A column has too few labels, a parameter of the training is out of its range, or training diverged.
    """
    for column in columns:
        column.refuse_unusable(images.train, images.test)
    _refuse_training(training or {})
    scaler = StandardScaler().fit(np.asarray(X[images.train], dtype=np.float32))
    features = np.asarray(scaler.transform(np.asarray(X, dtype=np.float32)), dtype=np.float32)
    make = partial(SharedColumns, seeds=seeds, weighting=weighting, training=dict(training or {}))
    masks = [np.isin(images.train, rows) for rows in images.choosing]
    labels = np.column_stack([column.y[images.train] for column in columns])
    shared = make([len(column.class_names) for column in columns])
    shared.fit(features[images.train], labels, masks)
    on_fit(1)
    sides = []
    for number, column in enumerate(columns):
        sides.append(_Side.of(features, column, images, shared, number, make))
        on_fit(1)
    verdicts = judge([one.difference for one in sides], [one.apart for one in sides])
    p_linear = holm([one.against_linear.p_value for one in sides], len(sides))
    compared = [
        one.compared(verdict, p_adjusted, p)
        for one, (p_adjusted, verdict), p in zip(sides, verdicts, p_linear, strict=True)
    ]
    return Shared(model=Pipeline([("standardscaler", scaler), ("sharedcolumns", shared)]), columns=compared)


def _refuse_training(training: Mapping[str, Any]) -> None:
    try:
        TorchMLPClassifier(**training).recipe()
    except ValueError as error:
        raise DataError(f"{error}; choose another value") from error


@dataclass(frozen=True, kw_only=True)
class _Side:
    """Answers of three heads on one column's test images."""

    column: Column
    number: int
    truth: NDArray[Any]
    groups: Rows
    shared: Doubles
    separate: Doubles
    linear: Doubles
    params: Mapping[str, Any]
    seeds: list[tuple[float, float]]
    curves: tuple[History, History]
    n_train: int

    @classmethod
    def of(
        cls,
        features: NDArray[np.float32],
        column: Column,
        images: Images,
        shared: SharedColumns,
        number: int,
        make: Callable[[list[int]], SharedColumns],
    ) -> "_Side":
        train, test = (rows[column.labelled[rows]] for rows in (images.train, images.test))
        masks = [np.isin(train, rows) for rows in images.choosing]
        n_classes, truth = len(column.class_names), column.truth(test)
        alone = make([n_classes]).fit(features[train], column.y[train, None], masks)
        linear, params = fit_linear(
            features[train], column.truth(train), n_classes, column.metric, masks, shared.seeds[0]
        )
        both = [
            (one[number], other[0])
            for one, other in zip(
                shared.answers_by_seed(features[test]), alone.answers_by_seed(features[test]), strict=True
            )
        ]
        scored = [[score(column.metric, truth, own, n_classes) for own in pair] for pair in both]
        together, apart = (np.mean(answers, axis=0) for answers in zip(*both, strict=True))
        return cls(
            column=column,
            number=number,
            truth=truth,
            groups=images.groups[test],
            shared=together,
            separate=apart,
            linear=answer(linear, features[test], n_classes),
            params=params,
            seeds=[(one, other) for one, other in scored],
            curves=(shared.histories_[0], alone.histories_[0]),
            n_train=len(train),
        )

    @property
    def difference(self) -> Difference:
        return self._against(self.separate)

    @property
    def against_linear(self) -> Difference:
        return self._against(self.linear)

    @property
    def apart(self) -> list[float]:
        """Of each seed, how far the shared network is from the separate one."""
        return [one - other for one, other in self.seeds]

    def compared(self, verdict: Verdict, p_adjusted: float, p_linear: float) -> Compared:
        return Compared(
            shared=self._score(self.shared),
            separate=self._score(self.separate),
            linear=self._score(self.linear),
            head=HEAD_OF[self.column.task],
            params=self.params,
            difference=self.difference,
            against_linear=self.against_linear,
            p_adjusted=p_adjusted,
            p_linear=p_linear,
            verdict=verdict,
            seeds=self.seeds,
            n_train=self.n_train,
            n_test=len(self.truth),
            curves=self.curves,
            number=self.number,
        )

    def _against(self, other: Doubles) -> Difference:
        first, second = (_predictions(self.column, own) for own in (self.shared, other))
        return compare_paired(self.column.metric, self.truth, first, second, groups=self.groups)

    def _score(self, answers: Doubles) -> Score:
        one = _predictions(self.column, answers)
        n_classes = len(self.column.class_names)
        scores = score_predictions(self.truth, one.probability, one.classes, n_classes, groups=self.groups)
        found = scores[self.column.metric]
        return found or Score(float("nan"), float("nan"), float("nan"))


def _predictions(column: Column, answers: Doubles) -> Predictions:
    """Return answers as the paired tests take them."""
    if not column.class_names:
        return Predictions(classes=answers)
    return Predictions(classes=answers.argmax(axis=1), probability=answers)
