"""The job `similar`: neighbours of files, rows and folders, near copies of a whole set, their page and their words."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import CLASSES, draw
from PIL import Image
from support.array_cache import cache_of
from support.report_page import Page
from support.zip_files import zip_folder

from headstart.extractors.cache import EmbeddingCache
from headstart.extractors.listing import read_listing
from headstart.flows.cli.app import main
from headstart.flows.errors import JobError
from headstart.flows.exploring import similar_page
from headstart.flows.exploring.similarity import similar
from headstart.flows.extraction.job import extract


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `photos`, of which two are copies, `photos.headstart` and `new` photographs."""
    place = tmp_path_factory.mktemp("similar")
    for label, name in enumerate(CLASSES):
        for number in range(5):
            draw(place / "photos" / name / f"{number}.png", label, seed=100 * label + number)
        draw(place / "new" / f"{name}.png", label, seed=9000 + label)
    shutil.copy(place / "photos" / CLASSES[0] / "3.png", place / "photos" / CLASSES[2] / "copy.png")
    extract(place / "photos", "pixels", cache=place / "photos.headstart", precision="fp32")
    return place


@pytest.fixture(autouse=True)
def _there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)


def expected(vector: np.ndarray, k: int, without: str = "") -> list[str]:
    """Return the nearest paths by one product over the whole cache."""
    cache = EmbeddingCache("photos.headstart")
    rows = read_listing(cache).usable
    X = np.asarray(cache.stores()[0].view("penultimate", rows["digest"].tolist()), dtype=float)
    cosine = X @ vector / np.linalg.norm(X, axis=1) / np.linalg.norm(vector)
    order = [rows["path"].iat[at] for at in np.argsort(-cosine, kind="stable")]
    return [path for path in order if path != without][:k]


def vector_of(path: str) -> np.ndarray:
    cache = EmbeddingCache("photos.headstart")
    digest = read_listing(cache).usable.set_index("path")["digest"][path]
    return np.asarray(cache.stores()[0].view("penultimate", [digest]), dtype=float)[0]


def paths(found) -> list[str]:
    return [one.path for one in found.found]


def test_a_file_that_the_cache_does_not_know_is_embedded_by_its_own_key(tmp_path: Path) -> None:
    shutil.copytree("photos", tmp_path / "copied")
    draw(tmp_path / "copied" / "cat" / "new.png", 0, seed=77)
    draw(tmp_path / "asked.png", 0, seed=77)
    extract(tmp_path / "copied", "pixels", cache=tmp_path / "with", precision="fp32")
    found = similar("photos.headstart", tmp_path / "asked.png", k=4)
    other = similar(tmp_path / "with", "cat/new.png", k=4)
    assert paths(found) == paths(other)
    assert [one.cosine for one in found.found] == pytest.approx([one.cosine for one in other.found], abs=1e-4)
    assert found.asked == [str(tmp_path / "asked.png")]


def test_the_cache_stays_as_it_is_whatever_is_asked_about() -> None:
    before = {path: path.stat().st_mtime_ns for path in Path("photos.headstart").rglob("*")}
    similar("photos.headstart", "new", k=2)
    assert {path: path.stat().st_mtime_ns for path in Path("photos.headstart").rglob("*")} == before


@pytest.mark.parametrize("word", ["dog/2.png", "photos/dog/2.png", "7", 7, "digest"])
def test_an_image_of_the_cache_is_found_by_path_file_number_or_content_and_is_not_its_own_answer(word) -> None:
    if word == "digest":
        word = read_listing(EmbeddingCache("photos.headstart")).usable.set_index("path")["digest"]["dog/2.png"]
    found = similar("photos.headstart", word, k=4)
    assert paths(found) == expected(vector_of("dog/2.png"), 4, "dog/2.png")
    assert found.found[0].cosine < 1


def test_a_copy_of_an_image_is_its_nearest() -> None:
    for word in ("cat/3.png", "photos/cat/3.png"):
        found = similar("photos.headstart", word, k=1)
        assert paths(found) == ["owl/copy.png"]
        assert found.found[0].cosine == pytest.approx(1, abs=1e-5)


