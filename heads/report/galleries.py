"""The report's pictures: mistakes, labels to check, images unlike all others, and near copies."""

from base64 import b64encode
from collections.abc import Sequence

import numpy as np

from headstart.heads.report.data import ReportData
from headstart.heads.report.exhibits import CopyPair, Mistake, OutlierRow, SuspectRow

OPENING = 24  # pictures that a gallery opens with


def mistakes_gallery(data: ReportData) -> dict[str, object]:
    """Lay out the mistakes, with how sure the winner is where it is right and where it is wrong."""
    wrong = np.asarray(data.y_test) != np.asarray(data.predicted)
    confidence = None
    if data.probability is not None and wrong.any() and not wrong.all():
        given = np.max(data.probability, axis=1)
        confidence = {"right": f"{100 * given[~wrong].mean():.0f} %", "wrong": f"{100 * given[wrong].mean():.0f} %"}
    seen: set[tuple[int, int]] = set()
    entries = []
    n_pictured = max((at for at, one in enumerate(data.mistakes, start=1) if one.thumbnail), default=OPENING)
    for mistake in data.mistakes[: max(OPENING, n_pictured)]:
        pair = pair_of(mistake, data.class_names)
        entries.append(
            {
                **_pictured(mistake),
                "probability": _per_cent(mistake.probability),
                "pair": _key(pair),
                "is_first": pair is not None and pair not in seen,
            }
        )
        if pair is not None:
            seen.add(pair)
    return {
        "mistakes": entries,
        "rest": [
            {**vars(one), "probability": _per_cent(one.probability), "pair": _key(pair_of(one, data.class_names))}
            for one in data.mistakes[max(OPENING, n_pictured) :]
        ],
        "opening": OPENING,
        "n_wrong": int(wrong.sum()),
        "confidence": confidence,
        "ranked": data.probability is not None,
    }


def pair_of(mistake: Mistake, class_names: Sequence[str]) -> tuple[int, int] | None:
    """Return the numbers of a mistake's true and predicted class; None where a name is not among the classes."""
    if mistake.true not in class_names or mistake.predicted not in class_names:
        return None
    return class_names.index(mistake.true), class_names.index(mistake.predicted)


def _key(pair: tuple[int, int] | None) -> str | None:
    return None if pair is None else "{}-{}".format(*pair)


def suspects_gallery(data: ReportData) -> list[dict[str, object]]:
    """Lay out the images whose labels look wrong."""
    return [{**_pictured(suspect), "probability": _per_cent(suspect.probability)} for suspect in data.suspects]


def outliers_gallery(data: ReportData) -> list[dict[str, object]]:
    """Lay out the images unlike all others."""
    return [{**_pictured(outlier), "score": f"{outlier.score:.1f}"} for outlier in data.outliers]


def copies_gallery(data: ReportData) -> dict[str, object] | None:
    """Lay out the pairs of near copies; None where none was found or nobody looked."""
    if data.near_copies is None or not data.near_copies.n_found:
        return None
    pairs = [{**_pictured(pair), "cosine": f"{pair.cosine:.3f}"} for pair in data.near_copies.pairs]
    return {
        "n_found": data.near_copies.n_found,
        "threshold": f"{data.near_copies.threshold:g}",
        "pairs": pairs,
    }


def _pictured(exhibit: Mistake | SuspectRow | OutlierRow | CopyPair) -> dict[str, object]:
    """Return an exhibit's fields by name, its pictures as base64."""
    return {
        name: b64encode(value).decode("ascii") if isinstance(value, bytes) else value
        for name, value in vars(exhibit).items()
    }


def _per_cent(share: float | None) -> str | None:
    return None if share is None else f"{100 * share:.0f} %"
