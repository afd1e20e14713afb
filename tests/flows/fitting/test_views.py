"""`fit --views`: heads are fitted on all views of an image, which never straddle a split, and are scored on images."""

import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
import pytest
from conftest import CLASSES, draw
from sklearn.base import BaseEstimator, ClassifierMixin

from headstart.extractors.cache import EmbeddingCache
from headstart.extractors.listing import read_listing
from headstart.extractors.spec import View
from headstart.flows.cli.app import main
from headstart.flows.errors import JobError
from headstart.flows.experiment import Experiment
from headstart.flows.extraction import extract
from headstart.flows.fitting import fit, fit_targets
from headstart.flows.history.runs import read_runs
from headstart.flows.inference import load
from headstart.flows.orchestration import fit_tasks
from headstart.heads.errors import DataError
from headstart.heads.saving import load_model

Embed = Callable[..., Any]
K = 3


class Recorder(ClassifierMixin, BaseEstimator):
    """Nearest mean that keeps the rows that it was fitted on and asked about, fit by fit."""

    fits: ClassVar[list[tuple[list[bytes], list[list[bytes]]]]] = []

    def fit(self, X: Any, y: Any) -> Self:
        self.classes_ = np.unique(y)
        self.means_ = np.stack([X[y == code].mean(axis=0) for code in self.classes_])
        self.number_ = len(Recorder.fits)
        Recorder.fits.append(([row.tobytes() for row in X], []))
        return self

    def predict(self, X: Any) -> Any:
        Recorder.fits[self.number_][1].append([row.tobytes() for row in X])
        return self.classes_[((X[:, None] - self.means_) ** 2).sum(axis=2).argmin(axis=1)]


