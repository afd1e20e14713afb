"""What a person sees of a running sweep, on a screen of 80 columns."""

from typing import Any

import pytest

from headstart.flows.fitting.sweep import sweep_bar
from headstart.flows.fitting.unfinished import say_kept
from headstart.heads.registry.candidates import Candidate
from headstart.heads.scoring.metrics import Score
from headstart.heads.sweep.trial import Result


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


def result(head: str, params: dict[str, Any], **scores: float | None) -> Result:
    candidate = Candidate(features=None, backbone="b", tap="t", key="k", head=head, params=params)
    given = {"accuracy": None, "log_loss": None} | scores
    if not scores:
        return Result(candidate=candidate, error="ValueError: no")
    return Result(
        candidate=candidate,
        scores={name: None if value is None else Score(value, value, value) for name, value in given.items()},
    )


def shown(capsys: pytest.CaptureFixture[str], metric: str, *results: Result, finished: int = 0) -> list[str]:
    with sweep_bar([GOOD.candidate] * 39 + [SURE.candidate], metric, results[:finished], show=True) as advance:
        for one in results[finished:]:
            advance(one)
    return capsys.readouterr().err.rstrip("\n").split("\n")


GOOD = result("logreg", {"C": 0.1}, accuracy=0.961, log_loss=0.3)
SURE = result("ridge", {"alpha": 10.0}, accuracy=0.9, log_loss=0.2)
FAILED = result("knn", {})


@pytest.mark.parametrize(
    ("metric", "results", "ending"),
    [
        ("accuracy", [GOOD, SURE, FAILED], "3/40 candidates 0:00:00 · best 96.1 % logreg C=0.1"),
        ("log_loss", [GOOD, SURE], "2/40 candidates 0:00:00 · best 0.200 ridge alpha=10"),
        ("accuracy", [FAILED], "1/40 candidates 0:00:00"),
        ("accuracy", [], "0/40 candidates 0:00:00 · logreg, ridge"),
    ],
)
def test_the_best_so_far_stands_beside_how_many_are_done(
    capsys: pytest.CaptureFixture[str], metric: str, results: list[Result], ending: str
) -> None:
    (line,) = shown(capsys, metric, *results)
    assert line.startswith("fitting ")
    assert line.rstrip().endswith(ending)


def test_a_long_name_is_cut_where_the_screen_ends(capsys: pytest.CaptureFixture[str]) -> None:
    params = {"hidden_sizes": (128, 64), "learning_rate": 0.001, "weight_decay": 0.01}
    (line,) = shown(capsys, "accuracy", result("my_package.heads:MyHead", params, accuracy=1.0))
    assert len(line) == 80
    assert "1/40 candidates 0:00:00 · best 100.0 % my_packag" in line
    assert line.endswith("…")


def test_what_an_earlier_sweep_found_counts(capsys: pytest.CaptureFixture[str]) -> None:
    note, line = shown(capsys, "accuracy", GOOD, SURE, FAILED, finished=2)
    assert note == "note: 2 of 40 candidates were fitted before the interruption"
    assert line.rstrip().endswith("3/40 candidates 0:00:00 · best 96.1 % logreg C=0.1")


def test_nothing_is_shown_to_programs(capsys: pytest.CaptureFixture[str]) -> None:
    with sweep_bar([GOOD.candidate] * 40, "accuracy", [GOOD], show=False) as advance:
        advance(SURE)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("n_kept", "printed"),
    [
        (3, "note: 3 of 40 candidates are fitted and kept; the same command goes on from there\n"),
        (0, "note: no candidate was fitted yet\n"),
    ],
)
def test_an_interruption_says_what_it_leaves(capsys: pytest.CaptureFixture[str], n_kept: int, printed: str) -> None:
    say_kept(n_kept, 40)
    assert " ".join(capsys.readouterr().err.split()) == printed.strip()
