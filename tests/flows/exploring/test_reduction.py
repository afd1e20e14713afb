"""The job `reduce`: fitted without test images, saved, and the very same transform for later images."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import draw
from support.array_cache import cache_of

from headstart.flows.cli.app import main
from headstart.flows.errors import JobError
from headstart.flows.exploring.reduction import reduce
from headstart.heads.errors import HeadError
from headstart.heads.transfer.reduction import read_reduction


def test_later_images_go_through_the_transform_of_before(embed: Callable[..., Any], elsewhere: Path) -> None:
    cache = embed().cache
    found = reduce(cache, size=4)
    assert (found.images, found.fitted_on, found.size) == (36, 36, 4)
    assert {one.way for one in found.kept} == {"all features", "pca", "pca, whitened", "random projection"}
    assert "random projection" in Path(found.page).read_text()
    assert pd.read_csv(found.table).shape == (36, 5)
    later = draw(elsewhere / "later" / "new.png", 1, seed=77)
    draw(elsewhere / "later" / "same.png", 0, seed=3)  # the cache's cat/03.png
    again = reduce(cache, str(elsewhere / "later"), by="cache.reduced", out="later.reduced")
    assert again.fitted_on == 0
    names = pd.read_csv(again.table)["path"].tolist()
    assert [Path(name).name for name in names] == [later.name, "same.png"]
    old = found.to_numpy()[pd.read_csv(found.table)["path"].tolist().index("cat/03.png")]
    np.testing.assert_allclose(again.to_numpy()[1], old, rtol=1e-5, atol=1e-6)
    whole = reduce(cache, by="later.reduced", out="whole.reduced")  # the transform is handed on, too
    np.testing.assert_array_equal(whole.to_numpy(), found.to_numpy())
    assert read_reduction(Path(whole.transform))[1]["tap"] == "penultimate"


def test_test_images_are_reduced_but_not_fitted_on(tmp_path: Path, elsewhere: Path) -> None:
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(size=(30, 1)) * np.eye(6)[0], rng.normal(size=(10, 1)) * np.eye(6)[5]])
    X += 0.01 * rng.normal(size=X.shape) + np.eye(6)[2]
    cache = cache_of(tmp_path, X, ["a", "b"] * 20, ["train"] * 30 + ["test"] * 10)
    found = reduce(cache, size=1)
    assert (found.images, found.fitted_on) == (40, 30)
    assert np.abs(read_reduction(Path(found.transform))[0].components[0]).argmax() == 0
    assert any("fitted without the 10 test images" in note for note in found.notes)


@pytest.mark.parametrize(
    ("images", "options", "message"),
    [
        (["0"], {}, "name its folder with --by, or fit one without images"),
        ((), {"by": "nowhere"}, r"nowhere: no transform.json; name a folder that 'headstart reduce' wrote"),
        ((), {"target": "colour"}, "no label column 'colour'; there are label; leave --target out"),
        ((), {"by": "other.reduced", "out": "other.reduced"}, "name another folder with --out"),
    ],
)
def test_what_cannot_be_reduced_is_told(
    tmp_path: Path, elsewhere: Path, images: Any, options: dict[str, Any], message: str
) -> None:
    cache = cache_of(tmp_path / "own", np.random.default_rng(0).normal(size=(20, 5)), ["a", "b"] * 10)
    reduce(cache, size=2, out="other.reduced")
    with pytest.raises((JobError, HeadError), match=message):
        reduce(cache, images, **options)


def test_a_transform_of_another_layer_is_refused(embed: Callable[..., Any], tmp_path: Path, elsewhere: Path) -> None:
    reduce(embed().cache, size=2, out="own.reduced")
    other = cache_of(tmp_path / "other", np.random.default_rng(0).normal(size=(20, 5)), ["a", "b"] * 10)
    with pytest.raises(JobError, match=r"no embeddings small_cnn-.* · penultimate, which own.reduced reduces; run"):
        reduce(other, by="own.reduced")


def test_the_command_prints_80_columns_or_json(
    tmp_path: Path, elsewhere: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    cache = cache_of(tmp_path, np.random.default_rng(0).normal(size=(60, 9)), ["a", "b", "c"] * 20)
    with pytest.raises(SystemExit) as done:
        main(["reduce", str(cache), "--size", "3", "--whiten"])
    assert done.value.code == 0
    shown = capsys.readouterr().out
    assert "9 features in 3 dimensions" in shown
    assert "--by images.reduced --out DIR" in shown
    assert max(map(len, shown.split("later ")[0].splitlines())) <= 80
    with pytest.raises(SystemExit):
        main(["reduce", str(cache), "--json"])
    assert len(json.loads(capsys.readouterr().out)["kept"]) == 4
