"""Choice of method, hyper-parameters and calibration, on classes that play the unseen ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.heads.estimators import fit_temperature
from headstart.heads.transfer.zero_shot.classifier import SCALE
from headstart.heads.transfer.zero_shot.draws import HeldOut, draw_classes
from headstart.heads.transfer.zero_shot.solution import Solution, eszsl_targets, score_classes
from headstart.heads.transfer.zero_shot.vectors import standardise, unit

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    Doubles = NDArray[np.float64]
    Codes = NDArray[np.intp]

PENALTIES = tuple(10.0**power for power in range(3, -4, -1))
"""Values of gamma and lambda, the strongest first: of choices that do as well, the first is taken."""

_CONSTANTS = 400  # that are tried


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """One method with what was chosen for it on held-out classes.

    Attributes
    ----------
    method : str
    gamma, lam : float or None
        None where the method has none.
    accuracy : float
        Of images of held-out classes, told among these; by class, mean over draws.
    by_draw : tuple of float
    constant : float
        What is subtracted from the scores of classes that were fitted on.
    temperature : float
    harmonic : float
        Mean over draws of the harmonic mean of held-out and fitted classes' accuracies, with that constant.
    """

    method: str
    gamma: float | None
    lam: float | None
    accuracy: float
    by_draw: tuple[float, ...]
    constant: float
    temperature: float
    harmonic: float


_Choice = tuple[str, float | None, float | None]


def choose_methods(
    X: NDArray[Any],
    codes: Codes,
    groups: NDArray[Any],
    vectors: Doubles,
    *,
    methods: Sequence[str],
    n_unseen: int,
    seed: int = 0,
) -> list[Chosen]:
    """Return each method with its best hyper-parameters, its constant and its temperature, the best first.

    Parameters
    ----------
    X : float array of shape (n_images, n_features)
        Of images that may be fitted on.
    codes : int array of shape (n_images,)
        Their classes, which index `vectors`.
    groups : int array of shape (n_images,)
        Images of one group never stand on two sides.
    vectors : float64 array of shape (n_classes, n_attributes)
    methods : sequence of str
        Of `classifier.METHODS`.
    n_unseen : int
        Classes that the model is chosen for: about as many are held out.
    seed : int

    Raises
    ------
    DataError
        There are too few classes.
    """
    draws = [_Drawn(X, codes, vectors, held) for held in draw_classes(codes, groups, n_unseen, seed)]
    choices = [one for method in methods for one in _choices(method)]
    found = np.array([[_recall_of_held(drawn, scores) for _, scores in drawn.tried(choices)] for drawn in draws])
    best = [_best(found, choices, method) for method in methods]
    return sorted((_calibrated(draws, choices[at], found[:, at]) for at in best), key=lambda one: -one.accuracy)


def mean_recall(true: NDArray[Any], predicted: NDArray[Any]) -> float:
    """Return the accuracy by class, averaged over the classes that there are."""
    right = true == predicted
    return float(np.mean([right[true == one].mean() for one in np.unique(true)]))


def _choices(method: str) -> list[_Choice]:
    if method == "clip":
        return [(method, None, None)]
    lams: Sequence[float | None] = PENALTIES if method == "eszsl" else (None,)
    return [(method, gamma, lam) for gamma in PENALTIES for lam in lams]


class _Drawn:
    """One draw, decomposed: scores of its images for every choice.

    Columns of scores are the classes of both kinds, sorted.
    """

    def __init__(self, X: NDArray[Any], codes: Codes, vectors: Doubles, held: HeldOut) -> None:
        self.held = held
        self.columns = np.sort(np.concatenate([held.classes, held.others]))
        self.rows = np.concatenate([held.unseen, held.seen])
        self.true = codes[self.rows]
        self.is_unseen = np.arange(len(self.rows)) < len(held.unseen)
        self._plain = (X, vectors)
        centred = X - X[held.fit].mean(axis=0, dtype=np.float64)
        self._solution = Solution(
            unit(centred[held.fit]), np.searchsorted(held.others, codes[held.fit]), len(held.others)
        )
        self._along = self._solution.along(unit(centred[self.rows]))
        self._vectors = standardise(vectors, held.others)

    def tried(self, choices: Sequence[_Choice]) -> Iterator[tuple[_Choice, Doubles]]:
        """Yield each choice with the scores of the draw's images, (n_images, n_columns)."""
        known, shares = self._vectors[self.held.others], dict[float, Any]()
        targets = {lam: eszsl_targets(known, lam) for _, _, lam in choices if lam is not None}
        for method, gamma, lam in choices:
            if gamma is None:
                X, vectors = self._plain
                yield (method, gamma, lam), SCALE * unit(X[self.rows]) @ unit(vectors[self.columns]).T
                continue
            if gamma not in shares:
                shares = {gamma: self._solution.shares(self._along, gamma)}
            projected = shares[gamma] @ (known if lam is None else targets[lam])
            yield (method, gamma, lam), score_classes(projected, self._vectors[self.columns], cosine=lam is None)


