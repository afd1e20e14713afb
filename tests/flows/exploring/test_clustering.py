"""The job `cluster`: groups of images with and without labels, a table, a page, and what the command prints."""

import json
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from support.array_cache import cache_of
from support.report_page import Page

from headstart.flows.cli.app import main
from headstart.flows.errors import JobError
from headstart.flows.exploring import cluster_page
from headstart.flows.exploring.clustering import cluster

NAMES = ("<b>ee", "wasp", "ant")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    generator = np.random.default_rng(0)
    y = np.arange(90) % 3
    X = generator.normal(size=(3, 8))[y] + 0.1 * generator.normal(size=(90, 8))
    return cache_of(tmp_path_factory.mktemp("clusters"), X, [NAMES[code] for code in y])


def test_clusters_agree_with_labels_that_they_never_saw(cache: Path, tmp_path: Path) -> None:
    found = cluster(cache, k=(2, 3, 5), out=tmp_path / "out")
    assert [row.method for row in found.methods] == ["kmeans", "hdbscan"]
    assert found.methods[0].params == {"k": 3}
    assert [row.clusters for row in found.methods] == [3, 3]
    assert found.methods[0].ari == 1.0
    assert found.methods[0].nmi == pytest.approx(1.0)
    assert {row.params["k"] for row in found.tried} == {2, 3, 5}
    assert (found.images, found.target) == (90, "label")


def test_the_table_has_a_cluster_of_each_method_for_each_path(cache: Path, tmp_path: Path) -> None:
    found = cluster(cache, k=(3,), out=tmp_path / "out")
    table = pd.read_csv(found.table)
    assert list(table.columns) == ["path", "label", "kmeans", "hdbscan", "x", "y"]
    assert len(table) == 90
    assert table["path"].str.startswith(tuple(f"{name}/" for name in NAMES)).all()
    assert len(table[["label", "kmeans"]].drop_duplicates()) == 3
    assert np.isfinite(table[["x", "y"]]).all(axis=None)


def test_the_page_is_one_file_with_a_map_for_each_method_and_the_labels(cache: Path, tmp_path: Path) -> None:
    found = cluster(cache, k=(3,), out=tmp_path / "out")
    page = Path(found.page).read_text()
    assert page.count("<svg") == 3
    assert not re.search(r'(src|href)="(?!#)', page)
    assert page.count("<script") == 3, "the page's own, and what it is told"
    assert "<b>ee" not in page
    assert "&lt;b&gt;ee (100 %)" in page
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    for svg in re.findall(r"<svg.*?</svg>", page, re.DOTALL):
        ET.fromstring(re.sub(r"xlink:href", "href", svg))  # noqa: S314 - our own page


def test_each_cluster_shows_the_images_nearest_to_its_middle(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    features = np.repeat(np.eye(4)[:2] * 9, 20, axis=0) + generator.normal(size=(40, 4))
    features[7], features[21] = features[:20].mean(axis=0), features[20:].mean(axis=0)
    cache = cache_of(tmp_path, features, ["<i>x"] * 40)
    for number, file in enumerate(sorted(Path(cache).with_suffix("").rglob("*.png"))):
        Image.new("RGB", (40, 30), (6 * number, 90, 90)).save(file)
    page = Page(Path(cluster(cache, k=(2,), out=tmp_path / "out").page).read_text())
    assert page.text.count("20 images, most are <i>x (100 %)") >= 2
    assert len(page.all("img")) >= 16
    assert all(image["src"].startswith("data:image/jpeg;base64,") for image in page.all("img"))
    assert "00007.png" in page.text
    assert "00021.png" in page.text
    policy = next(meta["content"] for meta in page.all("meta") if "http-equiv" in meta)
    assert re.fullmatch(
        r"default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'sha256-[\w+/]{43}='", policy
    )


def test_a_smaller_cluster_beyond_what_is_shown_is_counted(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster_page, "_MOST_CLUSTERS", 2)
    page = Page(Path(cluster(cache, k=(3,), out=tmp_path / "out").page).read_text())
    assert "1 smaller ones are not shown" in page.text
    assert page.text.count("no thumbnail") == 2 * 2 * 8


def test_without_labels_there_is_nothing_to_agree_with(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    flat = cache_of(tmp_path, generator.normal(size=(20, 4)), ["."] * 20)
    found = cluster(flat, k=(2,), out=tmp_path / "out")
    assert found.target is None
    assert found.methods[0].ari is None
    assert list(pd.read_csv(found.table).columns) == ["path", "kmeans", "hdbscan", "x", "y"]
    assert Path(found.page).read_text().count("<svg") == 2


def test_without_umap_the_map_is_pcas_and_a_note_says_so(cache: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("headstart.heads.analysis.clustering.find_spec", lambda _: None)
    found = cluster(cache, k=(3,), out=tmp_path / "out")
    assert found.map == "pca"
    assert any("UMAP" in note and "headstart[umap]" in note for note in found.notes)
    assert not cluster(cache, k=(3,), map="pca", out=tmp_path / "pca").notes


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tap": "layer9"}, "no tap 'layer9'; there are penultimate"),
        ({"target": "colour"}, "no label column 'colour'; there are label"),
        ({"backbone": "vgg"}, "no embeddings of vgg"),
    ],
)
def test_what_is_not_there_is_refused(cache: Path, tmp_path: Path, options, message: str) -> None:
    with pytest.raises(JobError, match=message):
        cluster(cache, out=tmp_path / "out", **options)


def test_other_files_are_not_mixed_with_clusters(cache: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(JobError, match="holds other files than results"):
        cluster(cache, out=tmp_path)


def test_the_command_prints_a_table_of_80_columns(cache: Path, tmp_path: Path, capsys, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    main_ended(["cluster", str(cache), "--k", "2", "--k", "3", "--map", "pca", "--out", str(tmp_path / "out")])
    printed = capsys.readouterr().out
    assert "kmeans" in printed
    assert "hdbscan" in printed
    assert max(len(line) for line in printed.split("table ")[0].splitlines()) <= 80


def test_the_command_gives_json(cache: Path, tmp_path: Path, capsys) -> None:
    main_ended(["cluster", str(cache), "--k", "3", "--json", "--out", str(tmp_path / "out")])
    found = json.loads(capsys.readouterr().out)
    assert found["methods"][0]["clusters"] == 3


def main_ended(words: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 0
