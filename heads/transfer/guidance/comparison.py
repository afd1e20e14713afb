"""Guided training beside its three controls: the same images, the same seeds, at several numbers of images a class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from headstart.heads.errors import DataError
from headstart.heads.finetuning import SomeRows
from headstart.heads.transfer.guidance.values import constant, shuffled

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from headstart.heads.finetuning import Rows
    from headstart.heads.transfer.guidance.bodies import Body, Codes
    from headstart.heads.transfer.guidance.values import Guide, Scope

Arm = Literal["guided", "unguided", "shuffled", "constant"]
GUIDED: Arm = "guided"
CONTROLS: tuple[Arm, ...] = get_args(Arm)[1:]


@dataclass(frozen=True, kw_only=True)
class Compared:
    """Accuracies at one number of images a class.

    Attributes
    ----------
    shots : int
    accuracy : mapping of str to float64 ndarray of shape (n_draws,)
        Of each arm on the same images that are scored, draw by draw.
    """

    shots: int
    accuracy: dict[Arm, NDArray[np.float64]]


@dataclass(frozen=True, kw_only=True)
class Target:
    """The task: rows, classes 0 … n - 1 (n_images,), which images may be trained on, and which are scored."""

    X: Rows
    codes: Codes
    train: NDArray[np.intp]
    test: NDArray[np.intp]

    def draw(self, shots: int, seed: int) -> NDArray[np.intp]:
        """Return so many training images of each class, drawn by the seed."""
        drawn = np.random.default_rng([seed, shots]).permutation(self.train)
        return np.concatenate([drawn[self.codes[drawn] == one][:shots] for one in np.unique(self.codes[drawn])])

    def refuse_more_than(self, shots: int) -> None:
        """Refuse more images a class than the rarest class has.

        Raises
        ------
        DataError
            It has fewer.
        """
        fewest = int(np.bincount(self.codes[self.train]).min())
        if shots > fewest:
            raise DataError(
                f"{shots} images a class, and the rarest class has {fewest} to train on; ask for fewer shots"
            )


def compare_arms(
    body: Body,
    guide: Guide,
    target: Target,
    *,
    scope: Scope,
    shots: Sequence[int],
    n_draws: int,
    seed: int,
    on_draw: Callable[[], None] | None = None,
) -> list[Compared]:
    """Train the body on draws of the target, guided and under each control, and score all of them alike.

    One draw is one set of images, one new output layer and one order of batches, which all four have in common; the
    guide is shuffled anew for each draw.
    """
    target.refuse_more_than(max(shots))
    found = []
    scored, true = SomeRows(target.X, target.test), target.codes[target.test]
    for n_images in shots:
        right: dict[Arm, list[float]] = {arm: [] for arm in get_args(Arm)}
        for draw in range(seed, seed + n_draws):
            rows = target.draw(n_images, draw)
            guides: dict[Arm, Guide | None] = {
                "guided": guide,
                "unguided": None,
                "shuffled": shuffled(guide, scope, draw),
                "constant": constant(guide, scope),
            }
            for arm, own in guides.items():
                trained = body.train(SomeRows(target.X, rows), target.codes[rows], guide=own, seed=draw)
                right[arm].append(float((trained.predict(scored) == true).mean()))
            if on_draw:
                on_draw()
        found.append(Compared(shots=n_images, accuracy={arm: np.array(values) for arm, values in right.items()}))
    return found
