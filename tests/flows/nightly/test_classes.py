"""A night that loses a class keeps the model, says what is gone, and compares scores of the same classes alone."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from conftest import draw

from headstart.flows.experiment.tables import Experiment, FitTable
from headstart.flows.nightly.night import NightSummary
from headstart.flows.nightly.record import NightRecord
from headstart.flows.nightly.text import night_lines, night_page

Night = Callable[..., NightSummary]


def model_of(experiment: Experiment) -> dict[str, bytes]:
    folder = experiment.out / "model"
    return {path.name: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def unmount(photos: Path, name: str) -> Callable[[], Any]:
    (photos / name).rename(photos.parent / name)
    return lambda: (photos.parent / name).rename(photos / name)


def spoil(photos: Path, name: str) -> Callable[[], Any]:
    contents = {path: path.read_bytes() for path in (photos / name).iterdir()}
    for path in contents:
        path.write_bytes(b"no image")
    return lambda: [path.write_bytes(content) for path, content in contents.items()]


def thin_out(photos: Path, name: str) -> Callable[[], Any]:
    contents = {path: path.read_bytes() for path in sorted((photos / name).iterdir())[1:]}
    for path in contents:
        path.unlink()
    return lambda: [path.write_bytes(content) for path, content in contents.items()]


@pytest.mark.parametrize(
    ("lose", "noted"),
    [
        (unmount, "owl had 12 readable images and has none tonight: nothing was fitted"),
        (spoil, "owl had 12 readable images and has none tonight, 12 that cannot be read: nothing was fitted"),
        (thin_out, "owl had 12 readable images and has 1 tonight, too few to fit: nothing was fitted"),
    ],
    ids=["unmounted", "unreadable", "all but one gone"],
)
def test_a_night_that_loses_a_class_alerts_and_keeps_the_model_until_it_is_back(
    hold: Night, photos: Path, experiment: Experiment, lose: Callable[..., Callable[[], Any]], noted: str
) -> None:
    hold()
    before = model_of(experiment)
    bring_back = lose(photos, "owl")
    for _ in range(2):  # the next night tells it again
        night = hold()
        assert night.alerts[0].startswith(noted)
        assert f"the model of before is kept. Bring the images back, or delete {experiment.out}" in night.alerts[0]
        assert night.changes.gone + night.changes.quarantined >= 11
        assert (night.refitted, [one.label for one in night.lost]) == ([], ["owl"])
        assert (night.scores[0].remark, night.scores[0].fell) == ("not fitted again", False)
        assert model_of(experiment) == before
        assert "**Alert**" in night_page(night)
        assert "heads   not fitted: owl would be lost." in night_lines(night)
        assert "1 class is gone, and the models are those of before." in night_lines(night)[0]
    bring_back()
    after = hold()
    assert (after.alerts, after.lost, after.refitted, after.changes.any) == ([], [], [], False)
    assert model_of(experiment) == before


def test_all_classes_but_one_may_be_lost(hold: Night, photos: Path, experiment: Experiment) -> None:
    hold()
    before = model_of(experiment)
    for name in ("dog", "owl"):
        unmount(photos, name)
    night = hold()
    assert [one.label for one in night.lost] == ["dog", "owl"]
    assert model_of(experiment) == before


def test_whoever_deletes_the_model_goes_on_without_the_class_and_no_score_is_compared(
    hold: Night, photos: Path, experiment: Experiment
) -> None:
    hold()
    unmount(photos, "owl")
    hold()
    (experiment.out / "model").unlink()  # which is where the model of the latest run is found
    night = hold()
    assert (night.alerts, night.lost) == ([], [])
    assert night.scores[0].remark == "not comparable: the classes are others (owl gone)"
    assert (night.scores[0].difference, night.scores[0].fell) == (None, False)
    assert hold().scores[0].remark == "not fitted again"


def test_a_new_class_with_one_image_ends_no_night_with_an_error(
    hold: Night, photos: Path, experiment: Experiment
) -> None:
    hold()
    draw(photos / "heron" / "1.png", 1, seed=900)
    night = hold()
    assert night.alerts == []
    assert night.notes == ["fit: classes with too few images are left out: heron (1) (min_images)"]
    (photos / "heron" / "1.png").unlink()  # what no model knows is not missed
    assert hold().lost == []
    for number in range(8):
        draw(photos / "heron" / f"{number}.png", 1, seed=910 + number)
    assert hold().scores[0].remark == "not comparable: the classes are others (heron new)"


def test_of_several_fits_the_one_that_would_lose_a_class_is_named(hold: Night, photos: Path) -> None:
    tables = [FitTable(name=name, head=["centroid"], folds=2, test_size=0.5) for name in ("coarse", "fine")]
    hold(fit=tables)
    unmount(photos, "owl")
    assert [alert.partition(":")[0] for alert in hold(fit=tables).alerts] == ["coarse", "fine"]


def test_a_record_of_before_is_read_and_knows_its_classes_after_one_quiet_night(
    hold: Night, photos: Path, experiment: Experiment
) -> None:
    hold()
    record = NightRecord.read(experiment.out)
    assert record is not None
    assert record.classes == {"fit": {"cat": 12, "dog": 12, "owl": 12}}
    replace(record, classes={}).write(experiment.out)
    assert pq.read_table(experiment.out / "night.parquet").num_rows == 36
    assert hold().refitted == []
    unmount(photos, "owl")
    assert [one.label for one in hold().lost] == ["owl"]