def test_an_image_that_is_known_by_content_needs_no_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "headstart.flows.inference.network", None)
    shutil.copy("photos/dog/2.png", tmp_path / "elsewhere.png")
    assert paths(similar("photos.headstart", tmp_path / "elsewhere.png", k=1)) == ["dog/2.png"]


@pytest.mark.parametrize("word", ["dog", "dog/", "photos/dog"])
def test_each_image_of_a_folder_is_asked_about(word: str) -> None:
    found = similar("photos.headstart", word, k=2)
    assert len(found.asked) == 5
    assert [Path(name).name for name in found.asked] == [f"{number}.png" for number in range(5)]
    assert len(found.found) == 10
    assert paths(found)[:2] == expected(vector_of("dog/0.png"), 2, "dog/0.png")


def test_images_of_any_kind_are_answered_in_the_order_given(tmp_path: Path) -> None:
    archive = zip_folder(Path("new"), tmp_path / "new.zip")
    pixels = np.asarray(Image.open("new/owl.png"))
    found = similar("photos.headstart", ["cat/0.png", archive, 7, pixels, "new/dog.png"], k=1)
    assert len(found.asked) == 1 + 3 + 1 + 1 + 1
    assert (found.asked[0], found.asked[4]) == ("cat/0.png", "dog/2.png")
    assert found.found[5].path == similar("photos.headstart", "new/owl.png", k=1).found[0].path


