"""Two lines that say what a set of images was taken for, before the work begins."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from conftest import draw

from headstart.flows.cli.app import main
from headstart.flows.fit_summary import Understood
from headstart.flows.output.terminal import Console
from headstart.flows.problem.understood import describe_images

FLOWERS = ("daisy", "dandelion", "rose", "sunflower", "tulip")


def rows_of(labels: dict[str, list[Any]], split: list[str | None] | None = None) -> pd.DataFrame:
    n_rows = len(next(iter(labels.values())))
    return pd.DataFrame({"path": range(n_rows), "status": "ok", "split": split or [None] * n_rows, **labels}).astype(
        {"split": object}
    )


def lines_of(text: str) -> list[str]:
    console = Console(width=80)
    with console.capture() as captured:
        console.print(text, highlight=False, markup=False)
    return captured.get().splitlines()


def test_classes_splits_and_images_without_a_label_are_counted() -> None:
    labels = [name for name in FLOWERS for _ in range(734)] + [None, None]
    understood, _ = describe_images(rows_of({"label": labels}, ["train"] * 2936 + ["val"] * 736))
    text = "5 classes: daisy, dandelion, rose, sunflower, tulip · train 2 936, val 736 · 2 images without a label"
    assert understood.text == text


@pytest.mark.parametrize("n_classes", [2, 20, 1000])
@pytest.mark.parametrize("length", [3, 29, 200])
@pytest.mark.parametrize("sign", ["c", "鳥", "é", "\x1b", "\u202e"])
def test_two_lines_of_80_columns_hold_it_however_many_classes(n_classes: int, length: int, sign: str) -> None:
    names = [f"{sign * length}{number}" for number in range(n_classes)]
    understood = Understood(
        images=3670,
        column=sign * length,
        other_columns=[sign * length, "shape", "size", "age"],
        task="classify",
        why=f"{n_classes} different whole numbers without gaps",
        instead="--task regress",
        classes=dict.fromkeys(names, 100),
        splits={"train": 2934, "val": 736, "test": 20},
        without_label=2,
        left_out={"heron": 1},
        not_listed=1_000_000,
        passed_over={"@eaDir/": 20, "#recycle/": 1, "$RECYCLE.BIN/": 3, ".txt": 12},
    )
    assert len(lines_of(understood.text)) <= 2
    assert f"{n_classes:,} classes".replace(",", " ") in understood.text


@pytest.mark.parametrize(
    ("labels", "text"),
    [
        ({"age": [0.5, 1.25, 71.3]}, "age: numbers from 0.5 to 71.3 (with a fraction; classes: fit --task classify)"),
        (
            {"count": [1, 2, 2]},
            "count: 2 classes: 1, 2 (2 different whole numbers; numbers: fit --task regress)",
        ),
        (
            {"label": ["a", "b", "b"], "colour": ["red"] * 3},
            "label: 2 classes: a, b · 3 images, no splits · not colour",
        ),
        (
            {"shape": ["a", "b", "b"], "colour": ["red"] * 3},
            "2 label columns · 3 images, no splits · shape, colour: fit",
        ),
        ({"label": [None, None, None]}, "no labels · 3 images, no splits"),
        ({"label": ["a", 1, "b"]}, "no labels · 3 images"),
    ],
    ids=["numbers", "ids", "others", "which", "none", "mixed"],
)
def test_the_column_that_was_taken_is_said_and_the_option_that_changes_it(labels: dict[str, Any], text: str) -> None:
    assert describe_images(rows_of(labels))[0].text.startswith(text)


def test_extract_and_fit_say_it_before_the_work_and_in_their_json(
    photos: Path, elsewhere: Path, capsys: pytest.CaptureFixture[str], embed: Callable[..., Any]
) -> None:
    import json

    draw(photos / "heron" / "1.png", 1, seed=1)
    draw(photos / "loose.png", 1, seed=2)
    for litter in ("@eaDir", "cat/@eaDir"):
        (photos / litter).mkdir()
    (photos / "notes.txt").touch()
    words = ["--backbone", "small_cnn", "--weights", "none", "--precision", "fp32"]
    with pytest.raises(SystemExit, match="0"):
        main(["extract", str(photos), *words, "--json"])
    printed, shown = capsys.readouterr()
    text = "4 classes: cat, dog, heron, owl · 38 images, no splits · 1 image without a label"
    assert " ".join(shown.split()).startswith(f"{text} · passed over @eaDir/, 1 other file reading")
    found = json.loads(printed)
    assert found["understood"]["text"] == text
    assert found["understood"]["classes"] == {"cat": 12, "dog": 12, "heron": 1, "owl": 12}
    assert found["notes"] == [
        "passed over 1 files that are no images (.txt 1)",
        "passed over what file servers and desktops leave (@eaDir/ 2)",
    ]
    with pytest.raises(SystemExit, match="0"):
        main(["fit", "photos.headstart", "--head", "centroid", "--json"])
    printed, shown = capsys.readouterr()
    text = "3 classes: cat, dog, owl · 36 images, no splits · 1 image without a label · 1 class too rare"
    assert " ".join(shown.split()).startswith(text)
    assert json.loads(printed)["understood"]["text"] == text


def test_a_fit_says_that_a_limit_left_images_out(embed: Callable[..., Any], elsewhere: Path) -> None:
    from headstart.flows.fitting.job import fit

    cache = embed(limit=30).cache
    summary = fit(cache, "centroid")
    assert any(note.startswith(f"{cache} lists 30 of 36 images, because") for note in summary.notes)
    assert summary.understood is not None
    assert summary.understood.text.endswith("6 more beyond --limit")
    embed()
    assert not any("--limit" in note for note in fit(cache, "centroid").notes)
