"""Choice of backbone and layer without labels: by how far clusterings of parts of the images agree beyond a null."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from headstart.flows.output import progress_bar
from headstart.flows.problem import Embedded
from headstart.heads.transfer.clusters import measure_stability

_MOST = 800  # images that are looked at


@dataclass(frozen=True, kw_only=True)
class LayerRow:
    """One layer and how stable its clusters are.

    Attributes
    ----------
    rank : int
        From 1, by `gain`; those with random weights stand last.
    label, tap, key : str
        `label` is the backbone, as shortly as it can be told apart.
    random : bool
        Whether its weights are random: it is a control, and never chosen.
    stability, null : float
        Agreement (ARI) of the clusterings of overlapping parts, and that of features without groups.
    gain : float
        The difference.
    tied : bool or None
        Whether the first one is ahead by no more than chance over draws; None of the first one itself.
    """

    rank: int
    label: str
    tap: str
    key: str
    random: bool
    stability: float
    null: float
    gain: float
    tied: bool | None


def choose_layer(
    embedded: Sequence[Embedded], groups: npt.NDArray[np.int64], notes: list[str], *, seed: int, progress: bool
) -> tuple[Embedded, list[LayerRow]]:
    """Return the embedding whose clusters are most stable, and all of them in this order.

    Parameters
    ----------
    embedded : sequence of Embedded
        Two or more.
    groups : int array (n_images,)
        One image of each is looked at.
    notes : list of str
        Told what was chosen, and what that is worth.
    seed : int
    progress : bool
    """
    rows = np.sort(np.unique(groups, return_index=True)[1])
    if len(rows) > _MOST:
        rows = np.sort(np.random.default_rng(seed).choice(rows, _MOST, replace=False))
    found = []
    with progress_bar("layers", len(embedded), unit="layers", show=progress) as advance:
        for one in embedded:
            found.append(measure_stability(np.asarray(one.features.take(rows), np.float32), seed=seed))
            advance(1)
    random = [one.store.about["weights_source"] == "none" for one in embedded]
    order = sorted(range(len(embedded)), key=lambda at: (random[at] and not all(random), -found[at].gain))
    first = found[order[0]]
    ranked = [
        LayerRow(
            rank=place,
            label=embedded[at].label,
            tap=embedded[at].tap,
            key=embedded[at].store.key.id,
            random=random[at],
            stability=found[at].agreement,
            null=found[at].null,
            gain=found[at].gain,
            tied=None if place == 1 else not found[at].is_behind(first),
        )
        for place, at in enumerate(order, 1)
    ]
    notes += _say(ranked)
    return embedded[order[0]], ranked


def _say(rows: Sequence[LayerRow]) -> list[str]:
    best = rows[0]
    tied = sum(row.tied is True and not row.random for row in rows)
    also = f", no more than chance ahead of {tied} more" if tied else ""
    why = f"was chosen of {len(rows)} layers, because its clusters are the most stable{also}"
    found = [f"{best.label} · {best.tap} {why}; --key and --tap name another"]
    controls = [row for row in rows if row.random]
    if controls and not best.random and max(row.gain for row in controls) >= best.gain:
        found.append("random weights have clusters as stable: stability says little of what these images show")
    if best.gain <= 0:
        found.append("no layer is more stable than features without groups: there may be no clusters here")
    return found
