"""Groups in an adaptation: no fold tears them, and intervals on the target count them as one."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.array_cache import cache_of

import headstart
from headstart.flows.transfer.adaptation import adapt
from headstart.flows.transfer.adaptation import job as adapt_job


def test_images_of_a_group_stay_together_and_count_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headstart.heads.report.transfer.adapt_page.project", lambda X: np.asarray(X, float)[:, :2])
    folds: list[Any] = []
    known = adapt_job.cross_validate

    def seen(*given: Any) -> Any:
        folds.append((given[1], known(*given)))
        return folds[-1][1]

    monkeypatch.setattr(adapt_job, "cross_validate", seen)
    y = np.arange(96) % 2
    X = np.random.default_rng(0).normal(size=(96, 3)) + 3 * y[:, None]
    cache = cache_of(tmp_path, X, [("cat", "dog")[number] for number in y])
    images = headstart.open(cache).images
    number = images["path"].str.extract(r"(\d+)\.png")[0].astype(int)
    films = number // 8  # of one camera each, four of each class
    images.assign(camera=np.where(number < 48, "old", "new"), group=films.map("film {}".format)).to_csv(
        tmp_path / "films.csv", index=False
    )
    given: Any = {"labels": tmp_path / "films.csv", "domain": "camera", "to": "new", "target": "label"}
    found = adapt(cache, method="coral", out=tmp_path / "out", **given)
    groups, drawn = folds[0]
    assert len(np.unique(groups)) == 6
    assert [set(groups[fit]) & set(groups[scored]) for fit, scored in drawn] == [set()] * 3
    difference = found.rows[1].difference
    assert difference is not None
    assert difference.test == "sign flips of groups"
