"""Three kinds of nights on real files: something new, nothing, and something that somebody should look at."""

import base64
import io
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import CLASSES, draw
from PIL import Image

from headstart.flows.experiment.tables import Experiment, FitTable
from headstart.flows.nightly.night import NightSummary
from headstart.flows.nightly.text import night_lines, night_page
from headstart.heads.errors import DataError

Night = Callable[..., NightSummary]


def draw_dark(path: Path, seed: int) -> None:
    """Write an image unlike all others: dark, and the same in all channels."""
    noise = np.random.default_rng(seed).normal(20, 5, (40, 48, 1)).clip(0, 255).astype(np.uint8)
    Image.fromarray(noise.repeat(3, axis=2)).save(path)


def results_of(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def models_of(folder: Path) -> dict[str, bytes]:
    """What fits leave, and what is kept of a night that changed nothing: all but the page about it."""
    return {path: content for path, content in results_of(folder).items() if not path.endswith("night.html")}


def add_dark(photos: Path, n_each: int) -> None:
    for label, name in enumerate(CLASSES):
        for number in range(n_each):
            draw_dark(photos / name / f"dark{number}.png", seed=100 * label + number)


def test_what_is_new_is_embedded_nothing_costs_nothing_and_what_drifts_is_told(
    hold: Night, photos: Path, experiment: Experiment
) -> None:
    first = hold()
    assert (first.first, first.images, first.embedded, first.changes.new) == (True, 36, 36, 36)
    assert (first.refitted, first.drifts, first.alerts) == (["it is the first night"], [], [])

    for number in range(3):
        draw(photos / "dog" / f"new{number}.png", 1, seed=900 + number)
    (photos / "owl" / "cut.png").write_bytes((photos / "owl" / "00.png").read_bytes()[:300])
    (photos / "cat" / "00.png").unlink()
    second = hold()
    counts = second.changes
    assert (counts.new, counts.changed, counts.gone, counts.quarantined) == (3, 0, 1, 1)
    assert (second.embedded, second.quarantined) == (3, 1)
    assert second.refitted == ["the labelled images, their labels, splits or groups changed"]
    assert second.scores[0].remark == "by the intervals of both scores: the test images changed"
    assert (
        second.drifts[0].test.reason
        == "too few to tell: 12 old and 3 new images can be compared, 10 of each are needed"
    )
    assert second.alerts == []

    before = models_of(experiment.out)
    third = hold()
    assert not third.changes.any
    assert (third.embedded, third.refitted, third.drifts, third.alerts) == (0, [], [], [])
    assert third.scores[0].remark == "not fitted again"
    assert models_of(experiment.out) == before

    add_dark(photos, 5)
    fourth = hold()
    assert (fourth.embedded, fourth.drifts[0].test.n_new, fourth.drifts[0].within_classes) == (15, 15, True)
    drift = "15 new images drift from 38 old ones of their classes (p = 0.001, alert below 0.01)"
    assert fourth.alerts[-1] == drift
    assert "# birds: **Alert**" in night_page(fourth)
    assert sorted(fourth.drifts[0].farthest) == sorted(
        f"{name}/dark{number}.png" for name in CLASSES for number in range(5)
    )
    page = Path(fourth.page).read_text()
    assert Path(fourth.page) == experiment.out / "night.html"
    assert (page.count("data:image/jpeg;base64,"), "cat/dark0.png" in page, "http" in page) == (15, True, False)
    assert drift in page
    assert len(page) < 200_000


def test_deep_images_that_drift_are_shown_in_the_range_of_the_key(hold: Night, photos: Path) -> None:
    def deepen(pattern: str) -> None:
        for path in photos.rglob(pattern):
            Image.fromarray(np.asarray(Image.open(path).convert("L")).astype(np.uint16) * 16).save(path)

    deepen("*.png")
    hold()
    add_dark(photos, 5)
    deepen("dark*.png")
    night = hold()
    shown = re.findall('base64,([^"]+)', Path(night.page).read_text())
    levels = [np.asarray(Image.open(io.BytesIO(base64.b64decode(one)))).mean() for one in shown]
    assert len(levels) == 15
    assert levels == pytest.approx([20] * 15, abs=3)  # as they were drawn; of 16 bits it would be 1


def test_a_night_that_fails_leaves_the_last_results_and_the_next_one_tells_what_it_missed(
    hold: Night, photos: Path, experiment: Experiment
) -> None:
    hold()
    before = results_of(experiment.out)
    draw(photos / "cat" / "new.png", 0, seed=900)
    with pytest.raises(DataError, match=r"test_size 0\.01 of 37 images"):
        hold(fit=[FitTable(head=["centroid"], folds=2, test_size=0.01)])
    assert results_of(experiment.out) == before
    after = hold()
    assert (after.changes.new, after.changes.gone, after.embedded) == (1, 0, 0)  # the night that failed embedded it
    assert after.refitted == ["the labelled images, their labels, splits or groups changed"]


def test_a_night_that_could_not_be_told_is_told_by_the_next(hold: Night, photos: Path) -> None:
    hold()
    draw(photos / "cat" / "new.png", 0, seed=900)

    def fail(_: NightSummary) -> None:
        raise ConnectionError

    with pytest.raises(ConnectionError):
        hold(leave=fail)
    pages: list[NightSummary] = []
    assert hold(leave=pages.append).changes.new == 1
    assert [night.changes.new for night in pages] == [1]


def test_images_without_labels_are_looked_at_and_no_head_is_fitted_again(
    hold: Night, photos: Path, experiment: Experiment
) -> None:
    manifest = photos.parent / "images.csv"
    rows = [f"photos/{path.relative_to(photos)},{path.parent.name}" for path in sorted(photos.rglob("*.png"))]
    manifest.write_text("\n".join(["path,label", *rows, ""]))
    hold(images=str(manifest))
    add_dark(photos, 5)
    dark = [f"photos/{path.relative_to(photos)}," for path in sorted(photos.rglob("dark*.png"))]
    manifest.write_text("\n".join(["path,label", *rows, *dark, ""]))
    night = hold(images=str(manifest))
    assert (night.embedded, night.refitted) == (15, [])
    assert (night.drifts[0].within_classes, night.drifts[0].drifts) == (False, True)


def test_of_one_group_one_image_is_compared(hold: Night, photos: Path) -> None:
    manifest = photos.parent / "images.csv"
    rows = [
        f"photos/{path.relative_to(photos)},{path.parent.name},{path.stem}" for path in sorted(photos.rglob("*.png"))
    ]
    manifest.write_text("\n".join(["path,label,group", *rows, ""]))
    hold(images=str(manifest))
    add_dark(photos, 5)
    dark = [f"photos/{path.relative_to(photos)},,night" for path in sorted(photos.rglob("dark*.png"))]
    manifest.write_text("\n".join(["path,label,group", *rows, *dark, ""]))
    test = hold(images=str(manifest)).drifts[0].test
    assert (test.n_old, test.n_new, test.p_value) == (12, 1, None)


def test_every_fit_of_several_is_told_by_its_name_and_their_p_values_are_corrected(
    hold: Night, photos: Path, experiment: Experiment
) -> None:
    tables = [FitTable(name=name, head=["centroid"], folds=2, test_size=0.5) for name in ("coarse", "fine")]
    first = hold(fit=tables)
    add_dark(photos, 5)
    night = hold(fit=tables)
    assert [score.name for score in first.scores] == ["coarse", "fine"]
    assert [drift.test.p_value for drift in night.drifts] == [0.001, 0.001]
    assert [drift.p_adjusted for drift in night.drifts] == [0.002, 0.002]
    assert [alert.partition(":")[0] for alert in night.alerts[-2:]] == ["coarse", "fine"]


def test_the_page_says_all_that_matters_and_takes_no_mark_from_a_file_name(
    hold: Night, photos: Path, experiment: Experiment
) -> None:
    hold()
    draw(photos / "dog" / "a|b <i>*x*.png", 1, seed=900)
    (photos / "cat" / "01.png").write_bytes(b"no image")
    page = night_page(hold())
    assert page.startswith("# birds: no alert\n")
    assert "| new | 1 | dog/a\\|b \\<i\\>\\*x\\*.png |" in page
    assert "| newly quarantined | 1 | cat/01.png: " in page
    assert "fitted: the labelled images, their labels, splits or groups changed." in page
    assert "| fit | accuracy | 100.0 % " in page
    assert "too few to tell" in page
    quiet = hold()
    assert "36 images" not in night_page(quiet)
    assert "37 images, 1 of them in quarantine; nothing changed: nothing was embedded and no head was" in night_page(
        quiet
    )
    assert night_lines(quiet)[-2] == "drift   no image is new, so there is nothing to compare."
