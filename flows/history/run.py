"""One fit as the history keeps it: what was asked for, on what, and what came of it."""

import json
from dataclasses import dataclass, field
from functools import cache
from typing import ClassVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from headstart.extractors.spec import EmbeddingKey
from headstart.flows.output import as_line, plain
from headstart.heads.report import CandidateRow, TestResult

FORMAT_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """Options that were asked for, and `target` and `metric` as they were settled; see `flows.fitting.fit`.

    Fields that older runs lack have the value that they went by.
    """

    heads: list[str]
    sweep: str | None
    metric: str
    folds: int
    test_size: float
    seed: int
    target: str
    labels: str | None = None
    backbone: list[str] | None = None
    calibrate: bool = False
    repeats: int = 1
    nested: int | None = None
    min_images: int | None = None
    name: str | None = None
    note: str | None = None
    views: bool = False
    average_views: bool = False
    class_weight: str | None = field(default=None, metadata={"unsaid_if_none": True})
    threshold: str | None = field(default=None, metadata={"unsaid_if_none": True})
    costs: str | None = field(default=None, metadata={"unsaid_if_none": True})
    device: str | None = field(default=None, metadata={"unsaid_if_none": True})


@dataclass(frozen=True, kw_only=True)
class RunData:
    """The images of a fit.

    Attributes
    ----------
    cache, name, target, task : str
        Absolute path of the cache, what the problem is called, the label column, and ``classify`` or ``regress``.
    n_images, n_classes, n_test : int
    images, train, test : str
        Digests of which images with which labels these were: runs are ranked together only on the same test images.
    """

    cache: str
    name: str
    target: str
    task: str = "classify"
    n_images: int
    n_classes: int
    n_test: int
    images: str
    train: str
    test: str


@dataclass(frozen=True, kw_only=True)
class Run:
    """One fit.

    Attributes
    ----------
    id, time : str
        When it began, as `flows.output.new_id` writes it, and when its winner was scored; in UTC.
    settings : RunSettings
    versions : dict of str to str
        What computed it.
    data : RunData
    embedding : EmbeddingKey
        The winner's.
    winner, test
        As in `FitSummary`.
    results : str
        Absolute path of its folder.
    n_candidates : int
    seconds : float
    """

    __pydantic_config__: ClassVar = ConfigDict(extra="forbid")  # also of all that a run is made of

    id: str
    time: str
    settings: RunSettings = field(repr=False)
    versions: dict[str, str] = field(repr=False)
    data: RunData = field(repr=False)
    embedding: EmbeddingKey = field(repr=False)
    winner: CandidateRow
    test: TestResult = field(repr=False)
    results: str
    n_candidates: int
    seconds: float

    def as_line(self) -> str:
        """Return one line of JSON without its end."""
        return as_line({"format_version": FORMAT_VERSION} | plain(self))

    @classmethod
    def from_line(cls, line: bytes) -> "Run":
        """Read what `as_line` wrote.

        Raises
        ------
        ValueError
            The line is damaged, of another format, or a field of it is missing, unknown or of another type.
        """
        try:
            values = json.loads(line)
        except RecursionError as error:
            raise ValueError("it is nested too deeply") from error
        if not isinstance(values, dict) or values.pop("format_version", None) != FORMAT_VERSION:
            raise ValueError(f"expected a run in format {FORMAT_VERSION}")
        try:
            return _reader().validate_python(values)
        except ValidationError as error:
            wrong = (f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
            raise ValueError("; ".join(wrong)) from error


@cache
def _reader() -> TypeAdapter[Run]:
    return TypeAdapter(Run)
