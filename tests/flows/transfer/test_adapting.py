"""Adapting: what is chosen never sees a label of the target, the control stands beside, and the model predicts."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import CLASSES, draw
from support.array_cache import cache_of

import headstart
from headstart.flows.cli.app import main
from headstart.flows.errors import JobError
from headstart.flows.transfer.adaptation import AdaptSummary, adapt
from headstart.heads.errors import DataError, RareClassError
from headstart.heads.saving import read_card

NAMES = ["cat", "dog", "owl"]
MOVED = np.array([3.0, 0.5, 2.0, 1.0]), np.array([8.0, -3.0, 0.0, 5.0])


@pytest.fixture(scope="module", autouse=True)
def _plain_maps() -> Iterator[None]:
    """Maps of the first two features: t-SNE takes longer than all else here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("headstart.heads.report.transfer.adapt_page.project", lambda X: np.asarray(X, float)[:, :2])
        yield


def features(n: int, seed: int) -> tuple[np.ndarray, list[str]]:
    y = np.arange(n) % 3
    X = np.random.default_rng(seed).normal(size=(n, 4)) + 4 * np.eye(4)[y]
    return X, [NAMES[number] for number in y]


@pytest.fixture(scope="module")
def caches(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Sixty images by day, and 45 by night whose features are stretched and moved."""
    day, night = (tmp_path_factory.mktemp(name) for name in ("day", "night"))
    X, labels = features(60, 0)
    by_day = cache_of(day, X, labels).rename(day / "day.headstart")
    X, labels = features(45, 1)
    write = Path.write_bytes
    with pytest.MonkeyPatch.context() as patch:  # other bytes than those of the images by day
        patch.setattr(Path, "write_bytes", lambda path, data: write(path, data + b" by night"))
        by_night = cache_of(night, X * MOVED[0] + MOVED[1], labels).rename(night / "night.headstart")
    return by_day, by_night


@pytest.fixture(scope="module")
def found(caches: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> AdaptSummary:
    out = tmp_path_factory.mktemp("found") / "night.adapted"
    return adapt(*caches, method=["coral", "weights"], out=out)


def relabelled(caches: tuple[Path, Path], labels: list[str | None]) -> Any:
    """A listing of the target with other labels."""
    from headstart.flows.transfer.adaptation import sides

    read = sides.read_usable

    def other(cache: Any) -> Any:
        listing = read(cache)
        if cache.path == caches[1]:
            object.__setattr__(listing, "labels", listing.labels.assign(label=labels))
        return listing

    return other


def test_the_shift_is_undone_beside_a_control_that_never_saw_the_target(found: AdaptSummary) -> None:
    rows = {row.name: row for row in found.rows}
    assert list(rows) == ["source", "coral", "weights"]
    assert rows["source"].scores["accuracy"].value < 0.7
    assert rows["coral"].scores["accuracy"].value > 0.9
    assert rows["coral"].control == rows["weights"].control == "source"
    apart = rows["coral"].difference
    assert apart is not None
    assert (apart.n_images, apart.test) == (45, "exact McNemar")
    assert apart.value == pytest.approx(
        rows["coral"].scores["accuracy"].value - rows["source"].scores["accuracy"].value
    )
    assert 0 < apart.low < apart.value < apart.high
    assert rows["coral"].verdict == "better"
    assert rows["source"].difference is rows["source"].verdict is None
    assert "better than its control: coral" in found.conclusion


def test_the_domains_are_told_apart_before_and_not_after(found: AdaptSummary) -> None:
    rows = {row.name: row for row in found.rows}
    assert found.apart == rows["source"].apart > 0.9
    assert rows["coral"].apart < 0.7
    assert 1 <= found.effective_size == rows["weights"].effective_size < 60


def test_labels_of_the_target_choose_nothing(
    caches: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(name: str, labels: list[Any]) -> AdaptSummary:
        with monkeypatch.context() as patch:
            patch.setattr("headstart.flows.transfer.adaptation.sides.read_usable", relabelled(caches, labels))
            return adapt(*caches, method=["coral", "subspace"], out=tmp_path / name)

    true = sorted(features(45, 1)[1])
    runs = [run("true", true), run("wrong", true[15:] + true[:15]), run("none", [None] * 45)]
    assert len({one.saved for one in runs}) == 1
    assert len({str([(row.params, row.validation, row.apart) for row in one.rows]) for one in runs}) == 1
    answers = [pd.read_csv(one.predictions).drop(columns="true", errors="ignore") for one in runs]
    assert answers[0].equals(answers[1])
    assert answers[0].equals(answers[2])
    assert [one.n_labelled for one in runs] == [45, 45, 0]
    assert runs[1].rows[1].scores["accuracy"].value < 0.1
    assert runs[2].rows[1].scores == {}
    assert "nothing here tells whether adapting helped" in runs[2].conclusion


def test_every_image_of_the_target_has_a_prediction_by_every_method(found: AdaptSummary) -> None:
    table = found.to_pandas("predictions")
    assert list(table) == ["path", "label", "probability", "source", "coral", "weights", "true"]
    assert len(table) == 45
    assert (table["label"] == table[found.saved]).all()
    assert (table["coral"] == table["true"]).mean() == found.rows[1].scores["accuracy"].value
    assert table["probability"].between(1 / 3, 1).all()
    methods = pd.read_csv(found.table)
    assert methods["name"].tolist() == ["source", "coral", "weights"]
    assert {"accuracy_low", "difference_high", "p_adjusted", "params"} <= set(methods)


def test_the_page_shows_both_domains_before_and_after(found: AdaptSummary) -> None:
    page = Path(found.page).read_text()
    assert page.count('<svg id="before"') == page.count('<svg id="after"') == 1
    assert f"told {100 * found.apart:.1f} % of them apart before" in page
    assert "no label of the target chose anything" in page
    assert "<script" not in page


def test_the_card_says_where_the_model_comes_from(found: AdaptSummary) -> None:
    card = read_card(Path(found.model) / "model.json")
    assert card["adaptation"] | {"params": None} == {
        "method": found.saved,
        "params": None,
        "source": "day",
        "target": "night",
        "n_source": 60,
        "n_target": 45,
    }
    assert (card["head"], card["class_names"], card["run"]) == ("logreg", NAMES, found.run)


def test_a_network_is_saved_where_it_is_named(
    caches: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from headstart.heads.transfer.adaptation import methods

    for rate in methods._RATES:
        monkeypatch.setitem(rate, "steps", 20)
    found = adapt(*caches, method="dann", folds=2, out=tmp_path / "out")
    assert [row.name for row in found.rows] == ["source", "source-mlp", "dann"]
    assert found.saved == "dann"
    assert read_card(Path(found.model) / "model.json")["head"] == "mlp"


def test_classes_that_the_source_has_not_count_as_wrong_and_are_told(
    caches: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    true: list[Any] = sorted(features(45, 1)[1])
    labels = ["bat", "bat", None, *true[3:]]
    monkeypatch.setattr("headstart.flows.transfer.adaptation.sides.read_usable", relabelled(caches, labels))
    found = adapt(*caches, method="coral", out=tmp_path / "out")
    assert found.n_labelled == 44
    assert found.rows[1].scores["accuracy"].value <= 42 / 44
    assert any("2 images of the target are of classes that the source has not ('bat')" in note for note in found.notes)


def test_a_column_tells_the_domains_of_one_cache_apart(tmp_path: Path) -> None:
    X, labels = features(105, 0)
    X[60:] = X[60:] * MOVED[0] + MOVED[1]
    cache = cache_of(tmp_path, X, labels)
    images = headstart.open(cache).images
    by_number = images["path"].str.extract(r"(\d+)\.png")[0].astype(int)
    images["camera"] = np.where(by_number < 60, "old", "new")
    images.loc[by_number < 4, "camera"] = None
    images.to_csv(tmp_path / "cameras.csv", index=False)
    given: Any = {"labels": tmp_path / "cameras.csv", "domain": "camera", "to": "new", "target": "label"}
    found = adapt(cache, method="coral", out=tmp_path / "out", **given)
    assert (found.source, found.target, found.n_source, found.n_target) == ("old", "new", 56, 45)
    assert found.rows[1].scores["accuracy"].value > 0.9 > found.rows[0].scores["accuracy"].value + 0.2


def test_weighted_validation_and_a_smaller_draw_are_said(caches: tuple[Path, Path], tmp_path: Path) -> None:
    found = adapt(*caches, method="coral", validation="weighted", images=30, out=tmp_path / "out")
    assert (found.n_source, found.n_target) == (30, 45)
    assert found.notes[:2] == [
        "adapted on 30 of the source's 60 images (--images)",
        "adapted on 30 of the target's 45 images (--images)",
    ]
    assert found.effective_size < 30
    assert "a weighted validation is little more than chance" in found.notes[2]
    assert "weighed as if it were of the target" in Path(found.page).read_text()


def test_images_of_both_domains_for_test_and_without_label_are_left_out_of_the_source(
    caches: tuple[Path, Path], tmp_path: Path
) -> None:
    X, labels = features(60, 0)
    cache = cache_of(tmp_path, X, labels, ["test"] * 6 + ["train"] * 54)  # the same bytes as by day
    with pytest.raises(JobError, match="no image of the source is left to learn from; give another source"):
        adapt(caches[0], cache)
    other = adapt(cache, caches[1], method="coral", out=tmp_path / "b")
    assert other.n_source == 54
    assert "6 images of the source are for test and are left out" in other.notes


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"method": "corral"}, DataError, "no method is called 'corral'; expected source, standardise"),
        ({"to": "night"}, JobError, "say --domain COLUMN, too"),
        ({"domain": "camera", "to": "new"}, JobError, "--domain tells the domains of one cache apart; leave out"),
        ({"folds": 30}, RareClassError, "'cat' has 20 images.*use --folds 20"),
        ({"target": "colour"}, JobError, "no label column 'colour'; there are label"),
        ({"tap": "layer4"}, JobError, "no tap 'layer4'; there are penultimate"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_line(
    caches: tuple[Path, Path], options: Any, error: type[Exception], message: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=message) as told:
        adapt(*caches, out=tmp_path / "out", **options)
    assert "\n" not in str(told.value)


def test_a_source_alone_says_how_to_name_the_target(caches: tuple[Path, Path]) -> None:
    with pytest.raises(JobError, match="no target is given; name its cache behind the source's, or say --domain"):
        adapt(caches[0])
    with pytest.raises(JobError, match="no column 'camera' tells domains apart; there are label: give one"):
        adapt(caches[0], domain="camera")
    with pytest.raises(JobError, match="which of at least two domains is the target\\? Say --to VALUE; label is cat"):
        adapt(caches[0], domain="label", to="bat")


def test_other_embeddings_and_numbers_are_refused(
    caches: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wide = cache_of(tmp_path, np.zeros((12, 4)), NAMES * 4)
    monkeypatch.setattr(
        "headstart.flows.transfer.adaptation.sides.find_covering", lambda cache, *_: covering[cache.path == wide]
    )
    kept: Any = type("Store", (), {"key": type("Key", (), {"id": "resnet18-x"})})
    covering = {
        at: [type("Embedded", (), {"store": kept, "tap": tap, "label": "resnet18"})]
        for at, tap in ((False, "avgpool"), (True, "penultimate"))
    }
    with pytest.raises(JobError, match=r"day.headstart \(resnet18-x avgpool\).*no embeddings in common; extract both"):
        adapt(caches[0], wide)
    paths = headstart.open(caches[0]).images["path"]
    pd.DataFrame({"path": paths, "weight": np.linspace(0, 1.7, 60)}).to_csv(tmp_path / "w.csv", index=False)
    with pytest.raises(JobError, match="target 'weight' holds numbers, and adapt takes classes"):
        adapt(*caches, labels=tmp_path / "w.csv")


def test_the_command_prints_the_methods_beside_their_controls_or_json(
    caches: tuple[Path, Path], elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["adapt", *map(str, caches), "--method", "coral"]
    with pytest.raises(SystemExit) as done:
        main(words)
    assert done.value.code == 0
    shown = capsys.readouterr().out
    assert "day (60 images) → night (45)" in shown
    assert "no label of the target did" in shown
    assert "looked at once, at the end" in shown
    assert "night.adapted/model" in shown
    assert max(map(len, shown.splitlines())) <= 80
    with pytest.raises(SystemExit):
        main([*words, "--json"])
    printed = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in printed["rows"]] == ["source", "coral"]
    assert printed["rows"][1]["difference"]["n_images"] == 45


def test_the_saved_model_predicts_new_images_of_the_target(elsewhere: Path) -> None:
    """Photographs by day, and by night, when everything is darker; new ones by night come later."""
    for label, name in enumerate(CLASSES):
        for number in range(8):
            draw(Path("day", name, f"{number}.png"), label, seed=10 * label + number)
            draw(Path("night", f"{name}{number}.png"), label, seed=500 + 10 * label + number)
        draw(Path("new", f"{name}.png"), label, seed=900 + label)
    for folder in ("day", "night"):
        headstart.extract(folder, "small_cnn", weights="none", precision="fp32", workers=1)
    found = headstart.adapt("day.headstart", "night.headstart", method="coral")
    assert found.n_labelled == 0
    answers = headstart.predict("night.adapted", "new")
    assert dict(zip(answers["path"], answers["label"], strict=True)) == {f"{name}.png": name for name in CLASSES}
    again = headstart.predict(found.model, "night").set_index("path")["label"]
    assert again.to_dict() == found.to_pandas("predictions").set_index("path")["label"].to_dict()
