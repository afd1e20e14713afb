"""Nested folds as a person meets them: the bar, an interruption, the table, the page, the experiment file."""

import html
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.array_cache import cache_of

from headstart.flows.cli.app import main
from headstart.flows.errors import JobError
from headstart.flows.experiment.reading import read_experiment
from headstart.flows.fitting import sweep as problem_sweep
from headstart.flows.fitting.job import fit
from headstart.flows.fitting.unfinished import UNFINISHED, KeptResults, say_kept
from headstart.flows.orchestration import fit_tasks
from headstart.heads.report.nested_text import MEANING
from headstart.heads.sweep.run import Running
from headstart.heads.sweep.trial import Result


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    features = np.random.default_rng(0).normal(size=(60, 8)) + np.arange(60)[:, None] % 2
    return cache_of(tmp_path_factory.mktemp("cache"), features, ["cat", "dog"] * 30)


@pytest.fixture
def swept(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many candidates were left to fit in each sweep."""
    left: list[int] = []
    sweep = problem_sweep.run_sweep

    def counted(candidates: Any, *arguments: Any, running: Running, **options: Any) -> Any:
        left.append(len(candidates) - len(running.finished))
        return sweep(candidates, *arguments, running=running, **options)

    monkeypatch.setattr(problem_sweep, "run_sweep", counted)
    return left


@pytest.fixture
def interrupt(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Return what makes Ctrl-C come once so many results are kept."""

    def after(n_results: int) -> None:
        count, keep = 0, KeptResults.keep

        def kept(self: KeptResults, result: Result) -> None:
            nonlocal count
            keep(self, result)
            count += 1
            if count == n_results:
                monkeypatch.setattr(KeptResults, "keep", keep)
                raise KeyboardInterrupt

        monkeypatch.setattr(KeptResults, "keep", kept)

    return after


def plain_of(summary: Any) -> Any:
    rows = [replace(row, fit_seconds=0.0) for row in summary.leaderboard]
    return rows, summary.test


def test_an_interruption_between_outer_folds_keeps_what_is_done_and_the_same_command_goes_on(
    cache: Path,
    tmp_path: Path,
    swept: list[int],
    interrupt: Callable[[int], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["fit", str(cache), "--head", "ridge", "--nested", "3", "--folds", "2", "--out", str(tmp_path / "r")]
    options: dict[str, Any] = {"nested": 3, "folds": 2}
    whole = fit(cache, "ridge", out=tmp_path / "whole", **options)
    n_candidates = swept[0]
    assert swept == [n_candidates] * 4  # three outer folds, and all images
    swept.clear()
    interrupt(n_candidates + 2)
    with pytest.raises(SystemExit) as end:
        main(words)
    assert end.value.code == 130
    printed = " ".join(capsys.readouterr().err.split())
    assert f"note: 2 of {n_candidates} candidates and those of 1 whole outer fold are fitted and kept;" in printed
    swept.clear()
    again = fit(cache, "ridge", out=tmp_path / "r", **options)
    assert swept == [0, n_candidates - 2, n_candidates, n_candidates]
    assert plain_of(again) == plain_of(whole)
    assert not (tmp_path / "r" / UNFINISHED).exists()


@pytest.mark.parametrize(
    ("n_kept", "n_sweeps", "printed"),
    [
        (0, 0, "no candidate was fitted yet"),
        (0, 2, "those of 2 whole outer folds are fitted and kept; the same command goes on from there"),
        (3, 0, "3 of 9 candidates are fitted and kept; the same command goes on from there"),
    ],
)
def test_an_interruption_says_what_it_leaves_of_all_sweeps(
    capsys: pytest.CaptureFixture[str], n_kept: int, n_sweeps: int, printed: str
) -> None:
    say_kept(n_kept, 9, n_sweeps=n_sweeps)
    assert " ".join(capsys.readouterr().err.split()) == f"note: {printed}"


@pytest.fixture(scope="module")
def shown(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str, str]:
    """What a screen of 80 columns shows on standard output and standard error, and the page."""
    from contextlib import redirect_stderr, redirect_stdout
    from io import StringIO

    folder = tmp_path_factory.mktemp("shown") / "r"
    out, err = StringIO(), StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setenv("COLUMNS", "80")
        main_words = ["fit", str(cache), "--head", "ridge", "dummy", "--nested", "3", "--out", str(folder)]
        with pytest.raises(SystemExit):
            main(main_words)
    page = re.sub(
        r"<style>.*?</style>|<script.*?</script>|<[^>]+>", " ", (folder / "report.html").read_text(), flags=re.DOTALL
    )
    return out.getvalue(), err.getvalue(), " ".join(html.unescape(page).split())


def test_the_bar_says_which_outer_fold_it_is_at(shown: tuple[str, str, str]) -> None:
    stages = [line.split("━")[0].strip() for line in shown[1].splitlines() if "candidates" in line and "━" in line]
    assert list(dict.fromkeys(stages)) == [*(f"outer fold {number} of 3" for number in (1, 2, 3)), "all images"]


def test_the_screen_shows_every_fold_s_winner_and_says_what_the_number_is_of(shown: tuple[str, str, str]) -> None:
    text = " ".join(shown[0].split())
    assert max(map(len, shown[0].splitlines()[:-2])) <= 80  # paths at the end are not broken
    assert "Every image scored once, on 3 nested folds (60 images):" in text
    assert "the whole procedure" in text
    assert MEANING in text
    rows = [line.split() for line in shown[0].splitlines() if line.strip()[:2] in ("1 ", "2 ", "3 ")]
    assert [(row[0], row[1], row[-1]) for row in rows] == [(number, "resnet18", "20") for number in "123"]


def test_the_page_tells_the_procedure_from_the_model_that_is_saved(shown: tuple[str, str, str]) -> None:
    page = shown[2]
    assert re.search(r"on 3 nested folds, 60 images, each scored once; saved: resnet18 · penultimate · ridge", page)
    assert MEANING in page
    assert "What won without each outer fold" in page
    assert "Dots come from cross-validation over all images" in page
    assert "The diamond is the whole procedure on 3 nested folds" in page
    for untrue in ("neither fitted nor chose", "took no part in the choice", "inside train", "test images"):
        assert untrue not in page


def test_an_experiment_file_asks_for_nested_folds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "e.toml"
    text = 'images = "photos"\n[[extract]]\nbackbone = "resnet18"\n[fit]\nhead = ["ridge"]\nnested = '
    file.write_text(f"{text}4\n")
    experiment = read_experiment(file)
    asked: list[Any] = []
    monkeypatch.setattr(fit_tasks, "fit", lambda *_, options: asked.append(options))
    fit_tasks.fit_task.fn(experiment, experiment.fit[0], ["k"], False)
    assert [options.nested for options in asked] == [4]
    file.write_text(f"{text}1\n")
    with pytest.raises(JobError, match=r"fit\.nested: Input should be greater than or equal to 2"):
        read_experiment(file)
