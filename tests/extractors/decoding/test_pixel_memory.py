"""Memory of pixels: a comment states what an image takes, all threads share one budget, and what is lacking is said."""

import os
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from support.forked import run_forked
from support.image_bytes import encode, noise

import headstart.extractors.decoding.pixel_memory as room
from headstart.extractors.decoding.decode import decode_image, open_image
from headstart.extractors.errors import NotReadError
from headstart.extractors.memory import memory_left
from headstart.extractors.spec.preprocessing import Preprocessing

MEASURE = """
import re, sys, zlib
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import numpy as np
from PIL import Image
from support.image_bytes import encode, png, png_header
from support.tiff_bands import write_tiff
from headstart.extractors.decoding.decode import decode_image, open_image
from headstart.extractors.decoding.pixel_memory import bytes_a_pixel
from headstart.extractors.memory import give_back_freed_memory
from headstart.extractors.spec.preprocessing import Preprocessing

W, H = 1600, 1250
def status(field):
    return 1024 * int(re.search(field + r":\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
def png16(colour, n_bands):
    rows = zlib.compress((b"\\0" + bytes(2 * W * n_bands)) * H, 1)
    return png(png_header(W, H, 16, colour), (b"IDAT", rows), (b"IEND", b""))
turned = Image.Exif()
turned[274] = 6
def plain(mode, kind, **options):
    return encode(Image.new(mode, (W, H)), kind, **({"compress_level": 1} if kind == "PNG" else {}), **options)
def pnm(kind, white, values):
    return b"%b %d %d %d\\n" % (kind, W, H, white) + values
usual = lambda: {
    "JPEG": plain("RGB", "JPEG", exif=turned), "progressive": plain("RGB", "JPEG", progressive=True, subsampling=0),
    "CMYK": plain("CMYK", "JPEG"), "PNG": plain("RGB", "PNG"), "RGBA": plain("RGBA", "PNG"), "LA": plain("LA", "PNG"),
    "palette": plain("P", "PNG", transparency=0), "GIF": plain("P", "GIF", transparency=0),
    "WebP": plain("RGBA", "WEBP", method=0), "grey 16": png16(0, 1), "colour 16": png16(2, 3),
    "alpha 16": png16(6, 4), "grey alpha 16": png16(4, 2), "TIFF": plain("RGB", "TIFF", compression="tiff_lzw"),
    "TIFF 32": plain("I", "TIFF", compression="tiff_lzw"),
    "planes": write_tiff(np.zeros((H, W, 4), np.uint16), photometric=2, extra=(2,), planar=True, deflate=True),
}
others = lambda: {
    "JPEG 2000": plain("RGB", "JPEG2000"), "JPEG 2000 with alpha": plain("RGBA", "JPEG2000"),
    "grey JPEG 2000": plain("I;16", "JPEG2000"), "AVIF": plain("RGBA", "AVIF", speed=10), "TGA": plain("RGBA", "TGA"),
    "PCX": plain("RGB", "PCX"), "SGI": plain("RGBA", "SGI"), "PNM": plain("RGB", "PPM"),
    "deep PNM": pnm(b"P6", 65535, bytes(6 * W * H)), "deep plain PNM": pnm(b"P3", 4095, b"0 " * (3 * W * H)),
}
cases = {"usual": usual, "others": others}[sys.argv[2]]()
decode_image(plain("RGBA", "PNG"), Preprocessing(), ends=(0, 4095), colour="srgb")
for name, data in cases.items():
    give_back_freed_memory()
    before = status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak
    decode_image(data, Preprocessing(), ends=(0, 4095), colour="srgb")
    taken = (status("VmHWM") - before) / (W * H)
    stated = bytes_a_pixel(open_image(data))
    if taken > stated + 2:  # a few strips
        print(f"{name}: {taken:.1f} bytes a pixel, {stated} are stated")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
@pytest.mark.parametrize("formats", ["usual", "others"])  # what codecs leave behind is held against the next
def test_an_image_takes_no_more_memory_than_is_stated(formats: str) -> None:
    ran = run_forked("-c", MEASURE, Path(__file__).parents[2], formats, env=os.environ)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")


def test_all_threads_share_one_budget_and_a_giant_is_decoded_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    small, giant = (open_image(encode(noise(side, side))) for side in (10, 100))
    monkeypatch.setattr(room, "PIXEL_BYTES", 2 * 100 * 9)  # two of the small ones
    monkeypatch.setattr(room, "_IN_FLIGHT", room._InFlight())
    at_once, most, lock = 0, 0, threading.Lock()
    held: list[int] = []

    def hold(image: Any) -> None:
        nonlocal at_once, most
        for _ in range(50):
            with room.pixels_in_flight(image):
                with lock:
                    at_once += 1
                    most = max(most, at_once)
                    held.append(at_once if image is giant else 0)
                with lock:
                    at_once -= 1

    threads = [threading.Thread(target=hold, args=(one,)) for one in (small, small, small, small, giant)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most <= 2
    assert max(held) == 1
    assert room._IN_FLIGHT.n_bytes == 0


def test_an_image_too_large_for_the_memory_there_is_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_LARGE", 1000)
    monkeypatch.setattr(room, "memory_left", lambda: 2 << 20)
    data = encode(noise(600, 500))
    with pytest.raises(
        NotReadError, match=r"^not enough memory for its 500 × 600 pixels: 2 MiB to decode them, and 2 MiB"
    ):
        decode_image(data, Preprocessing())
    monkeypatch.setattr(room, "memory_left", lambda: 3 << 20)
    assert decode_image(data, Preprocessing()).shape == (224, 224, 3)


@pytest.mark.parametrize(
    "message", ["out of memory error when reading image file", "Error -4 while decompressing data"]
)
def test_a_codec_without_memory_is_no_damage(monkeypatch: pytest.MonkeyPatch, message: str) -> None:
    def refuse(self: Image.Image) -> None:
        raise OSError(message)

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", refuse)
    with pytest.raises(NotReadError, match="not enough memory to decode this PNG"):
        decode_image(encode(noise(4, 4)), Preprocessing())


LIMITED = """
import resource, sys
from headstart.extractors.memory import memory_left
before = memory_left()
resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
print(before > 0, 0 < memory_left() < 4 << 30)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is one of Linux")
def test_a_limit_of_the_process_counts() -> None:
    assert memory_left() is None or memory_left() > 0
    ran = run_forked("-c", LIMITED, env=os.environ)
    assert ran.stdout.split()[1:] == ["True"], ran.stderr


def test_the_limit_of_a_control_group_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from headstart.extractors import memory

    for name, text in {
        "memory.max": "5000",
        "memory.current": "4000",
        "memory.stat": "anon 1\ninactive_file 700",
    }.items():
        (tmp_path / name).write_text(text)
    assert memory._group_left(tmp_path) == 1700
    (tmp_path / "memory.max").write_text("max\n")
    assert memory._group_left(tmp_path) is None
    assert memory._group_left(tmp_path / "nowhere") is None
