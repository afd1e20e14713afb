"""Advice: four cells and negative transfer where the right answer is known, from constructed rows to the sentence."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from support.advice_cache import EARLY, LAST, LEARNED, PIXELS, RANDOM, advice_cache, telling

from headstart.flows.errors import JobError
from headstart.flows.transfer.advice import AdviceSummary, advise
from headstart.heads.errors import DataError


@pytest.fixture(autouse=True)
def _here(elsewhere: Path) -> None:
    pass


def classes_of(n_each: int, n_classes: int = 2) -> np.ndarray:
    """So many classes that a fit trains on `n_each` images of each: a fifth is held back."""
    return np.arange(round(n_each * n_classes / 0.8)) % n_classes


def made(folder: Path, y: np.ndarray, early: float, last: float, **controls: float) -> Path:
    """A cache of a network whose early and last layer tell the classes so well, and of controls."""
    own = {EARLY: telling(y, early, 1), LAST: telling(y, last, 2)}
    named = {"random": RANDOM, "pixels": PIXELS}
    others = {named[name]: {LAST: telling(y, apart, 3)} for name, apart in controls.items()}
    return advice_cache(folder, [f"class {one}" for one in y], {LEARNED: own, **others})


def advised(cache: Path, **options: Any) -> AdviceSummary:
    return advise(cache, as_cached=True, **options)


@pytest.mark.parametrize(
    ("n_each", "early", "last", "action", "size", "near"),
    [
        (20, 0.0, 4.0, "linear-last", "little", "similar"),
        (20, 5.0, 1.0, "linear-earlier", "little", "different"),
        (100, 0.0, 1.5, "finetune-tail", "lots", "similar"),
        (100, 1.6, 0.0, "retrain", "lots", "different"),
    ],
)
def test_each_cell_is_advised_where_layers_and_images_are_made_for_it(
    tmp_path: Path, n_each: int, early: float, last: float, action: str, size: str, near: str
) -> None:
    found = advised(made(tmp_path, classes_of(n_each), early, last, random=0.0, pixels=0.0))
    assert (found.advice.action, found.advice.size, found.advice.near) == (action, size, near)
    assert (found.advice.near_by, found.advice.overruled, found.advice.transfer) == ("layers", None, "positive")
    assert found.images_per_class == n_each
    command = "headstart finetune" if action in ("finetune-tail", "retrain") else "headstart fit"
    assert found.commands[0].startswith(command)


def test_no_layer_is_trained_where_there_is_next_to_nothing_to_mend(tmp_path: Path) -> None:
    found = advised(made(tmp_path, classes_of(100), 0.0, 8.0, random=0.0, pixels=0.0))
    assert (found.advice.cell, found.advice.action, found.advice.overruled) == ("finetune-tail", "linear-last", "room")
    assert "Half of the few errors less" in found.findings[-1].says


@pytest.mark.parametrize(
    ("last", "controls", "transfer"),
    [
        (0.0, {"random": 0.0, "pixels": 5.0}, "negative"),
        (5.0, {"random": 0.0, "pixels": 5.0}, "unproven"),
        (5.0, {"random": 0.0, "pixels": 0.0}, "positive"),
        (5.0, {}, "no control"),
    ],
)
def test_negative_transfer_is_warned_of_where_a_control_tells_as_much(
    tmp_path: Path, last: float, controls: dict[str, float], transfer: str
) -> None:
    found = advised(made(tmp_path, classes_of(20), 0.0, last, **controls))
    assert found.advice.transfer == transfer
    assert found.transfer.startswith("Warning") == (transfer in ("negative", "unproven"))
    assert [one.second for one in found.controls] == ["raw pixels", f"small_cnn, random weights · {LAST}"][
        : len(controls)
    ]
    assert ("Warning" in Path(found.page).read_text()) == found.transfer.startswith("Warning")


def test_without_a_control_the_commands_that_make_one_are_given(tmp_path: Path) -> None:
    cache = made(tmp_path, classes_of(20), 0.0, 5.0)
    found = advised(cache)
    assert found.commands[1:] == [
        f"headstart extract {tmp_path}/images --backbone raw_pixels --cache {cache}",
        f"headstart extract {tmp_path}/images --backbone small_cnn --weights none --cache {cache}",
    ]


def test_where_the_last_layer_alone_is_known_the_command_that_reads_others_is_given(tmp_path: Path) -> None:
    y = classes_of(20)
    found = advised(advice_cache(tmp_path, [str(one) for one in y], {LEARNED: {LAST: telling(y, 5.0, 1)}}))
    assert found.earlier is None
    assert (found.advice.near, found.advice.action) == (None, "linear-last")
    assert "--weights encoder.safetensors --tap features." in found.commands[-1]


def sourced(folder: Path, shift: float) -> tuple[Path, Path]:
    """A task, and a source of six classes beside it, so far away."""
    y, of_source = classes_of(40), np.arange(300) % 6
    rows = {EARLY: telling(of_source, 2.0, 5), LAST: telling(of_source, 2.0, 6) + shift}
    source = advice_cache(folder / "source", [str(one) for one in of_source], {LEARNED: rows})
    return made(folder / "task", y, 0.0, 3.0, random=0.0), source


@pytest.mark.parametrize(("shift", "near"), [(0.0, "similar"), (30.0, "different")])
def test_likeness_to_a_source_goes_before_what_layers_suggest_and_the_best_layer_before_both(
    tmp_path: Path, shift: float, near: str
) -> None:
    cache, source = sourced(tmp_path, shift)
    found = advised(cache, source=source)
    assert found.likeness is not None
    assert (found.advice.near, found.advice.near_by) == (near, "source")
    assert found.advice.action == "linear-last"
    assert found.advice.overruled == (None if near == "similar" else "layers")
    assert [one.name for one in found.likeness.measures] == ["proxy-A", "separation", "Fréchet", "MMD²"]
    assert "Likeness to the source" in Path(found.page).read_text()


def test_images_that_are_in_both_count_as_the_tasks_alone(tmp_path: Path) -> None:
    cache = made(tmp_path, classes_of(40), 0.0, 3.0)
    found = advised(cache, source=cache)
    assert found.likeness is None or found.likeness.size < 40
    assert any("images of the source are among the target's" in note for note in found.notes)


@pytest.mark.parametrize(
    ("networks", "reason"),
    [({RANDOM: LAST}, "no embeddings of a network with weights"), ({PIXELS: LAST}, "no embeddings of a network")],
)
def test_a_cache_of_controls_alone_gets_no_advice(tmp_path: Path, networks: dict[str, str], reason: str) -> None:
    y = classes_of(20)
    layers = {name: {tap: telling(y, 3.0, 1)} for name, tap in networks.items()}
    with pytest.raises(JobError, match=reason):
        advised(advice_cache(tmp_path, [str(one) for one in y], layers))


def test_numbers_get_none(tmp_path: Path) -> None:
    y = classes_of(20)
    cache = made(tmp_path, y, 0.0, 5.0)
    paths = sorted(str(one.relative_to(tmp_path / "images")) for one in (tmp_path / "images").rglob("*.png"))
    pd.DataFrame({"path": paths, "weight": np.arange(len(y)) + 0.5}).to_csv("weights.csv", index=False)
    with pytest.raises(JobError, match=r"'weight' is a number to predict.*headstart rank"):
        advised(cache, labels="weights.csv")


def test_a_source_of_other_features_or_of_too_few_images_is_told(tmp_path: Path) -> None:
    y = classes_of(20)
    cache, few = made(tmp_path / "task", y, 0.0, 5.0), np.arange(12) % 2
    other = advice_cache(tmp_path / "other", [str(one) for one in few], {PIXELS: {LAST: telling(few, 1.0, 1)}})
    with pytest.raises(JobError, match=r"has no penultimate of small_cnn .*headstart extract IMAGES --backbone"):
        advised(cache, source=other)
    rows = {LAST: telling(few, 1.0, 1)}
    small = advice_cache(tmp_path / "small", [f"few {one}" for one in few], {LEARNED: rows})
    with pytest.raises((DataError, JobError), match=r"likeness: the source has|among the target's"):
        advised(cache, source=small)
