"""The model of several label columns on new images."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from headstart.flows.errors import JobError
from headstart.flows.inference import graft, load
from headstart.flows.transfer.multitask import multitask


def test_predict_answers_for_every_column_and_says_what_has_no_place(
    embed: Callable[..., Any], photos: Path, elsewhere: Path
) -> None:
    cache = embed().cache
    paths = sorted(str(path.relative_to(photos)) for path in photos.rglob("*.png"))
    table = pd.DataFrame({"path": paths, "kind": [path.split("/")[0] for path in paths]})
    table.assign(weight=[0.5 + number / 7 for number in range(len(paths))]).to_csv("two.csv", index=False)
    found = multitask(cache, labels="two.csv", max_epochs=2, seeds=2, hidden=[8])
    model = load("cache.multitask")
    assert model.columns == [("kind", ["cat", "dog", "owl"]), ("weight", [])]
    assert "2 label columns: kind, weight" in repr(model)
    answers = model.predict([photos / paths[0], photos / paths[20], photos / "none.png"])
    assert list(answers.columns) == ["path", "kind", "probability_kind", "weight", "reason"]
    assert answers["kind"].isna().tolist() == [False, False, True]
    assert answers["reason"].tolist() == ["", "", "no such file"]
    known = found.to_pandas("predictions").set_index("path").loc[[paths[0], paths[20]]]
    assert answers["kind"].tolist()[:2] == known["kind"].tolist()
    assert answers["weight"].tolist()[:2] == pytest.approx(known["weight"].tolist(), rel=1e-4)
    every = model.predict(photos / paths[0], all_classes=True)
    assert every[[f"probability_kind_{name}" for name in ("cat", "dog", "owl")]].sum(axis=1).item() == pytest.approx(1)
    with pytest.raises(JobError, match="one answer an image, and not kind, weight; leave out --page"):
        model.predict(photos, page="page.html")
    with pytest.raises(JobError, match="predicts several label columns, for which no classifier has a place"):
        graft("cache.multitask", "out.pth")
