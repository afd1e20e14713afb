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
    """Advice, and the measurements behind it.

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
    the last tells more beyond chance, or the last where an earlier one does, is overruled; where they are tied, it
    holds. Training layers is advised where there is something to win that would be seen: if a tail mended half of the
    images that are told wrong and spoilt none, McNemar's exact test would have to notice.

    Without a source, features that do not beat raw pixels or random weights are taken for those of an unlike one, and
    so is a network of which an earlier layer tells more than the last.
    """
    size: Size = "lots" if measured.images_per_class >= measured.enough else "little"
    transfer = judge_transfer(measured.controls)
    ahead = _sign(measured.earlier)
    near, near_by = _nearness(measured, transfer, ahead)
    cell = ACTIONS[size, near or "similar"]
    inferred: Action = "linear-earlier" if near == "different" else "linear-last"
    frozen: Action = "linear-earlier" if ahead > 0 else "linear-last" if ahead < 0 else inferred
    if cell in ("finetune-tail", "retrain"):
        overruled: Overruled | None = None if is_worth_training(measured.n_wrong) else "room"
    else:
        overruled = "layers" if cell != frozen else None
    return Advice(
        action=frozen if overruled else cell,
        size=size,
        near=near,
        near_by=near_by,
        cell=cell,
        overruled=overruled,
        transfer=transfer,
    )


def _sign(lead: Lead | None) -> int:
    """Return 1 where the first is ahead beyond chance, -1 where it is behind, and else 0."""
    if lead is None or not lead.beyond_chance:
        return 0
    return 1 if lead.value > 0 else -1


def _nearness(measured: Measured, transfer: Transfer, ahead: int) -> tuple[Near | None, NearBy | None]:
    if transfer == "negative":
        return "different", "controls"
    if measured.near:
        return measured.near, "source"
    if transfer == "unproven":
        return "different", "controls"
    if measured.earlier is not None:
        return "different" if ahead > 0 else "similar", "layers"
    return None, None


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