def _recall_of_held(drawn: _Drawn, scores: Doubles) -> float:
    """Return how well the held-out classes are told apart, by class."""
    among = np.isin(drawn.columns, drawn.held.classes)
    if not drawn.is_unseen.any():
        return 0.0
    predicted = drawn.columns[among][scores[drawn.is_unseen][:, among].argmax(axis=1)]
    return mean_recall(drawn.true[drawn.is_unseen], predicted)


def _best(found: Doubles, choices: Sequence[_Choice], method: str) -> int:
    own = [at for at, (name, _, _) in enumerate(choices) if name == method]
    return max(own, key=lambda at: round(float(found[:, at].mean()), 9))


def _calibrated(draws: Sequence[_Drawn], choice: _Choice, by_draw: Doubles) -> Chosen:
    scores = [next(drawn.tried([choice]))[1] for drawn in draws]
    constant, harmonic = find_constant(
        [
            margins_of(one, drawn.columns, drawn.held.others, drawn.true)
            for one, drawn in zip(scores, draws, strict=True)
        ]
    )
    reduced = [
        one - constant * np.isin(drawn.columns, drawn.held.others) for one, drawn in zip(scores, draws, strict=True)
    ]
    codes = np.concatenate([np.searchsorted(drawn.columns, drawn.true) for drawn in draws])
    learns = choice[0] != "clip"  # whose temperature is that of its training
    return Chosen(
        method=choice[0],
        gamma=choice[1],
        lam=choice[2],
        accuracy=float(by_draw.mean()),
        by_draw=tuple(map(float, by_draw)),
        constant=constant,
        temperature=fit_temperature(np.concatenate(reduced), codes) if learns else 1.0,
        harmonic=harmonic,
    )


@dataclass(frozen=True)
class Margins:
    """How images would be told by every constant.

    Attributes
    ----------
    ahead : float64 ndarray of shape (n_images,)
        The best score of a seen class less that of an unseen one: with a larger constant an unseen class is said.
    right : float64 ndarray of shape (n_images,)
        Whether the best class of the image's own kind is its class.
    weight : float64 ndarray of shape (n_images,)
        Part of the image in the accuracy by class of its kind.
    unseen : bool ndarray of shape (n_images,)
    """

    ahead: Doubles
    right: NDArray[np.bool_]
    weight: Doubles
    unseen: NDArray[np.bool_]

    def harmonic_means(self, constants: Doubles) -> Doubles:
        """Return the harmonic mean of both accuracies by class for each constant."""
        says_unseen = self.ahead[:, None] < constants
        part = self.weight * self.right
        unseen = (part * self.unseen) @ says_unseen
        seen = (part * ~self.unseen) @ ~says_unseen
        return np.asarray(2 * unseen * seen / np.maximum(unseen + seen, np.finfo(np.float64).tiny))


def margins_of(scores: Doubles, columns: Codes, seen: Codes, true: Codes) -> Margins:
    """Return the effect of a constant on seen and unseen classes.

    Parameters
    ----------
    scores : float64 array of shape (n_images, n_columns)
    columns : int array of shape (n_columns,)
        Class of each column.
    seen : int array
        Classes that were fitted on.
    true : int array of shape (n_images,)
    """
    is_seen, unseen = np.isin(columns, seen), ~np.isin(true, seen)
    best = {kind: np.where(of_kind, scores, -np.inf) for kind, of_kind in ((True, is_seen), (False, ~is_seen))}
    nearest = {kind: columns[one.argmax(axis=1)] for kind, one in best.items()}
    right = np.where(unseen, nearest[False], nearest[True]) == true
    number, counts = np.unique(true, return_inverse=True, return_counts=True)[1:]
    n_classes = np.where(unseen, len(np.unique(true[unseen])), len(np.unique(true[~unseen])))
    return Margins(best[True].max(axis=1) - best[False].max(axis=1), right, 1 / (counts[number] * n_classes), unseen)


def find_constant(margins: Sequence[Margins]) -> tuple[float, float]:
    """Return the constant with the best harmonic mean, averaged over draws, and that mean; of equals the smallest."""
    ahead = np.concatenate([one.ahead for one in margins])
    steps = np.unique(np.quantile(ahead, np.linspace(0, 1, _CONSTANTS)))
    between = (steps[1:] + steps[:-1]) / 2 if len(steps) > 1 else steps
    constants = np.unique(np.concatenate([[0.0], between]))
    constants = constants[np.argsort(np.abs(constants), kind="stable")]
    found = np.mean([one.harmonic_means(constants) for one in margins], axis=0)
    at = int(np.round(found, 9).argmax())
    return float(constants[at]), float(found[at])
