"""Candidates of a sweep: each is one feature matrix, one head, one choice of its hyper-parameters."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import product
from typing import TYPE_CHECKING, Any

from headstart.heads.errors import DataError
from headstart.heads.registry.asked import as_grid, path_of, read_head
from headstart.heads.registry.lookup import find_head
from headstart.heads.registry.table import HEADS, HEADS_OF

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from headstart.heads.registry.asked import AskedHead
    from headstart.heads.registry.head import Grid, GridSolver, Head, StreamedFit


@dataclass(frozen=True, kw_only=True)
class FeatureSet:
    """One tap of one backbone over the whole image set.

    Parameters
    ----------
    features : array-like of shape (n_images, n_features)
        Anything `numpy.asarray` turns into a matrix. For processes it should pickle small, as a path and row numbers.
    backbone, tap, key : str
        Where the features come from: names for people, and the embedding's key.
    """

    features: object = field(repr=False)
    backbone: str
    tap: str
    key: str

    @property
    def place(self) -> tuple[str, str]:
        """Key and tap: what tells feature sets apart."""
        return self.key, self.tap


@dataclass(frozen=True, kw_only=True)
class Candidate(FeatureSet):
    """A feature set with a head and its hyper-parameters, ready to be fitted.

    Parameters
    ----------
    head : str
        A name in `HEADS_OF` its task, or ``module:Class``.
    params : mapping
        Hyper-parameters of the head's last step.
    task : {"classify", "regress"}
        Whether it tells classes apart or predicts a number: the head is of the registry for that.
    """

    head: str
    params: Mapping[str, Any]
    task: str = "classify"

    @property
    def class_weight(self) -> Any:
        """How much images of each class count in its fits; None where all count alike."""
        return self.params.get("class_weight")

    @property
    def identity(self) -> tuple[str, ...]:
        """Place, task, head and hyper-parameters, which tell candidates apart."""
        return *self.place, self.task, self.head, repr(sorted(self.params.items()))


def check_head(task: str, asked: AskedHead) -> None:
    """Find a head for "classify" or "regress" and see whether it can be made, before there is anything to fit.

    Raises
    ------
    UnknownHeadError, OwnHeadError
        As `find_head`; or a head of a user's own makes something else.
    DataError
        It cannot be made with the grid that is asked for, or its own.
    """
    head = find_head(asked.name, task)
    if asked.grid is not None or head.name not in HEADS_OF[task]:  # those are sound, and some load torch to be made
        _combinations(head, head.grid if asked.grid is None else asked.grid)


def expand(
    feature_sets: Sequence[FeatureSet],
    heads: Sequence[str | AskedHead],
    grid: Mapping[str, Grid] | None = None,
    *,
    task: str = "classify",
) -> list[Candidate]:
    """Return every combination of feature set, head and hyper-parameters, each once.

    Parameters
    ----------
    feature_sets : sequence of FeatureSet
    heads : sequence of str or AskedHead
        Names in `HEADS_OF` the task, or ``module:Class``, as `read_head` takes them.
    grid : mapping of str to mapping, optional
        By head name, what to try instead of the head's own grid: {"logreg": {"C": [0.1, 1]}}.
    task : {"classify", "regress"}

    Raises
    ------
    UnknownHeadError
        A name in `heads` or `grid` is not registered.
    DataError
        There is nothing to try, or a head has no hyper-parameter of that name.
    """
    grids = {find_head(name, task).name: as_grid(own) for name, own in (grid or {}).items()}
    asked = [read_head(one) for one in heads]
    found = [(find_head(one.name, task), grids.get(one.name) if one.grid is None else one.grid) for one in asked]
    candidates: list[Candidate] = []
    for source in feature_sets:
        of_source = [
            Candidate(
                features=source.features,
                backbone=source.backbone,
                tap=source.tap,
                key=source.key,
                head=head.name,
                params=dict(params),
                task=task,
            )
            for head, own in found
            for params in _combinations(head, head.grid if own is None else own)
        ]
        # A head may be asked for twice. Two sources of one name are no copies, and a sweep refuses them.
        candidates += {candidate.identity: candidate for candidate in of_source}.values()
    if not candidates:
        raise DataError(f"nothing to fit: {len(feature_sets)} feature sets and {len(heads)} heads were given")
    return candidates


def _combinations(head: Head, grid: Grid) -> list[Mapping[str, Any]]:
    combinations: list[Mapping[str, Any]] = [dict(zip(grid, values, strict=True)) for values in product(*grid.values())]
    if not combinations:
        empty = ", ".join(name for name, values in grid.items() if len(values) == 0)
        raise DataError(f"head {head.name!r}: no value was given for {empty}")
    try:
        head.make(combinations[0], 0)
    except TypeError as error:
        tried = ", ".join(head.grid) or "none"
        raise DataError(f"head {head.name!r}: {error}; its default grid varies: {tried}") from error
    return combinations


def tell_of_views(candidates: Sequence[Candidate], n_views: int) -> tuple[list[Candidate], list[str]]:
    """Return candidates that can be fitted on several rows an image, and a note on those that cannot.

    Heads that set images aside as they are fitted are told how many rows an image has.

    Raises
    ------
    DataError
        None is left.
    """
    if n_views == 1:
        return list(candidates), []
    kinds = {one.head: find_head(one.head, one.task).views for one in candidates}
    left_out = ", ".join(name for name, kind in kinds.items() if kind == "none")
    why = f"{left_out} would set views of one image aside from each other, and cannot be fitted on views"
    fitted = [
        replace(one, params={**one.params, "views": n_views}) if kinds[one.head] == "told" else one
        for one in candidates
        if kinds[one.head] != "none"
    ]
    if not fitted:
        raise DataError(f"{why}: name another head, such as logreg, or fit without views")
    return fitted, [f"{why}: left out"] if left_out else []


def tell_of_weights(
    candidates: Sequence[Candidate], class_weight: str | Mapping[int, float]
) -> tuple[list[Candidate], list[str]]:
    """Return the candidates, those that can with a class weight, and a note on heads that cannot weigh classes.

    A candidate whose own grid says how classes weigh keeps that.

    Parameters
    ----------
    candidates : sequence of Candidate
    class_weight : "balanced" or mapping of int to float
        By class number; what is left out weighs 1.

    Raises
    ------
    DataError
        None can.
    """
    weighs = {one.head: find_head(one.head, one.task).weighs for one in candidates}
    if not any(weighs.values()):
        able = ", ".join(name for name, head in HEADS.items() if head.weighs)
        raise DataError(f"{', '.join(weighs)} cannot weigh classes: leave --class-weight out, or name one of {able}")
    weighed = [
        replace(one, params={**one.params, "class_weight": one.params.get("class_weight", class_weight)})
        if weighs[one.head]
        else one
        for one in candidates
    ]
    unable = [name for name, able in weighs.items() if not able]
    note = f"{', '.join(unable)} cannot weigh classes: fitted without --class-weight"
    return weighed, [note] if unable else []


def tell_of_device(candidates: Sequence[Candidate], device: str) -> list[Candidate]:
    """Return the candidates, those that torch trains with the device to train on.

    A candidate whose own grid says where keeps that, and of the CPU none is told: it is where they train anyway.
    """
    if device == "cpu":
        return list(candidates)
    return [
        replace(one, params={"device": device, **one.params}) if find_head(one.head, one.task).on_device else one
        for one in candidates
    ]


def solver_of(candidate: Candidate) -> GridSolver | None:
    """Return its head's way to fit a whole grid, if that knows the candidate's hyper-parameters."""
    head = HEADS_OF[candidate.task].get(candidate.head)
    solver = head.solver if head else None
    return solver if solver and candidate.params.keys() <= solver.params else None


def streamed_fit_of(candidate: Candidate) -> StreamedFit | None:
    """Return its head's way to be fitted without features in memory, if that knows the hyper-parameters."""
    head = HEADS_OF[candidate.task].get(candidate.head)
    streamed = head.streamed if head else None
    return streamed if streamed and candidate.params.keys() <= streamed.params else None


def streamed_heads() -> list[str]:
    """Return the names of heads that can be fitted without features in memory."""
    return [name for name, head in HEADS_OF["classify"].items() if head.streamed]


def own_code(candidate: Candidate) -> list[str]:
    """Return ``module:Class`` of a head of a user's own and of the estimators it is made of; nothing of others."""
    if candidate.head in HEADS_OF[candidate.task]:
        return []
    parts = find_head(candidate.head, candidate.task).make(candidate.params, 0).get_params().values()
    return [candidate.head, *{path_of(type(part)) for part in parts if hasattr(part, "get_params")}]
