"""Names that are not ASCII are read wherever Python takes names of files for ASCII, as cron and containers have it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.tar_shards import write_tar
from support.zip_files import zip_folder

from headstart.extractors.cache.cache import EmbeddingCache
from headstart.extractors.images.reading import digest_bytes, image_sources
from headstart.extractors.images.sources import list_images
from headstart.extractors.listing.cache_listing import listed_root

CHILD = """
import json, sys
from headstart.extractors.cache import EmbeddingCache
from headstart.extractors.images import list_images
from headstart.extractors.listing import read_listing, update_listing
assert sys.getfilesystemencoding() == "ascii"
cache, *sources = sys.argv[1:]
found = []
for number, source in enumerate(sources):
    for listed in (sources[number - 1], source):  # the listing of another set is replaced
        update_listing(EmbeddingCache(f"{cache}{number}", create=True), list_images(listed), workers=1)
    rows = read_listing(EmbeddingCache(f"{cache}{number}")).rows
    found.append(rows[["path", "status", "reason", "digest"]].values.tolist())
print(json.dumps(found))
"""


@pytest.fixture
def sources(tmp_path: Path) -> list[Path]:
    """A folder, a manifest, a zip file and tar shards, with names that are not ASCII."""
    folder = tmp_path / "Vögel"
    for name in ("Mäuse/é.jpg", "Mäuse/plain.jpg", "猫/1.jpg", "猫/e"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"\xff\xd8\xff" + name.encode())
    (tmp_path / "Liste.csv").write_text("path\nVögel/Mäuse/é.jpg\nVögel/猫/e\n", "utf-8")
    members = {"é.jpg": b"one", "猫.jpg": b"two"}
    return [
        folder,
        tmp_path / "Liste.csv",
        zip_folder(folder, tmp_path / "Vögel.zip"),
        write_tar(tmp_path / "Tär.tar", members),
        write_tar(tmp_path / "shards" / "ö.tar", members).parent,
    ]


def test_they_are_listed_and_read_as_elsewhere(sources: list[Path], tmp_path: Path) -> None:
    (sources[0] / os.fsdecode(b"torn\xff.jpg")).write_bytes(b"x")  # which is no UTF-8 anywhere
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG"))}
    done = subprocess.run(
        [sys.executable, "-c", CHILD, tmp_path / "cache", *sources],
        env=environment | {"LC_ALL": "C", "PYTHONUTF8": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for number, (source, there) in enumerate(zip(sources, json.loads(done.stdout), strict=True)):
        found = list_images(source)
        assert listed_root(EmbeddingCache(tmp_path / f"cache{number}")) == found.root
        here = found.rows[found.rows["status"] == "ok"]
        digests = [digest_bytes(found.root, image) for image in image_sources(here)]
        assert [(path, digest) for path, status, _, digest in there if status == "ok"] == list(
            zip(here["path"], digests, strict=True)
        )
        assert [(path, reason) for path, status, reason, _ in there if status != "ok"] == list(
            found.rows.loc[found.rows["status"] != "ok", ["path", "reason"]].itertuples(index=False, name=None)
        )
