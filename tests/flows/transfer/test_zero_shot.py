"""The job `zeroshot`: classes without labels are told by attributes, beside rivals; new images by the saved model."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from support.quadrants import NAMES, VECTORS, draw_quadrants, write_classes

import headstart
from headstart.extractors.cache import EmbeddingCache
from headstart.extractors.images import read_manifest
from headstart.flows.cli.app import main
from headstart.flows.errors import JobError
from headstart.flows.transfer.zero_shot import ZeroShotOptions, ZeroShotSummary, trial, zeroshot
from headstart.flows.transfer.zero_shot.class_file import read_classes
from headstart.flows.transfer.zero_shot.images import Sorted, sort_images
from headstart.heads.errors import DataError
from headstart.heads.saving import load_model

UNSEEN = ["aceh", "adeh", "bceg", "bdfg", "bdfh"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache of sixteen classes, of which one has labels for none of its images."""
    before, folder = Path.cwd(), tmp_path_factory.mktemp("zeroshot")
    os.chdir(folder)
    draw_quadrants(folder / "photos", 6)
    headstart.extract("photos", "pixels", cache="photos.headstart", workers=1)
    rows = [(f"{name}-{number}.png", name) for name in NAMES for number in range(6) if name != "bdfh"]
    pd.DataFrame(rows, columns=["path", "label"]).to_csv("labels.csv", index=False)
    write_classes(folder / "classes.csv")
    yield folder
    os.chdir(before)


@pytest.fixture(scope="module")
def found(place: Path) -> ZeroShotSummary:
    return zeroshot("photos.headstart", classes="classes.csv", labels="labels.csv", unseen=UNSEEN[:4])


def test_classes_without_labels_are_told_and_rivals_are_beaten(found: ZeroShotSummary) -> None:
    assert found.unseen == UNSEEN
    assert len(found.seen) == 11
    rows = {row.name: row for row in found.rows}
    assert list(rows)[:2] in (["ESZSL", "semantic ridge"], ["semantic ridge", "ESZSL"])
    assert rows["chance"].zero_shot.value == pytest.approx(1 / 5)
    assert found.rows[0].zero_shot.value > 0.9
    assert found.rows[0].harmonic.value > 0.6
    assert rows["shuffled class vectors"].zero_shot.value < 0.6
    assert rows["nearest seen class"].unseen.value == 0.0
    assert "better than shuffled class vectors (p = 0.0" in found.verdict
    assert [row.control for row in found.rows] == sorted(row.control for row in found.rows)


def test_predictions_have_every_image_that_was_not_fitted_on(found: ZeroShotSummary) -> None:
    table = pd.read_csv(found.predictions)
    assert list(table) == ["path", "label", "probability", "true", "reason"]
    assert len(table) == found.scored + found.told == 96 - found.fitted
    without = table[table["true"].isna()]
    assert sorted(without["path"]) == [f"bdfh-{number}.png" for number in range(6)]
    assert (without["label"] == "bdfh").mean() > 0.5
    assert table["probability"].between(0, 1).all()
    assert set(table[table["true"].isin(UNSEEN)]["true"]) == set(UNSEEN[:4])
    read_manifest(Path(found.predictions))  # it can be given as labels


def test_the_saved_model_tells_new_images_without_pickle(found: ZeroShotSummary, place: Path) -> None:
    new = draw_quadrants(place / "new", 2, seed=1)
    told = headstart.predict(found.model, str(new)).assign(
        true=lambda rows: [Path(one).name[:4] for one in rows["path"]]
    )
    own = told[told["true"].isin(UNSEEN)]
    assert (own["label"] == own["true"]).mean() > 0.5
    assert headstart.load(found.model).classes == NAMES
    model, card = load_model(found.model)
    assert type(model).__name__ == "ZeroShotClassifier"
    assert card["head"] == f"zero-shot {found.method}"
    assert card["params"]["constant"] == found.params["constant"]
    assert card["scores"]["test"]["harmonic"]["value"] == found.rows[0].harmonic.value


def test_images_can_be_told_among_the_unseen_alone(place: Path) -> None:
    found = zeroshot(
        "photos.headstart", classes=VECTORS, labels="labels.csv", unseen=UNSEEN[:4], among="unseen", out="u"
    )
    assert headstart.load(found.model).classes == UNSEEN
    table = pd.read_csv(found.predictions)
    assert set(table["label"]) <= set(UNSEEN)
    assert set(table["true"].dropna()) == set(UNSEEN[:4])
    told = headstart.predict(found.model, "photos/bdfh-0.png")
    assert told["label"].tolist() == ["bdfh"]


