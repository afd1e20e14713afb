"""Matrix of size and likeness as advice, what was measured that overrules it, and negative transfer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from headstart.heads.scoring import SIGNIFICANCE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from headstart.heads.transfer.advice.lead import Lead

Action = Literal["linear-last", "linear-earlier", "finetune-tail", "retrain"]
Size = Literal["little", "lots"]
Near = Literal["similar", "different"]
Transfer = Literal["positive", "unproven", "negative", "no control"]
NearBy = Literal["source", "layers", "controls"]
Overruled = Literal["layers", "room"]

ACTIONS: dict[tuple[Size, Near], Action] = {
    ("little", "similar"): "linear-last",
    ("little", "different"): "linear-earlier",
    ("lots", "similar"): "finetune-tail",
    ("lots", "different"): "retrain",
}
"""The matrix of the courses."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """All that advice goes by.

    Attributes
    ----------
    images_per_class : float
        Labelled images of a class to fit on, the median.
    enough : int
        From how many on it is lots of data.
    n_images, n_wrong : int
        Images that the best frozen layer was measured on, and that it tells wrong.
    earlier : Lead or None
        The best earlier layer against the last one; None where the last one alone is known.
    near : {"similar", "different"} or None
        Target and source, by their distances; None where no source was given or its classes are not known.
    controls : sequence of Lead
        The best frozen layer against each control.
    """

    images_per_class: float
    enough: int
    n_images: int
    n_wrong: int
    earlier: Lead | None
    near: Near | None
    controls: Sequence[Lead]


@dataclass(frozen=True, kw_only=True)
class Advice:
    """What to do, and why.

    Attributes
    ----------
    action : {"linear-last", "linear-earlier", "finetune-tail", "retrain"}
    size : {"little", "lots"}
    near : {"similar", "different"} or None
        None where nothing tells; the advice is then that of similar ones.
    near_by : {"source", "layers", "controls"} or None
        What tells: distances to the source, the curve over layers, or that features tell less than controls do.
    cell : str
        Action that the matrix has for these.
    overruled : {"layers", "room"} or None
        Measurement that says otherwise: which layer tells more, or that a tail could win nothing that would be seen.
    transfer : {"positive", "unproven", "negative", "no control"}
        Whether frozen features tell more than every control, no more than one by chance, or less than one.
    """

    action: Action
    size: Size
    near: Near | None
    near_by: NearBy | None
    cell: Action
    overruled: Overruled | None
    transfer: Transfer


def advise_by(measured: Measured) -> Advice:
    """Return the advice of the matrix, unless what was measured on these very images says otherwise.

    Which layer a linear head goes on is measured and need not be inferred: a matrix that says earlier layers where
    none tells more than the last, or the last where an earlier one does beyond chance, is overruled. Training layers
    is advised where there is something to win that would be seen: if a tail mended half of the images that are told
    wrong and spoilt none, McNemar's exact test would have to notice.
    """
    size: Size = "lots" if measured.images_per_class >= measured.enough else "little"
    transfer = judge_transfer(measured.controls)
    ahead = measured.earlier is not None and measured.earlier.value > 0 and measured.earlier.beyond_chance
    near, near_by = measured.near, _by_source(measured)
    if transfer == "negative":
        near, near_by = "different", "controls"
    elif near is None and measured.earlier is not None:
        near, near_by = "different" if ahead else "similar", "layers"
    cell = ACTIONS[size, near or "similar"]
    frozen: Action = "linear-earlier" if ahead else "linear-last"
    if cell in ("finetune-tail", "retrain"):
        overruled: Overruled | None = None if is_worth_training(measured.n_wrong) else "room"
    else:
        overruled = "layers" if cell != frozen and measured.earlier is not None else None
    return Advice(
        action=frozen if overruled else cell,
        size=size,
        near=near,
        near_by=near_by,
        cell=cell,
        overruled=overruled,
        transfer=transfer,
    )


def _by_source(measured: Measured) -> NearBy | None:
    return "source" if measured.near else None


def judge_transfer(controls: Sequence[Lead]) -> Transfer:
    """Tell whether frozen features are ahead of every control beyond chance."""
    if not controls:
        return "no control"
    if any(one.value < 0 and one.beyond_chance for one in controls):
        return "negative"
    return "positive" if all(one.value > 0 and one.beyond_chance for one in controls) else "unproven"


def is_worth_training(n_wrong: int) -> bool:
    """Tell whether mending half of these images, and spoiling none, would be more than chance by McNemar's test."""
    return bool(2 * 0.5 ** (n_wrong // 2) < SIGNIFICANCE)
