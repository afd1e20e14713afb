"""The torture set from end to end: each image is embedded as itself, or quarantined with a reason; nothing else."""

import json
import os
import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from support.cache_contract import check_cache
from support.forked import run_forked
from support.image_bytes import encode
from support.tar_shards import write_tar
from support.torture import EMBEDDED, Case, colour, interleaved, picture, torture_set

from headstart.extractors.backbones.registry import load_backbone
from headstart.extractors.cache.cache import EmbeddingCache
from headstart.extractors.decoding.decode import decode_image
from headstart.extractors.images.reading import image_sources, read_bytes
from headstart.extractors.listing.cache_listing import CacheListing, read_listing
from headstart.flows.extraction.job import extract
from headstart.flows.extraction.summary import ExtractionSummary

NAMES = [
    "with space.png",
    "new\nline.png",
    "🐈.png",
    "quote'\".png",
    "%20.png",
    "back\\slash.png",
    "-dash.png",
    "é.png",
]


class Tortured(NamedTuple):
    """An extraction of the whole set, and the cases by their path in the listing."""

    summary: ExtractionSummary
    listing: CacheListing
    cases: dict[str, Case]


def embed(images: Path, cache: Path) -> ExtractionSummary:
    """Embed raw pixels, in batches that fit nothing."""
    return extract(images, "pixels", cache=cache, precision="fp32", device="cpu", batch_size=7, workers=3)


def all_cases() -> list[Case]:
    named = [Case(name, encode(picture(100 + number)), EMBEDDED) for number, name in enumerate(NAMES)]
    return interleaved([*torture_set(), *named])


def as_folder(folder: Path, cases: list[Case]) -> dict[str, Case]:
    folder.mkdir()
    for case in cases:
        (folder / case.name).write_bytes(case.data)
    return {case.name: case for case in cases}


def as_tar(folder: Path, cases: list[Case]) -> dict[str, Case]:
    odd = [Case(name, encode(picture(120 + at)), EMBEDDED) for at, name in enumerate(("/etc/a.png", "../../b.png"))]
    members = {case.name: case for case in [*odd, *cases]}
    write_tar(folder / "set.tar", {name: case.data for name, case in members.items()})
    return {f"set.tar/{name}": case for name, case in members.items()}


