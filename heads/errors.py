"""Errors between an array and a fitted head, each also rooted in the fitting builtin."""

from collections.abc import Sequence


class HeadError(Exception):
    """Anything that `heads` raises on purpose; the message says what, where, found, expected and the next step."""


class UnknownHeadError(HeadError, LookupError):
    """No head has this name."""


class DuplicateHeadError(HeadError, ValueError):
    """A head with this name is registered already."""


class OwnHeadError(HeadError, ImportError):
    """A user's own head cannot be imported, or is no classifier."""


class DataError(HeadError, ValueError):
    """Features, labels or groups cannot be fitted: not finite, a single class, too few images for the folds.

    Parameters
    ----------
    message : str
        What, where, found, expected and the next step.
    rows : sequence of int, optional
        The rows of the feature matrix at fault, where there are such: who knows which image a row is can name it.
    """

    def __init__(self, message: str, *, rows: Sequence[int] = ()) -> None:
        super().__init__(message)
        self.rows = tuple(rows)


class RareClassError(DataError):
    """Some classes have too few images for what is planned; without them it can go on.

    Parameters
    ----------
    message : str
        As for every error.
    classes : sequence of int
        Numbers of these classes.
    """

    def __init__(self, message: str, *, classes: Sequence[int]) -> None:
        super().__init__(message)
        self.classes = tuple(classes)


class ModelFileError(HeadError, ValueError):
    """A saved model is damaged, of another format, or holds something that could run code."""


class WorkerLostError(HeadError, RuntimeError):
    """A candidate could not be fitted, because every worker process that tried it died."""
