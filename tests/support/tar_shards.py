"""Tar shards to list: written by hand, and read back through the listing."""

import io
import tarfile
from pathlib import Path

from headstart.extractors.images.reading import image_sources, read_bytes
from headstart.extractors.images.sources import list_images


def write_tar(path: Path, members: dict[str, bytes]) -> Path:
    """Write members in the order given."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


def add_special(tar: tarfile.TarFile, name: str, kind: bytes, target: str = "") -> None:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    tar.addfile(member)


def contents(source: str | Path) -> dict[str, bytes]:
    """Return path → bytes of all images that can be read."""
    found = list_images(source)
    sources = image_sources(found.rows[found.rows["status"] == "ok"])
    return {each.path: read_bytes(found.root, each) for each in sources}
