"""Zip files to list: made of a folder, and such as no honest program writes."""

import struct
import zipfile
from pathlib import Path


def zip_folder(folder: Path, target: Path, *, inside: str = "", method: int = zipfile.ZIP_DEFLATED) -> Path:
    """Pack the files of a folder, as they are named in it, below `inside`."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(target, "w", method) as packed:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            packed.write(path, f"{inside}{path.relative_to(folder).as_posix()}")
    return target


def write_zip(target: Path, members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    """Write members in the order given."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(target, "w", method) as packed:
        for name, data in members.items():
            packed.writestr(name, data)
    return target


def change_entry(target: Path, name: str, at: int, value: bytes) -> None:
    """Overwrite bytes of a member's entry in the table of contents: 8 flags, 10 method, 20 folded size, 24 size,
    42 offset."""
    data = bytearray(target.read_bytes())
    start = data.index(name.encode(), data.index(b"PK\x01\x02")) - 46
    data[start + at : start + at + len(value)] = value
    target.write_bytes(data)


def entry_offset(target: Path, name: str) -> bytes:
    """Return where a member lies, as its entry says it."""
    with zipfile.ZipFile(target) as packed:
        return struct.pack("<L", packed.getinfo(name).header_offset)
