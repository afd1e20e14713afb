"""Accuracies of episodes as rows, and sentences on what they say."""

from collections.abc import Sequence

from headstart.flows.problem import Embedded
from headstart.heads.report.transfer import EpisodeRow
from headstart.heads.transfer.episodes import METHODS, Accuracies

CONTROL = METHODS[0].name
COVERS = (
    "± is 1.96 standard errors over episodes: it covers which classes and images of this set were drawn, not other "
    "images, other classes or other backbones"
)
PUBLISHED = ("plain", "l2n", "cl2n")
"""Nearest class means in the order that was published for one shot, the worst first."""


def rows_of(embedded: Embedded, found: Sequence[Accuracies], *, random: bool) -> list[EpisodeRow]:
    """Return a row for each method and number of shots, with its gain over the control on the same episodes."""
    by_name = {(one.method, one.shots): one for one in found}
    assumes = {method.name: method.assumes for method in METHODS}
    rows = []
    for one in found:
        gain, width = (None, None) if one.method == CONTROL else one.gain_over(by_name[CONTROL, one.shots])
        rows.append(
            EpisodeRow(
                label=embedded.label,
                tap=embedded.tap,
                key=embedded.store.key.id,
                random=random,
                shots=one.shots,
                method=one.method,
                accuracy=one.mean,
                half_width=one.half_width,
                gain=gain,
                gain_half_width=width,
                assumes=assumes[one.method],
            )
        )
    return rows


def in_order(rows: Sequence[EpisodeRow]) -> list[EpisodeRow]:
    """Return rows by layer, by the best method at fewest shots of those that tell each query by itself."""
    fewest = min(row.shots for row in rows)
    best: dict[tuple[str, str], float] = {}
    for row in rows:
        if row.shots == fewest and not row.assumes:
            best[row.layer] = max(best.get(row.layer, 0.0), row.accuracy)
    return sorted(rows, key=lambda row: (-best[row.layer], row.layer, row.shots))


def sentences(rows: Sequence[EpisodeRow], chance: float) -> list[str]:
    """Return sentences on the controls, also where a method does not beat them."""
    fewest, first = min(row.shots for row in rows), rows[0].layer
    own = [row for row in rows if row.layer == first and row.shots == fewest]
    found = []
    for row in own:
        if row.gain is None or row.gain_half_width is None:
            continue
        verdict = "ahead of" if row.ahead else "behind" if row.ahead is False else "no more than chance from"
        found.append(
            f"{row.method} is {verdict} the plain mean at {_shots(fewest)}: {100 * row.gain:+.1f} ± "
            f"{100 * row.gain_half_width:.1f}" + (f" (assumes that {row.assumes})" if row.assumes else "")
        )
    return [*found, *_order(rows), *_random(rows, fewest), *_at_chance(own, chance)]


def _order(rows: Sequence[EpisodeRow]) -> list[str]:
    """Return whether plain ≤ l2n ≤ cl2n holds at one shot, as it was published."""
    scores: dict[tuple[str, str], dict[str, float]] = {}
    for row in rows:
        if row.shots == 1 and row.method in PUBLISHED:
            scores.setdefault(row.layer, {})[row.method] = row.accuracy
    whole = {layer: [some[name] for name in PUBLISHED] for layer, some in scores.items() if len(some) == len(PUBLISHED)}
    if not whole:
        return []
    broken = [" · ".join(layer) for layer, some in whole.items() if some != sorted(some)]
    found = f"at 1 shot {' ≤ '.join(PUBLISHED)}, as published, in {len(whole) - len(broken)} of {len(whole)} layers"
    return [f"{found}; not in {', '.join(broken)}" if broken else found]


def _random(rows: Sequence[EpisodeRow], fewest: int) -> list[str]:
    """Return how far the best layer is from one with random weights, where the cache holds such."""
    by_self = [row for row in rows if row.shots == fewest and not row.assumes]
    controls = [row for row in by_self if row.random]
    others = [row for row in by_self if not row.random]
    if not controls or not others:
        return []
    control, best = (max(some, key=lambda row: row.accuracy) for some in (controls, others))
    beside = (
        "which it beats"
        if best.accuracy - best.half_width > control.accuracy + control.half_width
        else ("which it does not beat: these weights bring nothing here")
    )
    found = (
        f"the best, {' · '.join(best.layer)} with {best.method}, has {100 * best.accuracy:.1f} at {_shots(fewest)}; "
        f"random weights have {100 * control.accuracy:.1f} ({' · '.join(control.layer)}, {control.method}), {beside}"
    )
    return [found]


def _at_chance(own: Sequence[EpisodeRow], chance: float) -> list[str]:
    if any(row.accuracy - row.half_width > chance for row in own):
        return []
    return [f"no method is beyond chance, {100 * chance:.1f}"]


def _shots(number: int) -> str:
    return f"{number} shot" + ("" if number == 1 else "s")