@pytest.fixture(scope="module")
def grouped(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A cache of images of three classes, two of a group, some of them copies of one of another group, and views."""
    tmp_path = tmp_path_factory.mktemp("views")
    lines = ["path,label,group"]
    for label, name in enumerate(CLASSES):
        for number in range(12):
            path = draw(tmp_path / "grouped" / f"{name}-{number:02d}.png", label, seed=100 * label + number)
            lines.append(f"grouped/{path.name},{name},{name}-{number // 2}")
        shutil.copy(tmp_path / "grouped" / f"{name}-00.png", tmp_path / "grouped" / f"{name}-copy.png")
        lines.append(f"grouped/{name}-copy.png,{name},{name}-5")
    manifest = tmp_path / "grouped.csv"
    manifest.write_text("\n".join(lines))
    return extract(manifest, "small_cnn", weights="none", cache=tmp_path / "cache", precision="fp32", views=K).cache


@pytest.fixture(autouse=True)
def _forget() -> None:
    Recorder.fits.clear()


def known_rows(cache: str | Path) -> dict[bytes, tuple[str, int]]:
    """Return digest and number of the view of each row."""
    opened = EmbeddingCache(cache)
    digests = read_listing(opened).usable["digest"].tolist()
    known = {}
    for store in opened.stores():
        number = 0 if store.key.view == "whole" else store.key.view.number
        for digest, row in zip(digests, np.asarray(store.view("penultimate", digests)), strict=True):
            known[row.tobytes()] = digest, number
    return known


@pytest.mark.parametrize(
    ("options", "scored"),
    [
        ({}, {0}),
        ({"average_views": True}, {0, 1, 2}),
        ({"nested": 3}, {0}),
        ({"repeats": 2}, {0}),
        ({"few_shot": True}, {0}),
        ({"few_shot": True, "average_views": True, "nested": 3, "repeats": 2}, {0, 1, 2}),
    ],
    ids=["folds", "averaged", "nested", "repeats", "few shots", "all of them"],
)
def test_all_views_of_an_image_and_of_its_group_are_on_its_side_of_every_split(
    grouped: str, elsewhere: Path, options: Any, scored: set[int]
) -> None:
    known, listing = known_rows(grouped), read_listing(EmbeddingCache(grouped)).usable
    together = {row.digest: {f"group {row.group}"} for row in listing.itertuples()}
    for row in listing.itertuples():
        together[row.digest].add(f"group {row.group}")
    fit(grouped, [Recorder()], folds=3, views=True, **options)
    assert len(Recorder.fits) > 3
    for fitted, asked in Recorder.fits:
        images = {known[row][0] for row in fitted}
        assert {known[row] for row in fitted} == {(digest, number) for digest in images for number in range(K)}
        groups = {group for digest in images for group in together[digest]}
        for rows in asked:
            assert {known[row][1] for row in rows} == scored
            for digest in {known[row][0] for row in rows}:
                assert not together[digest] & groups


def test_given_splits_hold_for_all_views(embed: Embed, photos: Path, tmp_path: Path, elsewhere: Path) -> None:
    folder = tmp_path / "split"
    for place, first in (("train", 0), ("val", 8), ("test", 10)):
        for name in CLASSES:
            for number in range(first, {"train": 8, "val": 10, "test": 12}[place]):
                (folder / place / name).mkdir(parents=True, exist_ok=True)
                shutil.copy(photos / name / f"{number:02d}.png", folder / place / name)
    cache = embed(images=folder, views=K).cache
    split_of = read_listing(EmbeddingCache(cache)).usable.set_index("digest")["split"]
    known = known_rows(cache)
    summary = fit(cache, [Recorder()], views=True)
    assert (summary.test.split, summary.test.n_images, summary.test.n_train) == ("test", 6, 24)
    for fitted, asked in Recorder.fits:
        assert {split_of[known[row][0]] for row in fitted} == {"train"}
        assert not {known[row][0] for row in fitted} & {known[row][0] for rows in asked for row in rows}


def test_without_views_in_the_cache_one_line_says_which_command_makes_them(
    embed: Embed, photos: Path, elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cache = embed().cache
    with pytest.raises(SystemExit) as ended:
        main(["fit", str(cache), "--head", "logreg", "--views"])
    assert ended.value.code == 1
    told = capsys.readouterr().err.strip().replace("\n", " ")
    command = told[told.index("run '") + 5 : -1]
    assert told.startswith(f"headstart: {cache}: holds no views of the images; run 'headstart extract {photos}")
    with pytest.raises(SystemExit) as done:
        main(shlex.split(command)[1:])
    assert done.value.code == 0
    found = fit(cache, "centroid", views=True, no_report=True)
    assert (found.views, len(EmbeddingCache(cache).stores())) == (4, 4)


def test_the_command_makes_views_of_the_very_key_that_there_is(embed: Embed, elsewhere: Path) -> None:
    odd: Any = {"image_size": 40, "colour": "srgb", "decode": "draft", "dtype": "float16", "range": (0, 300)}
    cache = embed(**odd, exact=True, limit=12, tap=["features.6:avg", "penultimate"]).cache
    with pytest.raises(JobError, match="holds no views") as caught:
        fit(cache, "centroid", views=True, folds=2)
    with pytest.raises(SystemExit):
        main(shlex.split(str(caught.value).partition("run '")[2][:-1])[1:])
    plain, *views = sorted(EmbeddingCache(cache).stores(), key=lambda one: one.key.view != "whole")
    assert (len(views), plain.n_rows(), {one.n_rows() for one in views}) == (3, 12, {12})


def test_views_that_lack_images_from_the_first_on_are_told_with_how_they_were_drawn(
    embed: Embed, photos: Path, elsewhere: Path
) -> None:
    seed = 2**32 - 1
    embed(views=2, view_seed=seed, view_flip=0)
    draw(photos / "cat" / "new.png", 0, seed=999)
    cache = embed().cache
    words = rf"view 1 of small_cnn-\w+ lacks 1 of 37 images.*--views 2 --view-seed {seed} --view-flip 0.0'$"
    with pytest.raises(JobError, match=words):
        fit(cache, "centroid", views=True)


def test_views_that_lack_new_images_are_left_out_with_the_command(embed: Embed, photos: Path, elsewhere: Path) -> None:
    embed(views=3, view_seed=2)
    draw(photos / "cat" / "new.png", 0, seed=999)
    cache = embed(views=2, view_seed=2).cache
    found = fit(cache, "centroid", views=True, no_report=True)
    assert found.views == 2
    (note,) = (note for note in found.notes if "lacks" in note)
    assert "view 2 of small_cnn-" in note
    assert "lacks 1 of 37 images" in note
    assert note.endswith(f"--cache {cache} --views 3 --view-seed 2'")


def test_the_larger_set_of_views_is_taken_and_two_alike_are_told(embed: Embed, elsewhere: Path) -> None:
    embed(views=2)
    cache = embed(views=3, view_seed=1).cache
    found = fit(cache, "centroid", views=True, no_report=True)
    assert found.views == 3
    assert any("fitted on 3 views of each training image (seed 1," in note for note in found.notes)
    embed(views=3)
    with pytest.raises(JobError, match=r"holds 2 views of small_cnn-\w+ in 2 ways .* delete the folders"):
        fit(cache, "centroid", views=True)
    assert fit(cache, "centroid", no_report=True).views == 1


def test_a_backbone_without_views_is_left_out_and_as_many_are_used_as_all_have(embed: Embed, elsewhere: Path) -> None:
    embed(views=4)
    cache = embed(backbone="pixels", weights="default").cache
    found = fit(cache, "centroid", views=True, no_report=True)
    assert ({row.label for row in found.leaderboard}, found.views) == ({"small_cnn"}, 4)
    assert "pixels has no views and is left out" in found.notes
    embed(backbone="pixels", weights="default", views=2)
    found = fit(cache, "centroid", views=True, no_report=True)
    assert ({row.label for row in found.leaderboard}, found.views) == ({"small_cnn", "pixels"}, 2)
    assert "of each embedding 2 views are used, as many as all have" in found.notes


@pytest.mark.parametrize("average", [False, True])
def test_summary_tables_report_history_and_card_say_that_views_were_used(
    embedded: Embed, elsewhere: Path, average: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    cache = embedded(views=K)
    found = fit(cache, ["ridge(alpha=1)"], views=True, average_views=average, few_shot=True)
    scored = "the mean over all of them" if average else "view 0, the plain image"
    note = f"fitted on 3 views of each training image (seed 0, crop 0.35, flip 0.5, jitter 0.2); scored by {scored}"
    assert note in found.notes
    assert (found.views, found.average_views, found.winner.views) == (3, average, 3)
    folder = Path(found.model).parent
    assert set(pd.read_parquet(folder / "results.parquet")["views"]) == {3}
    assert set(pd.read_csv(folder / "leaderboard.csv")["views"]) == {3}
    page = Path(found.report).read_text()
    assert note in page
    assert "28 images, 3 views of each" in page
    (run,), _ = read_runs(Path(cache) / "runs")
    assert (run.settings.views, run.settings.average_views, run.winner.views) == (True, average, 3)
    with pytest.raises(SystemExit):
        main(["results", str(cache)])
    assert "· 3 views" in " ".join(capsys.readouterr().out.split())
    card = load_model(Path(found.model))[1]
    assert card["views"]["average"] is average
    assert [View(**one) for one in card["views"]["drawn"]] == [View(number=1), View(number=2)]
    assert "views" not in load_model(Path(fit(cache, "centroid", out="plain", no_report=True).model))[1]


def test_an_interrupted_sweep_on_views_is_not_taken_for_one_without(embed: Embed, elsewhere: Path) -> None:
    from headstart.flows.fitting.unfinished import KeptResults
    from headstart.flows.problem import pose_problem
    from headstart.heads.splits import plan_splits

    embed(views=2)
    cache = EmbeddingCache(embed(views=3, view_seed=1).cache)
    plain, on_views = pose_problem(cache), pose_problem(cache, views=True)
    plan = plan_splits(plain.y)
    digests = [KeptResults(Path("r"), one, plan, 0)._common for one in (plain, on_views)]
    embed(views=4)
    digests.append(KeptResults(Path("r"), pose_problem(cache, views=True), plan, 0)._common)
    assert len(set(digests)) == 3


def test_columns_and_numbers_are_fitted_on_views_too(
    embed: Embed, photos: Path, tmp_path: Path, elsewhere: Path
) -> None:
    paths = sorted(path.relative_to(photos).as_posix() for path in photos.rglob("*.png"))
    table = pd.DataFrame({"path": paths})
    table["animal"] = [path.split("/")[0] for path in paths]
    table["is_cat"] = [int(path.startswith("cat")) for path in paths]
    table["size"] = [len(path) % 7 + number / 40 for number, path in enumerate(paths)]
    table.to_csv(tmp_path / "labels.csv", index=False)
    cache = embed(views=K, view_flip=0).cache
    several = fit_targets(cache, ["ridge"], labels=tmp_path / "labels.csv", views=True, average_views=True, folds=3)
    assert [row.error for row in several.targets] == [None, None, None]
    views = {row.target: several.fits[row.target].views for row in several.targets}
    assert views == {"animal": 3, "is_cat": 3, "size": 3}
    numbers = several.fits["size"]
    scored = pd.read_csv(numbers.predictions)
    answers = load(Path(numbers.model)).predict([photos / path for path in scored["path"]])
    np.testing.assert_allclose(answers["value"], scored["predicted"], rtol=1e-3)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"average_views": True}, JobError, "--average-views is a way to score views: say --views, too"),
        ({"views": True, "average_views": True, "calibrate": True}, JobError, "leave one of the two out"),
        ({"views": True, "memory": 1.0}, JobError, "--views needs them in memory: leave it out"),
    ],
)
def test_what_does_not_go_together_is_told(
    embedded: Embed, elsewhere: Path, options: Any, error: Any, words: str
) -> None:
    cache = embedded(views=2)
    for job in (fit, fit_targets):
        with pytest.raises(error, match=words):
            job(cache, "logreg", **options)


def test_a_head_that_cannot_keep_views_together_is_told(embedded: Embed, elsewhere: Path) -> None:
    with pytest.raises(DataError, match=r"boosting would set views of one image aside .* name another head"):
        fit(embedded(views=2), "boosting", views=True)


def test_an_experiments_fit_asks_for_views(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(fit_tasks, "fit", lambda *_, options: asked.append(options))
    table: Any = {"head": ["knn"], "views": True, "average_views": True}
    experiment = Experiment(
        name="e", images="i", cache=Path("c"), out=Path("o"), extract=[{"backbone": "pixels"}], fit=[table], views=4
    )
    fit_tasks.fit_task.fn(experiment, experiment.fit[0], ["key"], False)
    assert [(one.views, one.average_views) for one in asked] == [(True, True)]
