"""The kind of a file is known by its first bytes, wherever images are listed."""

import os
import shutil
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image
from support.image_bytes import encode
from support.remote_servers import s3_server
from support.tar_shards import contents, write_tar
from support.zip_files import zip_folder

from headstart.extractors.decoding.decode import decode_rgb
from headstart.extractors.images.sources import list_images

NAMED = ["a.jpg", "b.JPEG", "c.jfif", "d.ppm", "g.jpe", "h.pgm", "i.pbm", "j.pnm", "k.tga", "l.jp2", "m.avif"]
UNNAMED = ["e", "f.jpg_large", "n.PNG~", "o.data", "p.txt", "q.png.bak"]
OTHER = {"notes.txt": b"BM, not an image", "thumbs.db": b"\xd0\xcf\x11\xe0", "empty": b"", "zeros.bin": bytes(4096)}
KINDS = {"jp2": "JPEG2000", "avif": "AVIF", "tga": "TGA", "ppm": "PPM", "pgm": "PPM", "pbm": "PPM", "pnm": "PPM"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Images under usual and unusual names, and files that are none."""
    (tmp_path / "set").mkdir()
    for number, name in enumerate([*NAMED, *UNNAMED]):
        image = Image.new("RGB", (8, 8), (number * 10, 100, 50))
        (tmp_path / "set" / name).write_bytes(encode(image, KINDS.get(name.rpartition(".")[2].lower(), "PNG")))
    for name, data in OTHER.items():
        (tmp_path / "set" / name).write_bytes(data)
    return tmp_path / "set"


def assert_all(source: Path | str, *, but: set[str] = frozenset()) -> None:
    found = list_images(source)
    read = contents(source)
    names = {path.rpartition("/")[2]: data for path, data in read.items()}
    assert sorted(names) == sorted({*NAMED, *UNNAMED} - but)
    assert all(decode_rgb(data).size == (8, 8) for data in names.values())
    assert found.ignored == Counter(Path(name).suffix for name in {*OTHER, *but})


def test_in_a_folder(folder: Path) -> None:
    assert_all(folder)


def test_in_a_zip_file(folder: Path, tmp_path: Path) -> None:
    assert_all(zip_folder(folder, tmp_path / "set.zip"))


def test_in_a_tar(folder: Path, tmp_path: Path) -> None:
    assert_all(write_tar(tmp_path / "set.tar", {path.name: path.read_bytes() for path in sorted(folder.iterdir())}))


def test_in_an_object_store_unless_the_name_says_what_it_is(folder: Path) -> None:
    with s3_server() as server:
        server.refused = lambda _path: False
        assert_all(server.put("kinds", folder, "set/"), but={"p.txt"})


def test_a_pipe_is_never_waited_for(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    os.mkfifo(folder / "pipe.jpg")
    rows = list_images(folder).rows.set_index("path")
    assert "pipe" not in rows.index
    assert rows.loc["pipe.jpg", "reason"] == "is a device, pipe or socket, not a file"


def test_a_file_that_leads_out_is_not_looked_into(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(folder / "e", tmp_path / "outside")
    (folder / "out").symlink_to(tmp_path / "outside")
    assert "out" in list_images(folder).rows["path"].tolist()
    monkeypatch.setenv("HEADSTART_SECURITY", f'{{"roots": ["{folder}"]}}')
    found = list_images(folder)
    assert "out" not in found.rows["path"].tolist()
    assert found.ignored[""] == 2


def test_a_closed_format_keeps_its_row_wherever_it_lies(folder: Path) -> None:
    (folder / "drawing").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n")
    assert "drawing" in list_images(folder).rows["path"].tolist()
