"""Hyper-parameters are chosen by the source; every method is a row of one table and stands behind its control."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
from support.source_modules import ROOT

from headstart.heads.errors import DataError
from headstart.heads.transfer.adaptation import METHODS, Domains, Method, adapt_by, methods_asked
from headstart.heads.transfer.adaptation.adapted import Adapted, Candidate
from headstart.heads.transfer.adaptation.alignment import Aligned
from headstart.heads.transfer.adaptation.linear import STRENGTHS, linear_candidates
from headstart.heads.transfer.adaptation.methods import _RATES


@pytest.fixture(scope="module")
def moved() -> tuple[Domains, np.ndarray]:
    """Three classes, and a target that was stretched and moved."""
    draw = np.random.default_rng(0)
    y = np.arange(120) % 3
    X = draw.normal(size=(120, 4)) + 4 * np.eye(4)[y]
    target = (X[60:] * [3.0, 0.5, 2.0, 1.0] + [8.0, -3.0, 0.0, 5.0]).astype(np.float32)
    groups = np.arange(120)
    return Domains(source=X[:60].astype(np.float32), y=y[:60], target=target, groups=groups, n_classes=3), y[60:]


FOLDS = [(np.arange(0, 30), np.arange(30, 60)), (np.arange(30, 60), np.arange(0, 30))]


def test_of_candidates_the_one_that_is_right_most_often_is_built() -> None:
    rights = [[1, 0, 0, 1], [1, 1, 0, 1], [0, 0, 1, np.nan]]
    built: list[int] = []

    def build(number: int) -> Adapted:
        built.append(number)
        return Adapted(model=number, source=np.zeros((4, 1)), target=np.zeros((4, 1)))

    def candidates(*_: Any) -> Iterator[Candidate]:
        for number, right in enumerate(rights):
            yield Candidate(params={"at": number}, right=np.array(right, float), build=partial(build, number))

    method = Method(name="x", title="x", control=None, head="logreg", candidates=candidates)
    X = np.zeros((20, 1), np.float32)
    domains = Domains(source=X[:10], y=np.zeros(10, int), target=X[10:], groups=np.arange(20), n_classes=2)
    chosen = adapt_by(method, domains, FOLDS, counted=np.ones(4))
    assert (chosen.params, chosen.validation, chosen.n_tried) == ({"at": 1}, 0.75, 3)
    weighed = adapt_by(method, domains, FOLDS, counted=np.array([0.0, 0.0, 3.0, 1.0]))
    assert (weighed.params, weighed.validation) == ({"at": 2}, 1.0), "what was not asked does not count"
    assert built == [1, 2]


def test_heads_are_judged_on_images_that_they_were_not_fitted_on(
    moved: tuple[Domains, np.ndarray],
) -> None:
    domains, _ = moved
    swapped = replace(domains, y=np.r_[domains.y[:30], (domains.y[30:] + 1) % 3])

    def align(domains: Domains) -> Aligned:
        return Aligned(source=domains.source.astype(float), centre=np.zeros(4))

    own, other = (
        np.mean([one.right for one in linear_candidates(align, [{}], given, FOLDS, 0)]) for given in (domains, swapped)
    )
    assert own > 0.9
    assert other < 0.1


def test_weighed_and_drawn_images_are_judged_as_the_others(moved: tuple[Domains, np.ndarray]) -> None:
    domains, _ = moved
    rows = np.r_[np.arange(0, 20), np.arange(35, 60)]
    for weights in (None, np.full(len(rows), 2.0)):

        def align(domains: Domains, weights: Any = weights) -> Aligned:
            return Aligned(source=domains.source[rows].astype(float), rows=rows, weights=weights, centre=np.zeros(4))

        found = list(linear_candidates(align, [{}], domains, FOLDS, 0))
        assert [one.params["C"] for one in found] == list(STRENGTHS)
        assert np.flatnonzero(~np.isnan(found[0].right)).tolist() == rows.tolist()
        assert np.nanmean(found[-1].right) > 0.9


@pytest.mark.parametrize("name", [name for name in METHODS if name != "transport"])
def test_every_method_gives_a_head_for_the_target(
    name: str, moved: tuple[Domains, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    for rate in _RATES:
        monkeypatch.setitem(rate, "steps", 20)
    domains, truth = moved
    chosen = adapt_by(METHODS[name], domains, FOLDS)
    answers = chosen.adapted.model.predict(domains.target)
    assert set(answers.tolist()) <= {0, 1, 2}
    assert len(chosen.adapted.source) == 60
    assert len(chosen.adapted.target) == 60
    if name in ("standardise", "coral"):
        assert (answers == truth).mean() > 0.9


def test_the_shift_is_undone_where_the_source_alone_fails(moved: tuple[Domains, np.ndarray]) -> None:
    domains, truth = moved
    right = {
        name: (adapt_by(METHODS[name], domains, FOLDS).adapted.model.predict(domains.target) == truth).mean()
        for name in ("source", "standardise", "coral", "subspace")
    }
    assert right["source"] < 0.6
    assert min(right["standardise"], right["coral"]) > 0.9


def test_controls_come_along_and_stand_first() -> None:
    assert [one.name for one in methods_asked(["dann"])[0]] == ["source", "source-mlp", "dann"]
    assert [one.name for one in methods_asked(["coral"])[0]] == ["source", "coral"]
    names = list(METHODS)
    assert [one for one in METHODS.values() if one.control and names.index(one.control) > names.index(one.name)] == []


def test_the_page_on_transfer_tells_of_every_method() -> None:
    page = (ROOT / "docs" / "transfer.md").read_text()
    assert [name for name in METHODS if f"\n| `{name}` | " not in page] == []


def test_a_method_that_is_none_is_told() -> None:
    with pytest.raises(DataError, match="no method is called 'corral'; expected source, standardise, coral"):
        methods_asked(["corral"])


def test_without_pot_transport_is_left_out_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headstart.heads.transfer.adaptation.methods.has_transport", lambda: False)
    methods, notes = methods_asked(None)
    assert "transport" not in [one.name for one in methods]
    assert "headstart[transport]" in notes[0]
    with pytest.raises(DataError, match=r"transport needs POT; run 'pip install headstart\[transport\]'"):
        methods_asked(["transport"])