def test_what_cannot_be_read_is_named_and_the_others_are_answered(tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    found = similar("photos.headstart", [tmp_path / "broken.png", "new/cat.png"], k=1)
    assert found.asked == ["new/cat.png"]
    assert len(found.unreadable) == 1
    assert "broken.png: " in found.unreadable[0]
    with pytest.raises(JobError, match=r"no image can be read \(.*broken\.png: .*; name others"):
        similar("photos.headstart", tmp_path / "broken.png")


def test_all_pairs_are_those_of_the_whole_product(tmp_path: Path) -> None:
    X = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    cache = cache_of(tmp_path, X, ["x"] * 40)
    unit = X / np.linalg.norm(X, axis=1, keepdims=True)
    wanted = {
        (f"x/{left:05}.png", f"x/{right:05}.png") for left, right in np.argwhere(np.triu(unit @ unit.T >= 0.9, 1))
    }
    found = similar(cache, all_pairs=0.9)
    assert {(one.image, one.path) for one in found.found} == wanted
    assert (found.pairs, found.asked) == (len(wanted), [])
    few = similar(cache, all_pairs=0.9, most=3)
    assert few.found == found.found[:3]
    assert few.pairs == len(wanted)
    assert any(f"{len(wanted)} pairs are that close; these are the 3 closest" in note for note in few.notes)


@pytest.mark.parametrize(
    ("images", "options", "message"),
    [
        (
            "nonesuch.png",
            {},
            r"nonesuch\.png: neither a file or folder, nor the path or number of one of the 16 images",
        ),
        ("99", {}, "99: neither a file"),
        (99, {}, "no row 99: photos.headstart lists 16 images; count from 0"),
        ((), {}, r"no image was given; name one, or ask for all pairs with --all-pairs \.95"),
        ("7", {"all_pairs": 0.9}, "compares the cache's own images; name no others"),
        ((), {"all_pairs": 1.5}, "is no cosine to begin at; give one above 0 and at most 1"),
        ((), {"all_pairs": 0.0}, "is no cosine to begin at"),
        ("7", {"page": "x.pdf"}, r"x\.pdf: unknown kind of file; name a \.html file"),
        ("7", {"page": "nowhere/x.html"}, "its folder does not exist"),
        ("7", {"tap": "layer9"}, "no tap 'layer9'"),
        ("7", {"backbone": "vgg"}, "no embeddings of vgg"),
    ],
)
def test_what_is_not_there_is_refused_in_one_line(images, options, message: str) -> None:
    with pytest.raises(JobError, match=message):
        similar("photos.headstart", images, **options)


def test_of_several_keys_one_is_asked_for(tmp_path: Path) -> None:
    shutil.copytree("photos.headstart", tmp_path / "two")
    extract("photos", "pixels", cache=tmp_path / "two", precision="fp32", image_size=24)
    with pytest.raises(JobError, match="which embeddings are meant"):
        similar(tmp_path / "two", "7")
    key = EmbeddingCache(tmp_path / "two").stores()[0].key.id
    assert len(similar(tmp_path / "two", "7", key=key, k=2).found) == 2


def test_views_are_no_embeddings_to_choose_from(tmp_path: Path) -> None:
    shutil.copytree("photos.headstart", tmp_path / "views")
    extract("photos", "pixels", cache=tmp_path / "views", precision="fp32", views=2)
    assert paths(similar(tmp_path / "views", "7", k=3)) == paths(similar("photos.headstart", "7", k=3))


def test_a_backbone_that_is_code_runs_only_once_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mynet.py").write_text(
        "from headstart.extractors.backbones.small_cnn import SmallCNN\ndef build(): return SmallCNN(3)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    cache = extract("photos", "mynet:build", weights="none", cache=tmp_path / "mine", precision="fp32").cache
    assert similar(cache, "photos/dog/2.png", k=1).asked == ["photos/dog/2.png"]  # which the cache knows
    with pytest.raises(JobError, match=r"mynet:build, which is code that would run now; .* --backbone mynet:build"):
        similar(cache, "new/dog.png")
    assert len(similar(cache, "new/dog.png", backbone="mynet:build", k=1).found) == 1


def test_a_row_that_is_not_finite_is_named(tmp_path: Path) -> None:
    X = np.ones((6, 3), np.float32)
    X[4, 1] = np.nan
    with pytest.raises(JobError, match=r"first row: 4.*\(images: x/00004\.png\)"):
        similar(cache_of(tmp_path, X, ["x"] * 6), "0")


def test_the_page_shows_each_image_beside_its_neighbours(tmp_path: Path) -> None:
    found = similar("photos.headstart", ["new/cat.png", "dog/1.png"], k=3, page=tmp_path / "p.html")
    page = Page(Path(found.page).read_text())
    assert len(page.all("img")) == 2 * 4
    for one in found.found:
        assert f"{one.cosine:.3f}" in page.text
    assert "cat.png" in page.text


def test_the_page_shows_pairs_beside_each_other(tmp_path: Path) -> None:
    found = similar("photos.headstart", all_pairs=0.9999, page=tmp_path / "p.html")
    assert [(one.image, one.path) for one in found.found] == [("cat/3.png", "owl/copy.png")]
    page = Page(Path(found.page).read_text())
    assert len(page.all("img")) == 2
    assert "1.000" in page.text


def test_a_page_of_too_many_pictures_is_cut_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(similar_page, "MOST_PICTURES", 12)
    found = similar("photos.headstart", "photos", k=3, page=tmp_path / "p.html")
    assert len(found.asked) == 16
    assert "the page shows the first 3 of 16 images" in found.notes
    assert len(Page(Path(found.page).read_text()).all("img")) == 12
    found = similar("photos.headstart", all_pairs=0.01, page=tmp_path / "p.html")
    assert len(Page(Path(found.page).read_text()).all("img")) == 12


def ended(words: list[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(words)
    assert end.value.code == 0


def test_the_command_prints_cosines_and_paths(capsys: pytest.CaptureFixture[str]) -> None:
    ended(["similar", "photos.headstart", "dog/2.png", "new/cat.png", "--k", "2", "--page", "p.html"])
    printed = capsys.readouterr().out
    one = similar("photos.headstart", "dog/2.png", k=2).found[0]
    assert f"dog/2.png\n{one.cosine:.3f}  {one.path}\n" in printed
    assert "page    p.html   ← open this in a browser" in printed
    assert max(map(len, printed.splitlines())) <= 80


def test_the_command_prints_pairs(capsys: pytest.CaptureFixture[str]) -> None:
    ended(["similar", "photos.headstart", "--all-pairs", ".9999"])
    printed = capsys.readouterr().out
    assert "1 pair among 16 images" in printed
    assert "1.000  cat/3.png\n       owl/copy.png\n" in printed


def test_the_command_gives_json(capsys: pytest.CaptureFixture[str]) -> None:
    ended(["similar", "photos.headstart", "dog/2.png", "--k", "1", "--json"])
    found = json.loads(capsys.readouterr().out)
    (one,) = found["found"]
    assert one == {"image": "dog/2.png", **one}
    assert one.keys() == {"image", "path", "cosine"}
