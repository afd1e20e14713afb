"""What a fit says beside the score."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from support.array_cache import cache_of

from headstart.flows.cli.scores import show_files
from headstart.flows.fitting import conclusion
from headstart.flows.fitting.job import fit
from headstart.flows.reporting import explanation
from headstart.heads.errors import DataError

NAMES = np.array(["ant", "bee", "cat"])


def blobs(n_images: int, *, spread: float = 1.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    y = np.arange(n_images) % 3
    return 3 * np.eye(3, 8)[y] + spread * generator.normal(size=(n_images, 8)), y


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("sides", [None, ["train", "train", "train", "val", "test"]], ids=["folds", "val split"])
def test_planted_label_errors_are_listed_with_their_true_classes(tmp_path: Path, sides: list[str] | None) -> None:
    features, y = blobs(300, spread=0.7)
    wrong = np.arange(0, 300, 25)
    given = y.copy()
    given[wrong] = (y[wrong] + 1) % 3
    placed = None if sides is None else [sides[number % 5] for number in range(300)]
    summary = fit(cache_of(tmp_path, features, NAMES[given], placed), "logreg")
    assert summary.suspects is not None
    table = pd.read_csv(summary.suspects)
    found = table["path"].str.extract(r"(\d+)\.png")[0].astype(int)
    assert set(found) <= set(wrong)
    assert len(found) >= 0.5 * len(wrong)  # without a split, a fifth was held back and is not looked at
    assert table["suggested"].tolist() == NAMES[y[found]].tolist()
    assert table["given"].tolist() == NAMES[given[found]].tolist()


def test_where_no_label_looks_wrong_there_is_no_list_nor_an_old_one(tmp_path: Path) -> None:
    features, y = blobs(90, spread=0.1)
    (tmp_path / "r").mkdir()
    for name in ("leaderboard.csv", "suspects.csv"):
        (tmp_path / "r" / name).write_text("old")
    summary = fit(cache_of(tmp_path, features, NAMES[y]), "logreg", out=tmp_path / "r")
    assert summary.suspects is None
    assert not (tmp_path / "r" / "suspects.csv").exists()


def test_near_copies_across_the_split_are_noted_by_name(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    features, y = generator.normal(size=(60, 64)), np.arange(60) % 3
    sides = ["train"] * 40 + ["test"] * 20
    features[41] = features[5] * 1.001
    features[39] = features[6]  # on one side: no leak
    summary = fit(cache_of(tmp_path, features, NAMES[y], sides), "centroid", folds=3)
    (note,) = [note for note in summary.notes if "look alike" in note]
    assert note.startswith("1 pairs")
    assert "train/cat/00005.png and test/cat/00041.png" in note


def test_where_unlike_images_are_as_near_nobody_is_alarmed(tmp_path: Path) -> None:
    features, y = 10 + np.random.default_rng(0).normal(size=(60, 8)), np.arange(60) % 3
    summary = fit(cache_of(tmp_path, features, NAMES[y], ["train"] * 40 + ["test"] * 20), "centroid", folds=3)
    assert not any("look alike" in note for note in summary.notes)


def test_calibration_mends_probabilities_and_leaves_the_classes(tmp_path: Path) -> None:
    features, y = blobs(600, spread=2.0)
    cache = cache_of(tmp_path, 10 * features, NAMES[y])
    scores = [
        fit(cache, "mlp", calibrate=calibrate, out=tmp_path / str(calibrate), no_report=True).test.scores
        for calibrate in (False, True)
    ]
    assert scores[0]["accuracy"] == scores[1]["accuracy"]
    assert scores[1]["log_loss"].value < scores[0]["log_loss"].value


def test_what_gives_no_probabilities_cannot_be_calibrated(tmp_path: Path) -> None:
    features, y = blobs(90)
    with pytest.raises(DataError, match="linear-svm gives no probabilities to calibrate; leave out --calibrate"):
        fit(cache_of(tmp_path, features, NAMES[y]), "linear-svm", calibrate=True)


def test_the_report_shows_what_was_found(tmp_path: Path) -> None:
    features, y = blobs(150)
    summary = fit(cache_of(tmp_path, features, NAMES[y]), "logreg", few_shot=True)
    page = Path(summary.report).read_text()
    for words in ("images per class", "calibration error", "unlike"):
        assert words in page.lower()
    few = page[page.index('id="few-shot"') : page.index('id="provenance"')]
    assert all(f'class="number">{head}</th>' in few for head in ("logreg", "centroid", "cosine"))


def test_without_a_report_nothing_is_looked_at_and_none_of_before_is_left_to_be_taken_for_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    features, y = blobs(90)
    cache = cache_of(tmp_path, features, NAMES[y])
    first = fit(cache, "centroid", out=tmp_path / "r")
    assert (tmp_path / "r" / "report.html").samefile(first.report)
    bare = fit(cache, "centroid", out=tmp_path / "r", no_report=True, few_shot=True)
    assert (bare.report, bare.suspects) == ("", None)
    assert bare.test == first.test
    assert Path(bare.predictions).exists()
    assert not (tmp_path / "r" / "report.html").exists()
    assert Path(first.report).exists()
    show_files(bare)
    assert "report" not in capsys.readouterr().out


def test_whatever_takes_its_time_after_the_sweep_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named: list[str] = []

    @contextmanager
    def noting(first: str = "", *, show: bool) -> Iterator[Callable[[str], None]]:
        assert show
        named.extend([first] if first else [])
        yield named.append

    monkeypatch.setattr(conclusion, "phases", noting)
    monkeypatch.setattr(explanation, "phases", noting)
    features, y = blobs(90)
    fit(cache_of(tmp_path, features, NAMES[y]), "ridge", out=tmp_path / "r", few_shot=True, progress=True)
    assert named == [
        "fitting the winner on all of train",
        "comparing the candidates with the winner",
        "scoring the best of every other embedding",
        "reading the pictures of the map",
        "placing the images of the map",
        "predicting the winner's own images, fold by fold",
        "looking for near copies and images unlike all others",
        *(f"fitting {head} on few images of each class" for head in ("ridge", "centroid", "cosine")),
        "looking for labels that are wrong",
        "drawing the report",
    ]
