"""What cannot be decoded says why, whatever the damage, and nothing else happens."""

import random
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
from PIL import Image
from support.image_bytes import encode, noise, pixels, png, png_header, tiff

from headstart.extractors.decoding.decode import MAX_PIXELS, decode_image, decode_rgb
from headstart.extractors.errors import NotReadError, UnreadableImage
from headstart.extractors.spec.preprocessing import Preprocessing


def test_no_bytes_are_an_empty_file() -> None:
    with pytest.raises(UnreadableImage, match=r"^empty file \(0 bytes\)$"):
        decode_rgb(b"")


@pytest.mark.parametrize(
    "data",
    [
        b"just text",
        b"<html><body>404 Not Found</body></html>",
        b"%PDF-1.7\n",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        b"P7\nWIDTH 1\nHEIGHT 1\nDEPTH 3\nMAXVAL 255\nENDHDR\nabc",
        b"\0",
        b"\x89PNG",
    ],
    ids=["text", "page", "pdf", "eps", "pam", "null", "four bytes of PNG"],
)
def test_other_formats_are_refused(data: bytes) -> None:
    known = r"JPEG, PNG, WebP, GIF, BMP, TIFF, PNM, JPEG 2000, AVIF, PCX, SGI, TGA"
    with pytest.raises(UnreadableImage, match=rf"^not an image in a known format \({known}\)(, but PostScript; .*)?$"):
        decode_rgb(data)


@pytest.mark.parametrize("tenths", range(1, 10))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_a_cut_image_is_unreadable_wherever_it_is_cut(kind: str, tenths: int) -> None:
    data = encode(noise(64, 64), kind)
    name = {"WEBP": "WebP"}.get(kind, kind)

    with pytest.raises(UnreadableImage, match=rf"^damaged {name}: ."):
        decode_rgb(data[: len(data) * tenths // 10])


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_damage_anywhere_gives_an_image_or_a_reason_and_nothing_else(kind: str) -> None:
    whole = encode(noise(16, 16), kind)
    chance = random.Random(0)  # noqa: S311 - no secret
    preprocessing = Preprocessing(resize=None, crop=(4, 4))
    reasons = set()
    for _ in range(300):
        data = bytearray(whole)
        for _ in range(chance.choice([1, 2, 8])):
            data[chance.randrange(len(data))] = chance.randrange(256)
        try:
            assert decode_image(bytes(data), preprocessing).shape == (4, 4, 3)
        except UnreadableImage as error:
            reasons.add(str(error))

    assert reasons
    assert all(reason and "\n" not in reason and "0x" not in reason for reason in reasons)


def test_a_mistake_of_our_own_is_not_taken_for_a_damaged_image(monkeypatch: pytest.MonkeyPatch) -> None:
    def mistake(self: Image.Image, *args: object) -> None:
        raise TypeError("a mistake")

    monkeypatch.setattr(Image.Image, "crop", mistake)

    with pytest.raises(TypeError, match="a mistake"):
        decode_image(encode(noise(4, 4)), Preprocessing())


def test_an_image_too_large_for_the_memory_is_not_read_this_time(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Image.Image) -> None:
        raise MemoryError

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", refuse)

    with pytest.raises(NotReadError, match="not enough memory to decode this BMP"):
        decode_rgb(encode(noise(4, 4), "BMP"))


def test_fifty_thousand_pixels_squared_are_refused_by_their_header() -> None:
    with pytest.raises(
        UnreadableImage, match=r"^50000 \N{MULTIPLICATION SIGN} 50000 pixels is over the limit of 178_956_970$"
    ):
        decode_rgb(png(png_header(50_000, 50_000), (b"IDAT", b""), (b"IEND", b"")))


def test_a_webp_that_claims_too_many_pixels_is_refused() -> None:
    side = (16_384 - 1).to_bytes(3, "little")
    data = b"RIFF" + struct.pack("<I", 22) + b"WEBPVP8X" + struct.pack("<I", 10) + bytes(4) + side + side

    # Either Pillow looks at the header first, as version 13 does, or its decoder finds no frame.
    with pytest.raises(
        UnreadableImage, match=r"^(WebP with more pixels than the limit of 178_956_970|damaged WebP: .*)$"
    ):
        decode_rgb(data)


@pytest.mark.parametrize("height", [89_479, 178_956])
def test_sizes_that_pillow_warns_of_are_read_without_a_warning(height: int) -> None:
    # Damaged on purpose, so that the test does not decode half a gigabyte: the size is judged before the pixels.
    with pytest.raises(UnreadableImage, match=r"^damaged PNG"):
        decode_rgb(png(png_header(1000, height, colour=0), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")))


def test_the_limit_is_where_pillow_refuses() -> None:
    assert Image.MAX_IMAGE_PIXELS is not None
    assert 2 * Image.MAX_IMAGE_PIXELS <= MAX_PIXELS < 2 * Image.MAX_IMAGE_PIXELS + 2


def test_damaged_metadata_print_no_warning(tmp_path: Path) -> None:
    exif = (
        b"Exif\0\0II*\0\x08\0\0\0\x02\0" + struct.pack("<HHII", 0x010F, 2, 4000, 99) + struct.pack("<HHI", 0x0112, 3, 1)
    )
    (tmp_path / "a.jpg").write_bytes(encode(noise(8, 8), "JPEG", exif=exif))
    code = (
        "import sys; from headstart.extractors.decoding.decode import decode_rgb; "
        "decode_rgb(open(sys.argv[1], 'rb').read())"
    )
    noisy = "import sys; from PIL import Image; Image.open(sys.argv[1]).getexif()"

    results = [
        subprocess.run([sys.executable, "-c", each, tmp_path / "a.jpg"], check=True, capture_output=True)
        for each in (code, noisy)
    ]

    assert results[0].stderr == b""
    assert b"Warning" in results[1].stderr


def test_a_wrong_suffix_does_not_matter_as_the_content_decides() -> None:
    data = encode(Image.new("RGB", (1, 1), (1, 2, 3)), "BMP")

    assert pixels(data) == [(1, 2, 3)]


def test_libtiff_writes_nothing_through_the_progress_bar(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UnreadableImage, match="damaged TIFF"):
        decode_rgb(tiff(50, b"no deflated pixels", bits=8, height=50, compression=8))
    assert capfd.readouterr() == ("", "")
