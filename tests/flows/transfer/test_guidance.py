"""The job `guide`: two caches, three bodies, always three controls, and a guide that `finetune` takes."""

import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import draw
from safetensors.numpy import load_file, save_file

from headstart.extractors.backbones import load_backbone
from headstart.flows.cli.app import main
from headstart.flows.errors import JobError
from headstart.flows.extraction import extract
from headstart.flows.fitting.finetuning import finetune, read_guide
from headstart.flows.transfer.guidance import GuideOptions, guide
from headstart.heads.errors import DataError
from headstart.heads.report.transfer import GuideRow, guide_verdict
from headstart.heads.transfer.guidance import GuideTest

QUICK = GuideOptions(shots=(1, 2), draws=2, scouts=2, steps=2, hidden_sizes=(4,))
TAPS = ["penultimate", "features.7:map"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with caches of a target and a source, embedded alike, and of the source without labels."""
    folder = tmp_path_factory.mktemp("guide")
    for number in range(8):
        for label, name in enumerate(("cat", "dog")):
            draw(folder / "target" / name / f"{number}.png", label, seed=10 * label + number)
        for label, name in enumerate(("ape", "bat", "cow")):
            path = draw(folder / "source" / name / f"{number}.png", label, seed=500 + 10 * label + number)
            (folder / "bare").mkdir(exist_ok=True)
            shutil.copy(path, folder / "bare" / f"{name}{number}.png")
    for name in ("target", "source", "bare"):
        given: Any = {"weights": "none", "cache": folder / f"{name}.cache", "precision": "fp32", "tap": TAPS}
        extract(folder / name, "small_cnn", **given)
    return folder


@pytest.fixture(autouse=True)
def _there(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("target", "source", "bare"):
        (tmp_path / f"{name}.cache").symlink_to(place / f"{name}.cache")


@pytest.mark.parametrize(
    ("layer", "body", "first", "last"),
    [
        (None, "hidden layers of a perceptron (4) on small_cnn · penultimate", "hidden.0.weight", "hidden.0.bias"),
        ("features.8", "small_cnn from features.8 on", "features.8.weight", "features.9.bias"),
        ("pixels", "small_cnn, all of it, from pixels", "features.0.weight", "features.9.bias"),
    ],
)
def test_each_body_is_guided_beside_its_three_controls(layer: str | None, body: str, first: str, last: str) -> None:
    found = guide("target.cache", "source.cache", options=QUICK, from_layer=layer)
    assert found.body == body
    assert [row.shots for row in found.rows] == [1, 2]
    assert [[test.control for test in row.tests] for row in found.rows] == [["unguided", "shuffled", "constant"]] * 2
    assert found.experimental
    assert "2 draws are too few to tell any difference from chance; take 8 at least (--draws)" in found.notes
    assert len(found.scouts) == 2
    assert {name for scout in found.scouts for name in scout} <= {"ape", "bat", "cow"}
    names = list(found.shares)
    assert (names[0], names[-1]) == (first, last)
    assert not any(name.startswith("classifier") for name in names)
    table = pd.read_csv(found.table)
    assert table.columns.tolist() == ["shots", "draw", "guided", "unguided", "shuffled", "constant"]
    assert len(table) == 4
    assert table.groupby("shots")["guided"].mean().tolist() == pytest.approx([row.guided for row in found.rows])
    page = Path(found.page).read_text()
    assert found.verdict in page
    assert "<script" not in page
    assert first in page


def test_without_labels_clusters_stand_in_for_classes_and_that_is_said() -> None:
    found = guide("target.cache", "bare.cache", options=QUICK)
    assert any("the source has no labels: 10 clusters stand in for classes" in note for note in found.notes)
    assert all(name.startswith("cluster ") for scout in found.scouts for name in scout)
    assert "10 clusters in place of classes" in Path(found.page).read_text()
    for layer in ("features.8", "pixels"):
        asked = guide("target.cache", "source.cache", options=QUICK, clusters=4, from_layer=layer, draws=2, shots=1)
        assert all(int(name.removeprefix("cluster ")) < 4 for scout in asked.scouts for name in scout)


def test_images_that_are_scored_are_left_out_of_the_source() -> None:
    found = guide("target.cache", "target.cache", options=QUICK, clusters=3, shots=1)
    assert f"{found.images} images of the source are left out: they are among the target's test images" in found.notes


def test_the_same_call_gives_the_same_figures_and_another_seed_others() -> None:
    first, again = (guide("target.cache", "source.cache", options=QUICK, shots=1) for _ in range(2))
    assert first.shares == again.shares
    assert pd.read_csv(first.table).equals(pd.read_csv(again.table))
    assert guide("target.cache", "source.cache", options=QUICK, shots=1, seed=1).shares != first.shares


def test_a_guide_is_written_and_finetune_takes_it() -> None:
    found = guide("target.cache", "source.cache", options=QUICK, from_layer="features.8", temperature="freezing")
    shares = read_guide(found.guide)
    assert {name: float(one.mean()) for name, one in shares.items()} == pytest.approx(found.shares)
    by: Any = {"epochs": 2, "min_steps": 2, "folds": 2, "precision": "fp32"}
    plain, guided = (finetune("target.cache", "features.8", **by, guide=one) for one in (None, found.guide))
    assert guided.winner.params["guide"] == found.guide
    assert f"--guide {found.guide}" in guided.command
    start = load_backbone("small_cnn", weights="none").module.get_parameter("features.8.weight").numpy()
    moved = [np.count_nonzero(load_weights(one.model)["features.8.weight"] != start) for one in (plain, guided)]
    assert moved[0] > 0.5 * start.size
    assert 0 < moved[1] <= math.ceil(0.01 * start.size)


def load_weights(model: str) -> dict[str, Any]:
    from headstart.heads.saving import load_model

    head, _ = load_model(Path(model))
    return dict(zip(head.names_, head.weights_, strict=True))


def test_what_is_no_guide_is_refused_before_anything_is_trained(tmp_path: Path) -> None:
    save_file({"a": np.ones(1, np.float32)}, "weights.safetensors")
    save_file({"a": np.full(1, np.nan, np.float32)}, "nan.safetensors", {"headstart_guide": "{}"})
    Path("text.safetensors").write_text("shares")
    for name, reason in {
        "gone.safetensors": "no guide can be read there",
        "text.safetensors": "no guide can be read there",
        "weights.safetensors": "holds no guide; 'headstart guide' writes one",
        "nan.safetensors": "no finite float32 numbers",
    }.items():
        with pytest.raises(JobError, match=reason):
            finetune("target.cache", "features.8", guide=name)


@pytest.mark.parametrize(
    ("options", "error", "reason"),
    [
        ({"scout_classes": 3}, DataError, "a scout of 3 classes, expected between 2 and 2"),
        ({"shots": 50}, DataError, "50 images a class, and the rarest class has"),
        ({"focus": "raw", "temperature": "warm"}, DataError, "temperature warm is of values between 0 and 1"),
        ({"tap": "features.1:avg"}, JobError, "no tap"),
        ({"target": "colour"}, JobError, "colour"),
    ],
)
def test_what_it_cannot_take_is_said_in_one_line(options: Any, error: Any, reason: str) -> None:
    with pytest.raises(error, match=reason) as raised:
        guide("target.cache", "source.cache", options=QUICK, **options)
    assert "\n" not in str(raised.value)


def test_a_source_of_two_classes_and_one_of_another_network_are_refused(place: Path) -> None:
    with pytest.raises(JobError, match=r"the source has 2 classes, expected three at least.*--clusters"):
        guide("source.cache", "target.cache", options=QUICK)
    extract(place / "source", "pixels", cache="other.cache")
    for layer in (None, "features.8", "pixels"):
        with pytest.raises(JobError, match=r"embedded by pixels, .*target.cache by small_cnn.*; extract both alike"):
            guide("target.cache", "other.cache", options=QUICK, from_layer=layer)


def test_numbers_are_refused_on_both_sides() -> None:
    names = [f"{kind}/{number}.png" for kind in ("cat", "dog", "ape", "bat", "cow") for number in range(8)]
    pd.DataFrame({"path": names, "weight": np.arange(40) + 0.5}).to_csv("weights.csv", index=False)
    with pytest.raises(JobError, match=r"target 'weight' is a number to predict; a guide is for classes"):
        guide("target.cache", "source.cache", options=QUICK, labels="weights.csv")
    with pytest.raises(JobError, match=r"source column 'weight' holds numbers, .*; name another with --source-target"):
        guide("target.cache", "source.cache", options=QUICK, source_labels="weights.csv")


def test_an_image_that_has_changed_is_not_trained_on_from_pixels(place: Path, tmp_path: Path) -> None:
    shutil.copytree(place / "target", "mine")
    cache = extract("mine", "small_cnn", weights="none", precision="fp32").cache
    draw(Path("mine/cat/0.png"), 1, seed=99)
    with pytest.raises(JobError, match=r"cat/0.png: is another image than was embedded; run 'headstart extract' again"):
        guide(cache, "source.cache", options=QUICK, from_layer="pixels")


def row(shots: int, **ahead: float) -> GuideRow:
    tests = [
        GuideTest(shots=shots, control=name, difference=one, low=one, high=one, p_value=0.01 if one else 1.0,
                  beats=one > 0, loses=one < 0)  # type: ignore[arg-type]  # the names of the controls
        for name, one in ahead.items()
    ]  # fmt: skip
    beaten = all(test.beats for test in tests)
    return GuideRow(shots=shots, guided=0.5, unguided=0.5, shuffled=0.5, constant=0.5, beaten=beaten, tests=tests)


START = "Experimental: the guide beats all three of its controls"
ALL = {"unguided": 0.1, "shuffled": 0.1, "constant": 0.1}


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        ([row(1, **ALL), row(5, **ALL)], "The guide beats all three of its controls at 1 and 5 images a class."),
        (
            [row(1, **ALL), row(5, **ALL | {"unguided": -0.1})],
            (
                f"{START} at 1 image a class only. It is ahead of training without a guide at 1 image; "
                "the guide shuffled at 1 and 5 images; its mean for all weights at 1 and 5 images. "
                "It is behind training without a guide at 5 images."
            ),
        ),
        (
            [row(2, **dict.fromkeys(ALL, 0.0))],
            f"{START} at no number of images a class. None differs by more than chance.",
        ),
    ],
)
def test_the_verdict_says_what_is_beaten_and_what_is_not(rows: list[GuideRow], text: str) -> None:
    assert guide_verdict(rows) == text


def test_the_command_prints_all_four_and_the_verdict_or_json(capsys: pytest.CaptureFixture[str]) -> None:
    quick = "--shots 1 2 --draws 2 --scouts 2 --steps 2 --hidden-sizes 4"
    words = ["guide", "target.cache", "--source", "source.cache", *quick.split()]
    with pytest.raises(SystemExit) as done:
        main(words)
    assert done.value.code == 0
    shown = capsys.readouterr().out
    assert START in " ".join(shown.split())
    assert all(name in shown for name in ("guided", "unguided", "shuffled", "constant"))
    assert max(map(len, shown.splitlines())) <= 80
    with pytest.raises(SystemExit):
        main([*words, "--json"])
    found = json.loads(capsys.readouterr().out)
    assert found["experimental"] is True
    assert [len(one["tests"]) for one in found["rows"]] == [3, 3]
    assert load_file(found["guide"]).keys() == found["shares"].keys()
