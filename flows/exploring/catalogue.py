"""Heads to fit, backbones to embed with, and the layers of a backbone, as rows."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headstart.extractors.results import ResultList
from headstart.heads.errors import HeadError
from headstart.heads.registry import HEADS_OF, Head, all_heads, find_head, read_head

if TYPE_CHECKING:  # loads torch, which a list of heads does without
    from headstart.extractors.backbones import BackboneInfo
    from headstart.extractors.network import Layer
else:
    BackboneInfo = Layer = object

TASKS = {"classify": "classes", "regress": "numbers"}


@dataclass(frozen=True)
class HeadRow:
    """A head as people look it up.

    Attributes
    ----------
    name, summary : str
    tasks : list of str
        ``classes``, ``numbers``.
    fits : str
        ``fast``, ``own`` or ``stock``.
    streams : bool
        Whether features may be larger than the memory.
    grid : dict of str to list
        Values that are tried unless others are named.
    weighs : bool
        Whether ``--class-weight`` reaches it.
    """

    name: str
    summary: str
    tasks: list[str]
    fits: str
    streams: bool
    grid: dict[str, list[Any]]
    weighs: bool = False


class HeadList(ResultList[HeadRow], says="{rows:n head}", tables=("rows",)):
    """Heads, a row each."""


class BackboneList(
    ResultList[BackboneInfo],
    says="{rows:n backbone}",
    tables=("rows",),
    columns=("name", "parameters", "gflops", "feature_size", "input_size", "top1"),
):
    """Backbones, a row each, the most accurate first."""


class LayerList(ResultList[Layer], says="{rows:n layer} of {backbone}", tables=("rows",)):
    """Layers of a backbone that can be tapped, a row each, in the network's order."""

    def __init__(self, backbone: str, layers: Iterable[Layer]) -> None:
        super().__init__(layers)
        self.backbone = backbone


def list_heads(name: str | None = None) -> HeadList:
    """List heads: what each is, what it tries, for classes or numbers, fast or stock.

    Parameters
    ----------
    name : str, optional
        Only this one, which may be a ``module:Class`` of one's own.

    Raises
    ------
    HeadError
        There is no such head.

    Examples
    --------
    >>> headstart.list_heads("knn")[0].grid
    {'n_neighbors': [1, 5, 20]}
    >>> "logreg" in [row.name for row in headstart.list_heads()]
    True
    """
    names = [read_head(name).name] if name else dict.fromkeys((*all_heads(), *HEADS_OF["regress"]))
    return HeadList(row_of(find_by_task(one)) for one in names)


def list_backbones(pattern: str = "*") -> BackboneList:
    """List backbones without building or fetching any, the best first.

    Parameters
    ----------
    pattern : str
        A word such as ``dinov2``, or a pattern such as ``resnet*`` or ``timm/vit_*``.

    Raises
    ------
    BackboneError
        The pattern asks for timm's models, and timm is not installed.

    Examples
    --------
    >>> headstart.list_backbones("resnet18")[0].feature_size
    512
    """
    from headstart.extractors.backbones import list_backbones as find  # noqa: PLC0415 - loads torch

    return BackboneList(find(pattern))


def list_layers(backbone: str) -> LayerList:
    """List the layers of a backbone that can be tapped, with shapes and the poolings that go with them.

    Parameters
    ----------
    backbone : str
        A name as `list_backbones` shows it.

    Raises
    ------
    BackboneError
        There is no such backbone.

    Examples
    --------
    >>> layer = headstart.list_layers("small_cnn")[1]
    >>> layer.name, layer.shape, layer.features["avg"]
    ('features', [64, 4, 4], 64)
    """
    from headstart.extractors.backbones import load_backbone  # noqa: PLC0415 - loads torch
    from headstart.extractors.network import list_layers as find  # noqa: PLC0415

    loaded = load_backbone(backbone, weights="none")
    return LayerList(loaded.name, find(loaded))


def find_by_task(name: str) -> dict[str, Head]:
    """Return the heads of a name by task.

    Raises
    ------
    HeadError
        No task has one.
    """
    found: dict[str, Head] = {}
    faults: list[HeadError] = []
    for task in HEADS_OF:
        try:
            head = find_head(name, task)
            if name not in HEADS_OF[task]:
                head.make({}, 0)  # which tells what it is for
            found[task] = head
        except HeadError as error:
            faults.append(error)
    if not found:
        raise faults[0]
    return found


def row_of(found: dict[str, Head]) -> HeadRow:
    """Return the row of a head, of which each task may have one."""
    head = next(iter(found.values()))
    own = not head.estimator.startswith("headstart.") or head.estimator.endswith("stock.LogisticRegression")
    return HeadRow(
        name=head.name,
        summary=head.summary,
        tasks=[TASKS[task] for task in found],
        fits="fast" if head.solver else "stock" if own else "own",
        streams=head.streamed is not None,
        grid={name: list(values) for name, values in head.grid.items()},
        weighs=head.weighs,
    )