@pytest.fixture(scope="module", params=[as_folder, as_tar])
def tortured(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Tortured:
    place = tmp_path_factory.mktemp("torture")
    cases = request.param(place / "images", all_cases())
    summary = embed(place / "images", place / "cache")
    return Tortured(summary, read_listing(EmbeddingCache(place / "cache")), cases)


def features_of(cache: str | Path, listing: CacheListing) -> dict[str, Any]:
    """Return the embedding of each usable row by its path."""
    (store,) = EmbeddingCache(cache).stores()
    usable = listing.usable
    features = np.asarray(store.view("penultimate", usable["digest"].tolist()))
    return dict(zip(usable["path"], features, strict=True))


def alone(data: bytes) -> Any:
    """Return what raw pixels of this image give when nothing else is decoded."""
    pixels = decode_image(data, load_backbone("pixels").preprocessing)
    return pixels.transpose(2, 0, 1).ravel().astype(np.float32) / 255


def test_every_case_is_listed_once(tortured: Tortured) -> None:
    assert sorted(tortured.listing.rows["path"]) == sorted(tortured.cases)
    assert tortured.summary.images == len(tortured.cases)


def test_each_case_is_embedded_or_quarantined_for_the_right_reason(tortured: Tortured) -> None:
    reasons = tortured.listing.rows.set_index("path")["reason"].to_dict()
    wrong = {
        path: (case.reason, reasons[path])
        for path, case in tortured.cases.items()
        if case.reason is not None
        and (reasons[path] != "" if case.reason == EMBEDDED else not re.search(case.reason, reasons[path]))
    }
    assert wrong == {}


def test_a_row_is_quarantined_exactly_if_it_has_a_reason_that_fits_one_line(tortured: Tortured) -> None:
    rows = tortured.listing.rows
    assert ((rows["status"] == "quarantined") == (rows["reason"] != "")).all()
    assert all("\n" not in reason and "0x" not in reason for reason in rows["reason"])
    assert tortured.summary.quarantined == (rows["reason"] != "").sum() > 60


def test_every_row_is_the_embedding_of_its_own_image_decoded_alone(tortured: Tortured) -> None:
    features = features_of(tortured.summary.cache, tortured.listing)
    assert len(features) > 250
    for path, row in features.items():
        np.testing.assert_allclose(row, alone(tortured.cases[path].data), atol=1e-6, err_msg=path)


def test_the_good_image_behind_each_bad_one_has_its_own_colour(tortured: Tortured) -> None:
    features = features_of(tortured.summary.cache, tortured.listing)
    good = [path for path in tortured.cases if path.endswith("~good.png")]
    for number, path in enumerate(good):
        np.testing.assert_allclose(features[path].reshape(3, -1).T * 255, [colour(number % 256)] * 1024, atol=1e-3)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_what_is_stored_turned_in_eight_ways_is_embedded_upright(tortured: Tortured, suffix: str) -> None:
    features = features_of(tortured.summary.cache, tortured.listing)
    dark_sides = {1: "top", 2: "top", 3: "bottom", 4: "bottom", 5: "left", 6: "right", 7: "right", 8: "left"}
    for orientation, side in dark_sides.items():
        (path,) = [one for one in tortured.cases if one.endswith(f"turned-{orientation}.{suffix}")]
        image = features[path].reshape(3, 32, 32).mean(axis=0)
        edges = {"top": image[2], "bottom": image[-3], "left": image[:, 2], "right": image[:, -3]}
        assert min(edges, key=lambda name: edges[name].mean()) == side, orientation


def test_the_cache_keeps_its_contract(tortured: Tortured) -> None:
    check_cache(EmbeddingCache(tortured.summary.cache))


def test_a_rerun_embeds_nothing_and_finds_the_same_rows_and_reasons(tortured: Tortured) -> None:
    again = embed(tortured.listing.root / ("set.tar" if tortured.listing.kind == "tar" else ""), tortured.summary.cache)
    found = read_listing(EmbeddingCache(tortured.summary.cache)).rows
    assert (again.embedded, again.quarantined) == (0, tortured.summary.quarantined)
    assert found[["path", "digest", "reason"]].equals(tortured.listing.rows[["path", "digest", "reason"]])


def test_members_with_absolute_paths_and_dots_write_nothing_outside_the_cache(tmp_path: Path) -> None:
    names = ["/escape.png", "../../escape.png", "a/../../escape2.png"]
    write_tar(tmp_path / "in/deep/set.tar", {name: encode(picture(at)) for at, name in enumerate(names)})
    before = {*tmp_path.rglob("*"), *Path("/").glob("*"), *tmp_path.parent.glob("*")}
    assert embed(tmp_path / "in/deep/set.tar", tmp_path / "cache").embedded == 3
    after = {*tmp_path.rglob("*"), *Path("/").glob("*"), *tmp_path.parent.glob("*")}
    assert all(tmp_path / "cache" in (path, *path.parents) for path in after - before)


def test_names_that_are_not_utf8_survive_listing_and_rerun_beside_images_that_are_embedded(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    for number, name in enumerate((b"a.png", b"b\xff.png", b"c.png", b"d\xfe\xff.png", b"e.png")):
        (folder / os.fsdecode(name)).write_bytes(encode(picture(number)))
    for embedded in (3, 0):
        assert embed(folder, tmp_path / "cache").embedded == embedded
        rows = read_listing(EmbeddingCache(tmp_path / "cache")).rows
        assert rows["path"].tolist() == ["a.png", r"b\xff.png", "c.png", r"d\xfe\xff.png", "e.png"]
        assert rows["reason"].tolist() == ["", "the name is not valid UTF-8; rename the file"] * 2 + [""]


def test_links_in_circles_and_to_nowhere_neither_hang_nor_shift_a_row(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    for number, name in enumerate(("a/1.png", "b/2.png", "c/3.png")):
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_bytes(encode(picture(number)))
    (folder / "a/up").symlink_to(folder)
    (folder / "b/across").symlink_to(folder / "a")
    (folder / "a/across").symlink_to(folder / "b")
    (folder / "b/0.png").symlink_to(folder / "b/0.png")
    (folder / "c/0.png").symlink_to("nowhere.png")
    summary = embed(folder, tmp_path / "cache")
    listing = read_listing(EmbeddingCache(tmp_path / "cache"))
    assert listing.quarantined[["path", "reason"]].values.tolist() == [
        ["b/0.png", "a link to nowhere"],
        ["c/0.png", "a link to nowhere"],
    ]
    for source in image_sources(listing.usable):
        row = features_of(summary.cache, listing)[source.path]
        np.testing.assert_allclose(row, alone(read_bytes(folder, source)), atol=1e-6)


# Root reads everything, so it gives up its capabilities, and is a user like others whose files these are.
UNPRIVILEGED = """
import ctypes, json, os, sys
from pathlib import Path
from headstart.flows import extract
if os.getuid() == 0:
    header, none = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()  # version 3 of capset(2), this thread
    assert ctypes.CDLL(None).capset(header, none) == 0
place = Path(sys.argv[1])
summary = extract(place / "images", "pixels", cache=place / "cache", precision="fp32", device="cpu")
print(json.dumps([summary.embedded, summary.quarantined]))
"""


def test_what_may_not_be_read_is_quarantined_and_embedded_once_it_may(tmp_path: Path) -> None:
    for number, name in enumerate(("images/a/1.png", "images/a/2.png", "images/b/3.png", "images/c/4.png")):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(encode(picture(number)))
    (tmp_path / "images/a/1.png").chmod(0)
    (tmp_path / "images/b").chmod(0)

    def embed_unprivileged() -> list[int]:
        ran = run_forked("-c", UNPRIVILEGED, tmp_path, env=os.environ)
        assert ran.returncode == 0, ran.stderr
        return list(json.loads(ran.stdout))

    assert embed_unprivileged() == [2, 2]
    found = read_listing(EmbeddingCache(tmp_path / "cache")).quarantined[["path", "reason"]].values.tolist()
    assert found == [["a/1.png", "permission denied"], ["b", "the folder cannot be read: permission denied"]]
    (tmp_path / "images/a/1.png").chmod(0o644)
    (tmp_path / "images/b").chmod(0o755)
    assert embed_unprivileged() == [2, 0]
