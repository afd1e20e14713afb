"""The leaderboard says which candidates the images cannot tell from the winner."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from support.synthetic_runs import row

from headstart.flows.fitting.job import fit
from headstart.flows.fitting.leaderboard import tell_ties


def test_equals_are_tied_and_the_floor_is_not(cache: Path, elsewhere: Path) -> None:
    summary = fit(cache, ["centroid", "ridge", "dummy"], folds=3, no_report=True)
    assert (summary.winner.tied, summary.winner.p_value) == (None, None)
    by_head = {one.head: one for one in summary.leaderboard[1:]}
    assert by_head["dummy"].tied is False
    assert by_head["dummy"].p_value < 0.05
    tied = [one for one in summary.leaderboard if one.tied]
    assert all(one.p_value >= 0.05 for one in tied)
    (note,) = [note for note in summary.notes if "tied" in note]
    assert note.startswith(f"{len(tied)} of {len(summary.leaderboard) - 1} other candidates are tied with the winner")
    assert "dummy" not in note


def test_every_candidate_is_kept_in_a_table(cache: Path, elsewhere: Path) -> None:
    summary = fit(cache, ["knn", "dummy"], folds=3, no_report=True)
    table = pd.read_parquet(Path(summary.model).parent / "results.parquet")
    assert table["head"].tolist() == [one.head for one in summary.leaderboard]
    assert table["tied"].tolist() == [one.tied for one in summary.leaderboard]
    _, *others = (one.p_value for one in summary.leaderboard)
    assert table["p_value"].tolist() == pytest.approx([np.nan, *others], nan_ok=True)
    assert others[-1] < 0.05
    # Arrow passes over what the table has no column for: nothing that the leaderboard says may go that way.
    assert set(vars(summary.winner)) - {"scores"} <= set(table.columns)


def test_a_quick_sweep_is_what_is_done_unasked(cache: Path, elsewhere: Path) -> None:
    summary = fit(cache, folds=3, no_report=True)
    assert {one.head for one in summary.leaderboard} == {"logreg", "ridge", "knn", "centroid", "dummy"}


def test_a_head_beside_a_sweep_brings_its_own_grid(cache: Path, elsewhere: Path) -> None:
    summary = fit(cache, "lda", sweep="quick", folds=3, no_report=True)
    tried = [one.params for one in summary.leaderboard if one.head == "lda"]
    assert sorted(params["shrinkage"] for params in tried) == [0.1, 0.5, 0.9, 0.99]


def test_no_tie_is_no_note() -> None:
    assert tell_ties([row("ridge")]) == []


def test_only_a_few_ties_are_named() -> None:
    rows = [row(f"head{number}", params={"k": 1}, tied=True) for number in range(5)]
    (note,) = tell_ties([row("best", params={}), *rows])
    assert note.endswith("head0 (k = 1), head1 (k = 1), head2 (k = 1) and 2 more")
    assert note.startswith("5 of 5 other candidates")
