"""The page of an adaptation: both domains on one map, each method beside its control, and nothing that runs."""

from dataclasses import replace

import numpy as np
import pytest

from headstart.heads.report import ScoreRow
from headstart.heads.report.transfer import AdaptMap, AdaptPage, AdaptRow, render_adaptation
from headstart.heads.scoring import Difference

HOSTILE = "<script>window.pwned = 1</script>\"'><img src=x onerror=alert(1)>"

SOURCE = AdaptRow(
    name="source",
    title="source only",
    control=None,
    params={"C": 1.0},
    validation=0.97,
    apart=0.961,
    effective_size=None,
    scores={"accuracy": ScoreRow(0.33, 0.31, 0.35)},
    difference=None,
    p_adjusted=None,
    verdict=None,
)
APART = Difference(metric="accuracy", value=-0.041, low=-0.061, high=-0.021, p_value=1e-5, n_images=90, test="x")
WEIGHTS = replace(
    SOURCE, name="weights", control="source", effective_size=61.7, difference=APART, p_adjusted=2e-5, verdict="worse"
)


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> AdaptPage:
    monkeypatch.setattr("headstart.heads.report.transfer.adapt_page.project", lambda X: np.asarray(X)[:, :2])
    draw = np.random.default_rng(0)
    maps = [
        AdaptMap(name=name, title=name, source=draw.normal(size=(6, 3)), target=draw.normal(size=(4, 3)))
        for name in ("before", "after")
    ]
    return AdaptPage(
        title="From day to night",
        source="day",
        target="night",
        n_source=1797,
        n_target=90,
        n_labelled=90,
        validation="source",
        apart=0.961,
        effective_size=61.7,
        rows=[SOURCE, WEIGHTS],
        saved="weights",
        conclusion="worse: weights.",
        maps=maps,
        notes=["a note"],
    )


def test_it_says_what_each_method_brought_and_what_chose(page: AdaptPage) -> None:
    text = render_adaptation(page)
    assert "-4.1" in text
    assert "-6.1 to -2.1" in text
    assert '<span class="badge quiet">worse</span>' in text
    assert "no label of the target chose anything" in text
    assert "weights leave 62" in text
    assert text.count("Map of 10 images of 2 classes") == 2
    assert render_adaptation(page) == text


def test_without_labels_there_is_no_score_and_none_is_claimed(page: AdaptPage) -> None:
    bare = replace(SOURCE, scores={})
    text = render_adaptation(replace(page, n_labelled=0, rows=[bare], saved="source", validation="weighted"))
    assert "difference" not in text.partition("<main>")[2]
    assert "weighed as if it were of the target" in text


def test_names_are_shown_as_text_and_nothing_runs_or_is_loaded(page: AdaptPage) -> None:
    text = render_adaptation(replace(page, source=HOSTILE, target=HOSTILE, title=HOSTILE, notes=[HOSTILE]))
    assert "<script" not in text
    assert "<img" not in text
    assert "src=" not in text.replace("src=x onerror", "")
    assert "default-src 'none'" in text
