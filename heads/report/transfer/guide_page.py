"""One self-contained HTML page about a guide: beside its three controls, and what it holds back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from headstart.heads.report import p_text, render
from headstart.heads.transfer.guidance import CONTROLS, GuideTest

_NAMES = {"unguided": "without a guide", "shuffled": "the guide shuffled", "constant": "its mean for all weights"}
_AT_NONE = "beats all three of its controls at no number of images a class"


@dataclass(frozen=True, kw_only=True)
class GuideRow:
    """Accuracies at one number of images a class, means over draws.

    Attributes
    ----------
    shots : int
    guided, unguided, shuffled, constant : float
    beaten : bool
        The guided beats all three controls.
    tests : list of GuideTest
        Against each control.
    """

    shots: int
    guided: float
    unguided: float
    shuffled: float
    constant: float
    beaten: bool
    tests: list[GuideTest]


@dataclass(frozen=True, kw_only=True)
class ControlCells:
    """A comparison as texts: points with their interval and p-value, and a word where chance does not explain them."""

    name: str
    difference: str
    interval: str
    p: str
    word: str


@dataclass(frozen=True, kw_only=True)
class GuideCells:
    """A row as texts, means in per cent."""

    shots: int
    guided: str
    unguided: str
    shuffled: str
    constant: str
    tests: list[ControlCells]


@dataclass(frozen=True, kw_only=True)
class GuidePage:
    """Everything that the page shows.

    Attributes
    ----------
    title, intro : str
    rows : sequence of GuideRow
        The fewest images a class first.
    draws : int
    scouts : sequence of sequences of str
    shares : mapping of str to float
        Mean share of a step by parameter, from the lowest layer.
    notes : sequence of str
    """

    title: str
    intro: str
    rows: Sequence[GuideRow]
    draws: int
    scouts: Sequence[Sequence[str]]
    shares: Mapping[str, float]
    notes: Sequence[str]


def is_experimental(rows: Sequence[GuideRow]) -> bool:
    """Tell whether a guide fails to beat one of its controls at some number of images a class."""
    return not all(row.beaten for row in rows)


def guide_verdict(rows: Sequence[GuideRow]) -> str:
    """Say in a sentence or two whether a guide beats its controls."""
    if not is_experimental(rows):
        return f"The guide beats all three of its controls at {_numbers([row.shots for row in rows])} a class."
    held = [row.shots for row in rows if row.beaten]
    where_so = f"beats all three of its controls at {_numbers(held)} a class only" if held else _AT_NONE
    text = f"Experimental: the guide {where_so}."
    tests = [test for row in rows for test in row.tests]
    for verb, wins in (("It is ahead of", "beats"), ("It is behind", "loses")):
        where = {
            name: [test.shots for test in tests if test.control == name and getattr(test, wins)] for name in CONTROLS
        }
        found = [f"{_NAMES[name]} at {_numbers(shots)}" for name, shots in where.items() if shots]
        text += f" {verb} training {'; '.join(found)}." if found else ""
    return text if any(test.beats or test.loses for test in tests) else f"{text} None differs by more than chance."


def guide_cells(rows: Sequence[GuideRow]) -> list[GuideCells]:
    """Return the rows as texts: means in per cent, and differences with their intervals and p-values."""
    return [
        GuideCells(
            shots=row.shots,
            guided=f"{100 * row.guided:.1f}",
            unguided=f"{100 * row.unguided:.1f}",
            shuffled=f"{100 * row.shuffled:.1f}",
            constant=f"{100 * row.constant:.1f}",
            tests=[
                ControlCells(
                    name=test.control,
                    difference=f"{100 * test.difference:+.1f}",
                    interval=f"[{100 * test.low:+.1f}, {100 * test.high:+.1f}]",
                    p=p_text(test.p_value),
                    word="ahead" if test.beats else "behind" if test.loses else "",
                )
                for test in row.tests
            ],
        )
        for row in rows
    ]


def render_guide(page: GuidePage) -> str:
    """Render the page: HTML that loads nothing, runs nothing, and is the same for the same data."""
    shares = [(name, f"{share:.3f}") for name, share in page.shares.items()]
    return render(
        "guide_page.html.jinja",
        page=page,
        cells=guide_cells(page.rows),
        shares=shares,
        verdict=guide_verdict(page.rows),
        controls=CONTROLS,
    )


def _numbers(shots: Sequence[int]) -> str:
    *first, last = map(str, shots)
    return f"{', '.join(first)} and {last} images" if first else f"{last} image{'' if last == '1' else 's'}"
