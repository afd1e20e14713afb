"""results and compare: what is ranked with what, what differs, and when a difference is called one."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.synthetic_runs import KEY, keep, predictions_of, run_of

from headstart.extractors.spec.preprocessing import Preprocessing
from headstart.flows.cli.app import main
from headstart.flows.errors import JobError
from headstart.flows.history.comparison import FactsApart, compare_runs, list_differences
from headstart.flows.history.ranking import ChosenBy, rank_runs
from headstart.flows.history.runs import FOLDER
from headstart.flows.history.search import KeptRun
from headstart.heads.report.rows import ScoreRow

Headstart = Callable[..., tuple[int, str, str]]


@pytest.fixture
def headstart(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, elsewhere: Path
) -> Callable[..., tuple[int, str, str]]:
    """Run a command in an empty folder on a terminal of 80 columns; returns exit status and both outputs."""
    monkeypatch.setenv("COLUMNS", "80")

    def run(*words: object) -> tuple[int, str, str]:
        capsys.readouterr()
        status: Any = 0
        try:
            main([str(word) for word in words])
        except SystemExit as end:
            status = end.code or 0
        out, err = capsys.readouterr()
        assert "--json" in words or max(map(len, out.splitlines()), default=0) <= 80, out
        return int(status), out, err

    return run


@pytest.fixture
def history(headstart: Headstart) -> Path:
    """Three runs of one cache in the current folder: 90 % and 94 % on the same images, 99 % on others."""
    folder = Path("birds.headstart") / FOLDER
    keep(folder, run_of(1, accuracy=0.9), predictions_of(20))
    keep(folder, run_of(2, head="knn", accuracy=0.94, settings={"seed": 7}), predictions_of(12))
    keep(folder, run_of(3, head="lda", accuracy=0.99, test="eeee"), predictions_of(2, start=5000))
    return folder


def compared(tmp_path: Path, first: Any, second: Any, *, metric: str | None = None, **changes: Any) -> Any:
    """Compare two runs with these predictions; `changes` are of the second run."""
    runs = keep(tmp_path, run_of(1), first), keep(tmp_path, replace(run_of(2), **changes), second)
    return compare_runs(KeptRun(runs[0], tmp_path), KeptRun(runs[1], tmp_path), metric=metric)


def test_runs_on_the_same_images_are_ranked_by_test_score_and_others_stand_apart(history: Path) -> None:
    ranking = rank_runs([Path()])
    assert [[row.head for row in table.runs] for table in ranking.tables] == [["lda"], ["knn", "logreg"]]
    best = ranking.tables[1].runs[0]
    assert best.test == ScoreRow(0.94, 0.94 - 0.02, 0.94 + 0.02)
    assert best.selection.value == pytest.approx(0.93)
    assert best.chosen_by == ChosenBy("accuracy", "5-fold CV")
    assert "runs on other test images, or with other labels, stand in tables of their own" in ranking.notes


def test_by_a_loss_the_lowest_comes_first_and_runs_without_it_last(tmp_path: Path) -> None:
    for number, accuracy in enumerate([0.9, 0.95, 0.8]):
        keep(tmp_path / FOLDER, run_of(number, accuracy=accuracy))
    without = run_of(9, head="linear-svm")
    keep(tmp_path / FOLDER, replace(without, test=replace(without.test, scores={})))
    runs = rank_runs([tmp_path], metric="log_loss").tables[0].runs
    assert [row.test and round(row.test.value, 2) for row in runs] == [0.05, 0.1, 0.2, None]
    with pytest.raises(JobError, match="no run has the metric 'macro_f1'; there are accuracy, log_loss"):
        rank_runs([tmp_path], metric="macro_f1")


def test_results_shows_what_won_how_well_and_when(headstart: Headstart, history: Path) -> None:
    status, out, err = headstart("results")
    assert status == 0
    assert "birds · label: accuracy on test, 200 images" in out
    line = next(line for line in out.splitlines() if "knn" in line)
    assert line.split() == ["20260102-030402-0002", "resnet18", "·", "knn", "94.0", "%", "[92.0,", "96.0]", "93.0", "%"]
    assert "flattered by it" in " ".join(err.split())
    assert headstart("results", "birds.headstart")[1] == out


def test_names_as_long_as_they_come_still_fit(headstart: Headstart) -> None:
    long = run_of(1, head="linear-torch")
    winner = replace(long.winner, label="vit_base_patch14_dinov2 (LVD142M)", tap="blocks.11.attn")
    run = keep(
        Path("c") / FOLDER,
        replace(long, winner=winner, settings=replace(long.settings, labels="/a/very/long/path" * 6)),
    )
    assert headstart("results")[0] == 0
    other = keep(Path("c") / FOLDER, run_of(2))
    assert headstart("compare", run.id, other.id)[0] == 0


def test_compare_says_what_differs_and_calls_a_small_lead_tied(headstart: Headstart, history: Path) -> None:
    status, out, _ = headstart("compare", "0001", "0002")
    assert status == 0
    rows = [line.split() for line in out.splitlines()]
    assert ["settings.seed", "0", "7"] in rows
    assert ["winner.head", "logreg", "knn"] in rows
    assert not any("settings.head" in line for line in out.splitlines())
    verdict = "significant: the second is better in accuracy by 4.0 points"
    assert verdict in " ".join(out.split())


def test_the_verdict_turns_with_the_runs_but_names_the_same_winner(headstart: Headstart, history: Path) -> None:
    there, back = (" ".join(headstart("compare", *pair)[1].split()) for pair in (("0001", "0002"), ("0002", "0001")))
    end = there.partition("the second is better")[2]
    assert end
    assert back.endswith(f"the first is better{end}")


@pytest.mark.parametrize(("metric", "ahead"), [("accuracy", "second"), ("log_loss", "first")])
def test_a_lead_is_told_with_who_has_it_and_an_interval_around_it(
    headstart: Headstart, metric: str, ahead: str
) -> None:
    keep(Path("c") / FOLDER, run_of(1), predictions_of(20))
    keep(Path("c") / FOLDER, run_of(2), predictions_of(19, sure=0.79))
    text = " ".join(headstart("compare", "0001", "0002", "--metric", metric)[1].split())
    lead, low, high = (
        float(part.strip("[],")) for part in text.split(" by ")[1].replace("points", "").replace("nats", "").split()[:3]
    )
    assert low <= lead <= high
    assert lead >= 0
    assert f"tied: the {ahead} is ahead in" in text


def test_runs_on_other_images_cannot_be_told_apart(headstart: Headstart, history: Path) -> None:
    status, out, _ = headstart("compare", "0001", "0003")
    assert status == 0
    assert "cannot be told: they have no test image in common" in " ".join(out.split())


def test_compare_finds_runs_of_another_place(headstart: Headstart, history: Path) -> None:
    history.parent.rename("elsewhere")
    assert headstart("compare", "0001", "0002", "--cache", "elsewhere")[0] == 0


@pytest.mark.parametrize("command", [["results"], ["compare", "0001", "0002"]], ids=lambda words: words[0])
def test_json_is_one_object(headstart: Headstart, history: Path, command: list[str]) -> None:
    status, out, _ = headstart(*command, "--json")
    assert status == 0
    fields = {"tables", "notes"} if command == ["results"] else {"differences", "difference", "significant", "reason"}
    assert set(json.loads(out)) >= fields


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["results", "nowhere"], "nowhere: no such folder; name a cache or a folder of results"),
        (["results"], ".: no runs here; 'headstart fit CACHE' adds one to its cache"),
        (["compare", "a", "b"], ".: no runs here"),
    ],
)
def test_what_is_not_there_is_one_clear_line(headstart: Headstart, words: list[str], message: str) -> None:
    status, out, err = headstart(*words)
    assert (status, out) == (1, "")
    assert message in " ".join(err.split())


def test_the_paired_test_matches_images_and_not_rows(tmp_path: Path) -> None:
    shuffled = predictions_of(8).sample(frac=1, random_state=0)
    found = compared(tmp_path, predictions_of(20), shuffled)
    assert (found.n_shared, found.notes) == (200, [])
    assert found.difference.value == pytest.approx(-12 / 200)
    assert found.difference.test == "exact McNemar"
    assert found.difference.p_value == pytest.approx(2 * 0.5**12)
    assert found.significant


def test_only_shared_images_count_and_that_is_said(tmp_path: Path) -> None:
    found = compared(tmp_path, predictions_of(20), predictions_of(0, start=50, n_images=170))
    assert (found.n_shared, found.difference.n_images, found.difference.value) == (150, 150, 0.0)
    assert "compared on the 150 images that both scored, of 200 and 170 test images" in found.notes


def test_copies_of_an_image_count_once(tmp_path: Path) -> None:
    doubled = predictions_of(20).iloc[np.repeat(np.arange(200), 2)]
    assert compared(tmp_path, doubled, doubled).n_shared == 200


def test_groups_of_either_run_are_drawn_together(tmp_path: Path) -> None:
    grouped = predictions_of(20).assign(group=np.arange(200) // 10)
    found = compared(tmp_path, predictions_of(0), grouped)
    assert found.difference.test == "sign flips of groups"
    assert not found.significant  # twenty mistakes, but of two groups


def test_images_that_were_relabelled_in_between_are_left_out(tmp_path: Path) -> None:
    relabelled = predictions_of(20)
    relabelled["true"] = relabelled["true"].astype(str).where(np.arange(200) >= 5, "emu").astype("category")
    found = compared(tmp_path, predictions_of(20), relabelled)
    assert found.n_shared == 195
    assert "5 of 200 images have another label in each run and are left out" in found.notes


def test_runs_that_learn_different_things_cannot_be_told_apart(tmp_path: Path) -> None:
    found = compared(tmp_path, predictions_of(2), predictions_of(9), data=replace(run_of().data, target="size"))
    assert (found.difference, found.significant) == (None, None)
    assert found.reason == "they learn different things: label and size"


def test_a_log_loss_needs_probabilities_of_both(tmp_path: Path) -> None:
    without = predictions_of(9).assign(probability_of_true=np.float32(np.nan))
    found = compared(tmp_path, predictions_of(2), without, metric="log_loss")
    assert found.reason == "logreg gives no probabilities, which log_loss needs: name another --metric"
    with pytest.raises(JobError, match="no metric is called 'auc'; expected one of accuracy"):
        compared(tmp_path, predictions_of(2), without, metric="auc")


def test_nested_settings_differ_by_name_and_what_one_lacks_is_none() -> None:
    first = run_of()
    second = run_of(embedding=replace(KEY, preprocessing=Preprocessing(resize=256), decode="draft"))
    assert list_differences(first, second) == [
        FactsApart("embedding.preprocessing.resize", 232, 256),
        FactsApart("embedding.decode", None, "draft"),
    ]
    assert list_differences(first, first) == []
