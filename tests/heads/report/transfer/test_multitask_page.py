"""The page about label columns: each with its difference and verdict; names are written as text, nothing is loaded."""

from typing import Any

from headstart.heads.report.rows import ScoreRow
from headstart.heads.report.transfer import ColumnRow, MultitaskPage, change_text, render_multitask, verdict_text
from headstart.heads.scoring import Difference


def difference(value: float, metric: str) -> Difference:
    low, high = value - 0.02, value + 0.02
    return Difference(metric=metric, value=value, low=low, high=high, p_value=0.01, n_images=40, test="exact McNemar")


def row(column: str, **changes: Any) -> ColumnRow:
    metric = changes.get("metric", "accuracy")
    given: dict[str, Any] = {
        "column": column,
        "task": "classify",
        "classes": 3,
        "n_train": 60,
        "n_test": 40,
        "metric": metric,
        "shared": ScoreRow(0.93, 0.90, 0.95),
        "separate": ScoreRow(0.85, 0.82, 0.88),
        "linear": ScoreRow(0.80, 0.77, 0.83),
        "head": "logreg",
        "params": {"C": 0.1},
        "difference": difference(0.08, metric),
        "p_adjusted": 0.0004,
        "verdict": "helped",
        "against_linear": difference(0.13, metric),
        "p_linear": 0.001,
        "seeds": [(0.93, 0.85), (0.92, 0.93)],
    }
    return ColumnRow(**(given | changes))


SAME = row("<b>shape</b>", verdict="no difference", p_adjusted=0.3)
NUMBERS = row(
    "age",
    task="regress",
    classes=0,
    metric="mae",
    verdict="harmed",
    head="ridge",
    against_linear=difference(0.5, "mae"),
)


def page(**changes: Any) -> str:
    given: dict[str, Any] = {
        "title": "3 label columns",
        "intro": "100 images",
        "rows": [row("colour"), SAME, NUMBERS],
        "curves": {"colour": ([0.9, 0.4], [0.9, 0.6, 0.5])},
        "rule": "All labels weigh alike.",
        "notes": ["<i>a note</i>"],
    }
    return render_multitask(MultitaskPage(**(given | changes)))


def test_a_column_has_both_scores_the_difference_and_the_verdict() -> None:
    text = page()
    for part in ("93.0 %", "[90.0, 95.0]", "85.0 %", "80.0 %", "+8.0 [+6.0, +10.0]", "&lt; .001", "60 / 40", "1 of 2"):
        assert part in text, part
    assert "+0.080 [+0.060, +0.100]" in text  # an error, and no share
    assert "1 of 2" in text
    assert text.count(">ahead<") == 1


def test_the_verdict_is_one_sentence_with_the_control_that_won() -> None:
    assert verdict_text([row("colour"), SAME, NUMBERS]) == (
        "sharing helped colour; sharing harmed age; no difference beyond chance for <b>shape</b>; "
        "a linear head beats the shared trunk for age (ridge)"
    )
    assert verdict_text([SAME]) == "no difference beyond chance for any column"
    assert verdict_text([row("a"), row("b"), row("c")]) == "sharing helped a, b and c"
    assert change_text(difference(-0.01, "accuracy")) == "-1.0 [-3.0, +1.0]"


def test_names_are_text_and_nothing_is_loaded_or_run() -> None:
    text = page()
    assert "&lt;b&gt;shape&lt;/b&gt;" in text
    assert "&lt;i&gt;a note&lt;/i&gt;" in text
    assert "<b>shape" not in text
    assert "<script" not in text
    assert "http" not in text.replace("http://www.w3.org", "").replace("http-equiv", "")


def test_training_is_drawn_where_labels_chose_the_epoch_and_the_others_are_named() -> None:
    text = page()
    assert "Loss epoch by epoch; at the end, shared and separate: colour 0.40 and 0.50." in text
    assert "Too few labels to choose an epoch by: &lt;b&gt;shape&lt;/b&gt; and age." in text
    assert "Training" not in page(curves={})
