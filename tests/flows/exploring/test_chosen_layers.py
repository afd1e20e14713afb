"""Of several layers `cluster` takes the most stable one, and names its clusters where a few labels are given."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from support.array_cache import cache_of

from headstart.flows.cli.app import main
from headstart.flows.exploring.clustering import cluster
from headstart.flows.exploring.clusters import choose_layer
from headstart.flows.exploring.clusters import layers as layers_room
from headstart.heads.transfer.clusters import Stability

NAMES = ("ant", "bee", "fly")


@pytest.fixture(scope="module")
def grouped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(0)
    y = np.arange(60) % 3
    X = rng.normal(size=(3, 8))[y] + 0.1 * rng.normal(size=(60, 8))
    return cache_of(tmp_path_factory.mktemp("named"), X, [NAMES[code] for code in y])


def few_labels(folder: Path, each: dict[str, int]) -> Path:
    listed = [f"{name}/{number:05d}.png" for number in range(60) for name in [NAMES[number % 3]]]
    some = [path for name, n in each.items() for path in [one for one in listed if one.startswith(name)][:n]]
    file = folder / "few.csv"
    pd.DataFrame({"path": some, "kind": [path.split("/")[0] for path in some]}).to_csv(file, index=False)
    return file


def test_a_cluster_is_named_where_labels_tell_and_left_unnamed_where_they_do_not(grouped: Path, tmp_path: Path) -> None:
    few = few_labels(tmp_path, {"ant": 6, "bee": 5, "fly": 2})
    found = cluster(grouped, labels=few, k=(3,), map="pca", out=tmp_path / "out")
    named = {row.most: row for row in found.names if row.method == "kmeans"}
    assert {name: row.name for name, row in named.items()} == {"ant": "ant", "bee": "bee", "fly": None}
    assert (named["fly"].labelled, named["fly"].images) == (2, 20)
    table = pd.read_csv(found.table)
    assert list(table.columns) == ["path", "kind", "kmeans", "hdbscan", "kmeans_name", "hdbscan_name", "x", "y"]
    names = table["kmeans_name"][table["path"].str.startswith("ant")]
    assert set(names) == {"ant"}
    assert table["kmeans_name"][table["path"].str.startswith("fly")].isna().all()
    page = Path(found.page).read_text()
    assert "ant (6 of 6 labels, 61 to 100 %)" in page
    assert "unnamed (most fly: 2 of 2 labels, 34 to 100 %)" in page
    assert any("13 of 13 labels are told by the others of their cluster" in note for note in found.notes)


def test_without_a_file_of_labels_nothing_is_named(grouped: Path, tmp_path: Path) -> None:
    found = cluster(grouped, k=(3,), map="pca", out=tmp_path / "out")
    assert (found.names, found.layers) == ([], [])


def test_the_most_stable_layer_is_clustered_and_random_weights_never_are(
    embed: Callable[..., Any], elsewhere: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cache = embed(backbone="pixels", weights="default").cache
    embed(tap=["features.7:avg", "penultimate"])

    def measure(X: np.ndarray, **_: Any) -> Stability:
        gains = {3: 0.9}.get(X.shape[1], 0.5) + np.array([0.0, 0.01])
        return Stability(agreement=0.9, null=0.3, gains=gains)

    monkeypatch.setattr(layers_room, "measure_stability", measure)
    found = cluster(cache, k=(3,), map="pca")
    assert found.backbone == "headstart/pixels"
    assert [row.random for row in found.layers] == [False, True, True]
    assert any("pixels · " in note and "was chosen of 3 layers" in note for note in found.notes)
    assert any("random weights have clusters as stable" in note for note in found.notes)
    page = Path(found.page).read_text()
    assert page.count('<span class="badge quiet">random weights</span>') == 2
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        main(["cluster", str(cache), "--k", "3", "--map", "pca"])
    shown = capsys.readouterr().out.split("table ")[0]
    assert "beyond it" in shown
    assert max(map(len, shown.splitlines())) <= 80
    with pytest.raises(SystemExit):
        main(["cluster", str(cache), "--k", "3", "--json", "--tap", "features.7:avg"])
    assert json.loads(capsys.readouterr().out)["layers"] == []


def test_copies_are_looked_at_once(embed: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def measure(X: np.ndarray, **_: Any) -> Stability:
        seen.append(len(X))
        return Stability(agreement=0.5, null=0.5, gains=np.zeros(2))

    class Embedded:
        label, tap = "a", "b"
        features = type("Rows", (), {"take": staticmethod(lambda rows: np.zeros((len(rows), 2)))})
        store = type("Store", (), {"about": {"weights_source": "x"}, "key": type("Key", (), {"id": "k"})})

    monkeypatch.setattr(layers_room, "measure_stability", measure)
    notes: list[str] = []
    some: Any = [Embedded(), Embedded()]
    _, rows = choose_layer(some, np.array([0, 0, 1, 2, 2]), notes, seed=0, progress=False)
    assert seen == [3, 3]
    assert [row.tied for row in rows] == [None, True]
    assert any("there may be no clusters here" in note for note in notes)
