"""The page of advice: what is advised, the cell of the matrix, warnings, and nothing of what was not measured."""

from typing import Any

import pytest

from headstart.heads.report.transfer import AdviceLayer, AdvicePage, Finding, render_advice
from headstart.heads.transfer.advice import Growth, GrowthPoint
from headstart.heads.transfer.likeness import Likeness, Measure

MEASURE = Measure(
    name="MMD²", value=0.1, null=0.0, null_high=0.01, p_value=0.005, between=0.2, between_high=0.3, verdict="similar"
)


def layer(name: str, score: float, kind: str = "learned") -> AdviceLayer:
    return AdviceLayer(name=name, network="net", tap=name, key="k", kind=kind, score=score, low=0.4, high=0.9)


def page(**named: Any) -> str:
    given: dict[str, Any] = {
        "title": "Fit a linear head.",
        "intro": "label of photos",
        "transfer": "It helps.",
        "warns": False,
        "cell": ("little", "different"),
        "findings": [Finding(about="size", says="20 images a <class>.")],
        "layers": [layer("last", 0.8)],
        "growth": None,
        "likeness": None,
        "commands": ["headstart fit <cache>"],
        "notes": [],
    }
    return render_advice(AdvicePage(**given | named))


def test_the_page_loads_and_runs_nothing_and_what_names_hold_is_text() -> None:
    made = page()
    assert "20 images a &lt;class&gt;." in made
    assert "headstart fit &lt;cache&gt;" in made
    assert "<script" not in made
    assert "http" not in made.replace("http-equiv", "")


def test_what_was_not_measured_has_no_section() -> None:
    made = page()
    assert "More labels" not in made
    assert "Likeness to the source" not in made
    assert "<svg" not in made
    points = [GrowthPoint(images_per_class=n, score=0.7, low=0.6, high=0.8) for n in (5, 10)]
    likeness = Likeness(verdict="similar", measures=[MEASURE], size=40, components=8, saturated=True)
    whole = page(
        growth=Growth(points=points, gain=0.0, low=-0.1, high=0.1),
        likeness=likeness,
        layers=[layer("early", 0.7), layer("last", 0.8), layer("noise", 0.5, "random weights")],
    )
    assert "More labels" in whole
    assert "40 images of each side, in 8 components that both share. The proxy A-distance is at its end" in whole
    assert whole.count("<svg") == 2
    assert whole.count('<span class="badge quiet">control</span>') == 1


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        (("little", "similar"), "linear head on the last layer"),
        (("little", "different"), "linear head on an earlier layer"),
        (("lots", "similar"), "fine-tune the last layers, then more"),
        (("lots", "different"), "train all layers, or from scratch"),
    ],
)
def test_the_cell_of_the_matrix_is_marked(cell: tuple[str, str], words: str) -> None:
    assert page(cell=cell).count('<span class="badge">here</span>') == 1
    assert f"<strong>{words}</strong> <span" in page(cell=cell)


def test_a_warning_stands_out() -> None:
    assert 'aria-label="Warning"' not in page()
    assert 'aria-label="Warning"' in page(warns=True)
