"""The metrics' functions: what each is at sums over images, and what an image adds to it near there.

A resample, a fold and a candidate are each a set of sums, so that all three go by the same function.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Doubles = NDArray[np.float64]


class ClassSums(NamedTuple):
    """Sums over sets of images: right, true and predicted ones by class (n_sets, n_classes), log-loss (n_sets,)."""

    right: Doubles
    true: Doubles
    predicted: Doubles
    loss: Doubles

    @classmethod
    def of(cls, rows: Doubles) -> ClassSums:
        """Return the sums that lie side by side in rows (n_sets, 3 n_classes + 1)."""
        n_classes = rows.shape[1] // 3
        right, true, predicted, loss = np.split(rows, [n_classes, 2 * n_classes, 3 * n_classes], axis=1)
        return cls(right, true, predicted, loss[:, 0])

    def slopes(self, right: Any = 0.0, true: Any = 0.0, predicted: Any = 0.0, loss: float = 0.0) -> Doubles:
        """Return a gradient (3 n_classes + 1,) from those in each kind of sum, each one number or one a class."""
        each = np.zeros((3, self.true.shape[1]))
        for row, given in zip(each, (right, true, predicted), strict=True):
            row[:] = given
        return np.append(each.ravel(), loss)


class OfClasses(NamedTuple):
    """A metric of classes: its values (n_sets,), and its gradient (3 n_classes + 1,) at the first set.

    No metric changes when all sums double, so over a candidate's own images the parts add up to 0 (Euler's theorem).
    """

    values: Doubles
    gradient: Callable[[], Doubles]


def accuracy(sums: ClassSums) -> OfClasses:
    """Share of right images."""
    n_images, right = sums.true.sum(axis=1), sums.right.sum(axis=1)
    return OfClasses(right / n_images, lambda: sums.slopes(right=1 / n_images[0], true=-right[0] / n_images[0] ** 2))


def balanced_accuracy(sums: ClassSums) -> OfClasses:
    """Mean recall of the classes that have images."""

    def gradient() -> Doubles:
        n_images, n_there = _or_endless(sums.true[0])
        return sums.slopes(right=1 / n_images / n_there, true=-sums.right[0] / n_images**2 / n_there)

    return OfClasses(_mean_where(sums.right, sums.true), gradient)


def macro_f1(sums: ClassSums) -> OfClasses:
    """Mean F1 of the classes that have images or are predicted."""

    def gradient() -> Doubles:
        size, n_there = _or_endless(sums.true[0] + sums.predicted[0])
        fall = -2 * sums.right[0] / size**2 / n_there
        return sums.slopes(right=2 / size / n_there, true=fall, predicted=fall)

    return OfClasses(_mean_where(2 * sums.right, sums.true + sums.predicted), gradient)


def mcc(sums: ClassSums) -> OfClasses:
    """Correlation of true and predicted classes; 0 where all images are of one, or are taken for one.

    References
    ----------
    Gorodkin, "Comparing two K-category assignments by a K-category correlation coefficient", Computational Biology and
    Chemistry 28, 2004.
    """
    n_images, right = sums.true.sum(axis=1), sums.right.sum(axis=1)
    together = right * n_images - (sums.true * sums.predicted).sum(axis=1)
    varied = [n_images**2 - (each**2).sum(axis=1) for each in (sums.true, sums.predicted)]
    size = np.sqrt(varied[0] * varied[1])
    values = np.divide(together, size, out=np.zeros_like(size), where=size > 0)

    def gradient() -> Doubles:
        if size[0] == 0:
            return sums.slopes()
        of_true, of_predicted = (values[0] / each[0] for each in varied)
        fall = (n_images[0] - sums.true[0]) * of_true + n_images[0] * of_predicted
        true = (right[0] - sums.predicted[0]) / size[0] - fall
        return sums.slopes(n_images[0] / size[0], true, sums.predicted[0] * of_predicted - sums.true[0] / size[0])

    return OfClasses(values, gradient)


def log_loss(sums: ClassSums) -> OfClasses:
    """Mean negative log probability of the true class, in nats."""
    n_images = sums.true.sum(axis=1)
    return OfClasses(
        sums.loss / n_images, lambda: sums.slopes(true=-sums.loss[0] / n_images[0] ** 2, loss=1 / n_images[0])
    )


def _mean_where(numerator: Doubles, denominator: Doubles) -> Doubles:
    """Return the mean over classes of the quotient, leaving out classes whose denominator is 0."""
    present = denominator > 0
    quotient = np.divide(numerator, denominator, out=np.zeros_like(numerator), where=present)
    return np.asarray(quotient.sum(axis=1) / present.sum(axis=1))


def _or_endless(sizes: Doubles) -> tuple[Doubles, int]:
    """Return sizes of classes, endless where there is none, so that it weighs nothing; and how many there are."""
    return np.where(sizes > 0, sizes, np.inf), int((sizes > 0).sum())


class NumberSums(NamedTuple):
    """Sums over sets of images (n_sets,): how many, the spread of their numbers, absolute and squared errors.

    The spread is that of squares about the set's mean; NaN where the numbers do not vary.
    """

    n_images: Doubles
    spread: Doubles
    absolute: Doubles
    squared: Doubles


class NumberErrors(NamedTuple):
    """Of each image (n_images,): its number less the mean of all, squared; its absolute and its squared error."""

    away: Doubles
    absolute: Doubles
    squared: Doubles


class OfNumbers(NamedTuple):
    """A metric of numbers: its values (n_sets,), the errors that order candidates as it does, and what images add.

    What images add is its gradient in the sums, at each image (n_images,).
    """

    values: Doubles
    errors: Literal["absolute", "squared"]
    parts: Callable[[NumberErrors], Doubles]


def r2(sums: NumberSums) -> OfNumbers:
    """1 less the share of the numbers' variance that the errors have; NaN where the numbers do not vary."""

    def parts(images: NumberErrors) -> Doubles:
        share = images.squared.mean() / images.away.mean()
        return np.asarray((share * images.away - images.squared) / images.away.sum())

    return OfNumbers(1.0 - sums.squared / sums.spread, "squared", parts)


def mae(sums: NumberSums) -> OfNumbers:
    """Mean absolute error."""

    def parts(images: NumberErrors) -> Doubles:
        return np.asarray((images.absolute - images.absolute.mean()) / len(images.absolute))

    return OfNumbers(sums.absolute / sums.n_images, "absolute", parts)


def rmse(sums: NumberSums) -> OfNumbers:
    """Root of the mean squared error."""

    def parts(images: NumberErrors) -> Doubles:
        mean, n_images = images.squared.mean(), len(images.squared)
        if mean == 0:
            return np.zeros(n_images)
        return np.asarray((images.squared - mean) / (2 * np.sqrt(mean) * n_images))

    return OfNumbers(np.sqrt(sums.squared / sums.n_images), "squared", parts)
