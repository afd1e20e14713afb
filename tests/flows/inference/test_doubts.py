"""`predict` with a model that may not know: sets, outliers, and labels left empty, in CSV, Parquet, JSON and Python."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import CLASSES, draw
from PIL import Image

from headstart.flows.cli.app import main
from headstart.flows.errors import JobError
from headstart.flows.fitting import fit
from headstart.flows.inference import load, predict
from headstart.flows.inference.doubts import set_text

Embedded = Callable[..., Path]
K = 3


@pytest.fixture
def model(embedded: Embedded, elsewhere: Path) -> Path:
    found = fit(embedded(), "logreg(C=1)", coverage=0.9, conformal="aps", false_alarms=0.1, no_report=True)
    return Path(found.model)


@pytest.fixture
def asked(tmp_path: Path) -> Path:
    """One image of each class, stripes that are like none of them, and a file that cannot be read."""
    folder = tmp_path / "asked"
    for label, name in enumerate(CLASSES):
        draw(folder / f"{name}.png", label, seed=9000 + label)
    stripes = np.zeros((40, 48, 3), np.uint8)
    stripes[::2] = 255
    Image.fromarray(stripes).save(folder / "stripes.png")
    (folder / "torn.png").write_bytes((folder / "cat.png").read_bytes()[:90])
    return folder


def test_sets_and_outliers_stand_behind_the_probability(model: Path, asked: Path) -> None:
    found = predict(model, asked)
    assert list(found.columns) == ["path", "label", "probability", "set", "outlier", "outlier_score", "reason"]
    found = found.set_index("path")
    assert found.loc["cat.png", "set"] == ["cat"]
    assert found["outlier"].fillna(False).tolist() == [False, False, False, True, False]
    assert found.loc["stripes.png", "outlier_score"] > 3 * found.loc["cat.png", "outlier_score"]
    assert found.loc["stripes.png", "label"] in CLASSES
    assert found.loc["torn.png", ["label", "set", "outlier", "outlier_score"]].isna().all()


def test_to_abstain_leaves_labels_empty_that_are_in_doubt_and_no_others(model: Path, asked: Path) -> None:
    plain = predict(model, asked).set_index("path")
    found = predict(model, asked, abstain=True).set_index("path")
    kept = found["label"].notna()
    assert found.index[kept].tolist() == ["cat.png", "dog.png", "owl.png"]
    assert (found["label"][kept] == plain["label"][kept]).all()
    pd.testing.assert_frame_equal(found.drop(columns="label"), plain.drop(columns="label"))


def test_a_set_of_several_classes_and_an_empty_one_are_in_doubt(model: Path, asked: Path) -> None:
    loaded = load(model, abstain=True)
    loaded.doubt.sets.thresholds[:] = 2.0
    every = loaded.predict(asked / "cat.png")
    assert every["set"].item() == list(CLASSES)
    assert every["label"].isna().all()
    object.__setattr__(loaded.doubt.sets, "method", "lac")
    loaded.doubt.sets.thresholds[:] = -1.0
    none = loaded.predict(asked / "cat.png")
    assert none["set"].item() == []
    assert none["label"].isna().all()


def test_the_command_writes_them_as_csv_parquet_and_json(
    model: Path, asked: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in (["--out", "p.csv"], ["--out", "p.parquet"], ["--json", "--all"]):
        with pytest.raises(SystemExit) as ended:
            main(["predict", str(model), str(asked), "--abstain", *words])
        assert not ended.value.code
    printed = capsys.readouterr()
    assert "5 images: 1 cat, 1 dog, 1 owl, 1 outlier, 1 without an answer, 1 unreadable → p.csv" in printed.err
    lines = Path("p.csv").read_text().splitlines()
    assert lines[0] == "path,label,probability,set,outlier,outlier_score,reason"
    assert lines[1].startswith("cat.png,cat,")
    assert ",cat,False," in lines[1]
    assert lines[4].startswith("stripes.png,,")
    read = pd.read_parquet("p.parquet")
    assert read["set"][0].tolist() == ["cat"]
    assert read["outlier"].isna().tolist() == [False] * 4 + [True]
    answer = json.loads(printed.out)
    assert (answer["outliers"], answer["without_answer"], answer["unreadable"]) == (1, 1, 1)
    row = answer["predictions"][3]
    assert (row["label"], row["outlier"], type(row["set"])) == (None, True, list)
    assert answer["predictions"][4]["set"] is None


def test_where_no_image_can_be_read_the_columns_are_there(model: Path, asked: Path) -> None:
    found = predict(model, asked / "torn.png", abstain=True)
    assert list(found.columns) == ["path", "label", "probability", "set", "outlier", "outlier_score", "reason"]
    assert found["set"].isna().all()


def test_a_model_without_sets_cannot_abstain_and_says_so(embedded: Embedded, asked: Path, elsewhere: Path) -> None:
    found = fit(embedded(), "centroid", no_report=True)
    with pytest.raises(JobError, match=r"holds no sets to abstain by; fit it with --coverage 0\.9, or leave out"):
        load(found.model, abstain=True)
    assert "set" not in predict(found.model, asked / "cat.png")


@pytest.mark.parametrize(("head", "average"), [("logreg(C=1)", True), ("linear-svm(C=0.001)", False)])
def test_a_saved_model_judges_as_it_was_measured(
    embedded: Embedded, photos: Path, elsewhere: Path, head: str, average: bool
) -> None:
    cache = embedded(views=K, view_crop=0.1, view_jitter=0.9, exact=True)
    found = fit(
        cache, head, views=True, average_views=average, coverage=0.8, conformal="raps", outlier="knn",
        false_alarms=0.1, no_report=True,
    )  # fmt: skip
    assert found.doubt is not None
    scored = pd.read_csv(found.predictions)
    answers = predict(found.model, [photos / path for path in scored["path"]])
    covered = [true in inside for true, inside in zip(scored["true"], answers["set"], strict=True)]
    assert sum(covered) == found.doubt.covered.count
    assert np.bincount([len(inside) for inside in answers["set"]]).tolist() == found.doubt.sizes
    assert int(answers["outlier"].sum()) == found.doubt.flagged.count


def test_names_that_hold_the_sign_between_names_can_be_told_apart() -> None:
    assert set_text(["a", "b c"]) == "a|b c"
    assert set_text(["a|b", "c\\"]) == "a\\|b|c\\\\"
    assert set_text([]) == ""
    assert np.isnan(set_text(float("nan")))