def test_classes_that_no_image_is_labelled_with_are_unseen_and_that_is_said(place: Path) -> None:
    found = zeroshot(
        "photos.headstart", classes="classes.csv", labels="labels.csv", method="ridge", backbone="pixels", out="v"
    )
    assert found.unseen == ["bdfh"]
    assert found.method == "ridge"
    assert "No image of an unseen class has a label" in found.verdict
    assert found.rows[0].zero_shot is None
    assert found.rows[0].seen.value > 0.5


def test_of_one_image_a_class_all_are_fitted_on_and_that_is_said(place: Path) -> None:
    pd.read_csv("labels.csv").query("path.str.endswith('-0.png')").to_csv("one.csv", index=False)
    found = zeroshot("photos.headstart", classes="classes.csv", labels="one.csv", method=["ridge"], out="s")
    assert (found.fitted, found.scored, found.told) == (15, 0, 81)
    assert any("every image of a seen class is fitted on" in note for note in found.notes)
    assert found.params["constant"] == 0
    pd.read_csv("one.csv").assign(split="test").to_csv("split.csv", index=False)
    with pytest.raises(DataError, match=r"nothing|no image|train"):
        zeroshot("photos.headstart", classes="classes.csv", labels="split.csv", out="s")


def test_images_of_one_group_with_unseen_classes_are_not_fitted_on(place: Path) -> None:
    labels, classes = pd.read_csv("labels.csv"), read_classes(VECTORS)
    both = labels["label"].isin(["aceg", "adeh"])

    def sorted_with(shared: pd.Series) -> Sorted:
        group = ["shared" if one else path for one, path in zip(shared, labels["path"], strict=True)]
        labels.assign(group=group).to_csv("groups.csv", index=False)
        options = ZeroShotOptions(labels="groups.csv", unseen=["adeh"])
        return sort_images(EmbeddingCache("photos.headstart"), classes, options)

    images = sorted_with(both & labels["path"].str.contains("-[01]"))
    fitted = {images.paths[row] for row in images.fit}
    assert not fitted & {"aceg-0.png", "aceg-1.png"}
    assert fitted & {f"aceg-{number}.png" for number in range(2, 6)}
    assert {"adeh-0.png", "adeh-1.png"} <= {images.paths[row] for row in images.test}
    with pytest.raises(JobError, match=r"no image of 'aceg' is left to fit on.*\(--unseen\)"):
        sorted_with(both)


def test_vectors_in_the_space_of_the_features_need_no_label(place: Path) -> None:
    X, _, images = headstart.open("photos.headstart").arrays()
    names = [path[:4] for path in images["path"]]
    texts = {name: X[[one == name for one in names]].mean(axis=0) for name in NAMES}
    np.savez("texts.npz", classes=list(texts), vectors=np.stack(list(texts.values())))
    found = zeroshot("photos.headstart", classes="texts.npz", method="clip", out="w")
    assert (found.method, found.fitted, found.scored, found.told, found.params) == ("clip", 0, 0, 96, {})
    table = pd.read_csv(found.predictions)
    assert (table["label"] == [path[:4] for path in table["path"]]).mean() > 0.9
    scored = zeroshot("photos.headstart", classes="texts.npz", labels="labels.csv", method=["clip"], out="x")
    assert scored.unseen == NAMES
    assert scored.rows[0].zero_shot.value > 0.9
    assert "better than shuffled class vectors" in scored.verdict


def test_of_very_many_images_as_many_of_each_class_choose(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    classes, options = read_classes(VECTORS), ZeroShotOptions(labels="labels.csv", unseen=UNSEEN[:4])
    images = sort_images(EmbeddingCache("photos.headstart"), classes, options)
    monkeypatch.setattr(trial, "MOST_CHOOSING", 33)
    assert np.bincount(images.codes[trial._by_class(images, 0)])[images.seen].tolist() == [3] * 11
    monkeypatch.setattr(trial, "MOST_CHOOSING", 100)
    assert trial._by_class(images, 0) is images.fit


def test_the_command_prints_methods_beside_rivals_or_json(
    found: ZeroShotSummary, capsys: pytest.CaptureFixture[str]
) -> None:
    words = "zeroshot photos.headstart --classes classes.csv --labels labels.csv --unseen aceh adeh bceg bdfg --out y"
    with pytest.raises(SystemExit) as done:
        main(words.split())
    assert done.value.code == 0
    shown = capsys.readouterr().out
    assert "5 unseen classes beside 11 seen" in shown
    assert "shuffled class vectors" in shown
    assert [line for line in shown.splitlines() if len(line) > 80 and "←" not in line] == []
    with pytest.raises(SystemExit):
        main([*words.split(), "--json"])
    out = json.loads(capsys.readouterr().out)
    assert out["rows"][0]["zero_shot"] == json.loads(json.dumps(vars(found.rows[0].zero_shot)))


def test_the_page_says_what_the_rivals_are(found: ZeroShotSummary) -> None:
    page = Path(found.page).read_text()
    assert "<script" not in page
    for words in (
        "Methods and rivals",
        "shuffled class vectors",
        "Class by class",
        found.verdict[:40],
        "harmonic mean",
    ):
        assert words in page


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("class,x\nadeh,1\nadeh,2\n", "'adeh' more than once; keep one row for each class"),
        ("class,x\nadeh,yes\n", "line 2, x: holds 'yes', expected a number"),
        ("class,x\nadeh,nan\n", "'adeh' holds a number that is not finite"),
        ("class,x\nadeh\n", "line 2: has 1 cells and the class 'adeh', expected 2 cells"),
        ("class,x\n", "holds no class; give a row for each"),
        ("class\nadeh\n", "holds names alone; add columns of numbers"),
        ("class,x\nadeh,1\nacex,0\n", r"has no vector for 'aceg', 'aceh'.* \(did you mean 'acex'\?\)"),
    ],
)
def test_a_table_that_cannot_be_used_is_told_in_one_line(place: Path, table: str, message: str) -> None:
    Path("bad.csv").write_text(table)
    with pytest.raises(JobError, match=message) as told:
        zeroshot("photos.headstart", classes="bad.csv", labels="labels.csv")
    assert "\n" not in str(told.value)


def test_what_does_not_fit_together_is_told_in_one_line(place: Path) -> None:
    given = {"labels": "labels.csv", "out": "z"}
    some = {name: VECTORS[name] for name in NAMES if name != "bdfh"}
    with pytest.raises(JobError, match="every class, so none is unseen; add rows"):
        zeroshot("photos.headstart", classes=some, **given)
    with pytest.raises(JobError, match="--unseen zebra: classes has no such class"):
        zeroshot("photos.headstart", classes=some, unseen=["zebra"], **given)
    with pytest.raises(DataError, match="3 classes have both labelled images and a vector, expected 4 or more"):
        zeroshot("photos.headstart", classes=VECTORS, unseen=NAMES[3:], **given)
    with pytest.raises(JobError, match="vectors of 4 numbers and features of 3072: cosines need as many"):
        zeroshot("photos.headstart", classes=VECTORS, method=["clip"], **given)
    with pytest.raises(
        JobError, match="--method magic: there is no such method; give one or more of eszsl, ridge, clip"
    ):
        zeroshot("photos.headstart", classes=VECTORS, method=["eszsl", "magic"], **given)
    with pytest.raises(JobError, match="no classes are given; --classes FILE"):
        zeroshot("photos.headstart", **given)
    with pytest.raises(JobError, match=r"expected one row of 4 numbers as 'aceg' has"):
        zeroshot("photos.headstart", classes=VECTORS | {"adeh": [1.0]}, **given)
    with pytest.raises(JobError, match=r"read from .csv, .npz or .safetensors"):
        zeroshot("photos.headstart", classes="labels.txt", **given)
    with pytest.raises(JobError, match=r"no such file of class vectors"):
        zeroshot("photos.headstart", classes="gone.csv", **given)
    with pytest.raises(JobError, match=r"prompts need embeddings of one network with a text tower, found none"):
        zeroshot("photos.headstart", classes=NAMES, prompt=["a photo of a {}"], **given)
    with pytest.raises(JobError, match=r"has no {} for the class"):
        zeroshot("photos.headstart", classes=NAMES, prompt=["a photo"], **given)
    with pytest.raises(JobError, match="its weights are needed"):
        zeroshot("photos.headstart", classes=NAMES, prompt=["a {}"], text_tower="open_clip/ViT-B-32", **given)


def test_arrays_are_read_by_name_without_pickle(place: Path) -> None:
    from safetensors.numpy import save_file

    np.savez("named.npz", zebra=[1.0, 2.0], okapi=[3, 4])
    save_file({"zebra": np.array([1.0, 2.0]), "okapi": np.array([3.0, 4.0])}, "named.safetensors")
    for file in ("named.npz", "named.safetensors"):
        read = read_classes(file)
        assert dict(zip(read.names, read.vectors.tolist(), strict=True)) == {"zebra": [1, 2], "okapi": [3, 4]}
    np.savez("objects.npz", zebra=np.array([print], dtype=object))
    for file in ("objects.npz", "torn.npz", "torn.safetensors"):
        if not Path(file).exists():
            Path(file).write_bytes(b"PK\x03\x04torn")
        with pytest.raises(JobError, match="is no readable"):
            read_classes(file)
