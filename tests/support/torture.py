"""The torture set: what happens to images in the wild, each case with what must become of it."""

import random
import struct
import zlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from PIL import Image
from support.image_bytes import encode, png, png16, png_header, tiff

SUFFIXES = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp", "TIFF": "tif", "GIF": "gif", "BMP": "bmp"}
EMBEDDED, EITHER = "", None
UNKNOWN = "^not an image in a known format"
TOO_LARGE = "(is over the limit of|with more pixels than the limit of) 178_956_970$"
_FLIPS = 12  # files of each format, with one to eight wrong bytes


class Case(NamedTuple):
    """One file: `reason` matches that of its quarantine; EMBEDDED, or EITHER where both are right."""

    name: str
    data: bytes
    reason: str | None


def colour(number: int) -> tuple[int, int, int]:
    """Return a colour that no other number below 256 has."""
    return number, (number * 101 + 40) % 256, (number * 197 + 90) % 256


def picture(number: int, size: tuple[int, int] = (48, 40)) -> Image.Image:
    """Return an image in a colour of its own, with a dark band above, so that it has an upright position."""
    image = Image.new("RGB", size, colour(number))
    image.paste((5, 10, 15), (0, 0, size[0], size[1] // 4))
    return image


def torture_set() -> list[Case]:
    """Return all cases, under names that are unique."""
    return [*_cut(), *_flipped(), *_misnamed(), *_modes(), *_several_frames(), *_turned(), *_bombs()]


def interleaved(cases: list[Case]) -> list[Case]:
    """Put a good image, in a colour of its own, behind each case, so that a row that is shifted is a wrong row."""
    beside = [
        Case(f"{case.name}~good.png", encode(Image.new("RGB", (48, 40), colour(number % 256))), EMBEDDED)
        for number, case in enumerate(cases)
    ]
    return [case for pair in zip(cases, beside, strict=True) for case in pair]


def _cut() -> Iterator[Case]:
    for kind, suffix in SUFFIXES.items():
        noise = np.random.default_rng(1).integers(0, 256, (40, 48, 3), dtype=np.uint8)
        whole = encode(Image.fromarray(noise), kind)
        for tenths in range(1, 10):
            yield Case(f"cut-{tenths}0.{suffix}", whole[: len(whole) * tenths // 10], "^damaged ")
        yield Case(f"cut-00.{suffix}", b"", r"^empty file \(0 bytes\)$")
        yield Case(f"cut-100.{suffix}", whole, EMBEDDED)


def _flipped() -> Iterator[Case]:
    chance = random.Random(3)  # noqa: S311 - no secret
    for number, (kind, suffix) in enumerate(SUFFIXES.items()):
        for flip in range(_FLIPS):
            data = bytearray(encode(picture(number), kind))
            for _ in range(chance.choice([1, 2, 8])):
                data[chance.randrange(len(data))] ^= chance.randrange(1, 256)
            yield Case(f"flipped-{flip:02d}.{suffix}", bytes(data), EITHER)


def _misnamed() -> Iterator[Case]:
    yield Case("jpeg-called.png", encode(picture(20), "JPEG"), EMBEDDED)
    yield Case("png-called.jpg", encode(picture(21), "PNG"), EMBEDDED)
    yield Case("webp-called.tif", encode(picture(22), "WEBP"), EMBEDDED)
    yield Case("text-called.jpg", b"just text", UNKNOWN)
    yield Case("page-called.jpg", b"<html><body>404 Not Found</body></html>", UNKNOWN)
    yield Case("postscript-called.png", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", UNKNOWN)
    yield Case("zeros-called.bmp", bytes(4096), UNKNOWN)


def _modes() -> Iterator[Case]:
    cmyk = bytearray(encode(Image.new("CMYK", (48, 40), (0, 200, 100, 30)), "JPEG"))  # Pillow's has Adobe's marker
    ycck = cmyk.copy()
    ycck[ycck.index(b"Adobe") + 11] = 2
    palette = picture(30).quantize(8)
    yield Case("cmyk-adobe.jpg", bytes(cmyk), EMBEDDED)
    yield Case("ycck-adobe.jpg", bytes(ycck), EMBEDDED)
    yield Case("cmyk.tif", encode(Image.new("CMYK", (48, 40), (10, 200, 30, 0)), "TIFF"), EMBEDDED)
    yield Case("deep-grey.png", png16([0x1234, 0xABCD, 0xFFFF, 7], 0), EMBEDDED)
    yield Case("deep-colour.png", png16([0x1234, 0xABCD, 0xFFFF], 2), EMBEDDED)
    yield Case("deep-alpha.png", png16([0x1234, 0xABCD, 0xFFFF, 0x8000], 6), EMBEDDED)
    yield Case("deep-grey.tif", tiff(4, struct.pack("<4H", 0, 0x1234, 0xABCD, 9), bits=16), EMBEDDED)
    yield Case("one-bit.png", encode(picture(31).convert("1")), EMBEDDED)
    yield Case("one-bit.tif", encode(picture(32).convert("1"), "TIFF"), EMBEDDED)
    yield Case("palette.png", encode(palette), EMBEDDED)
    yield Case("palette-transparent.png", encode(palette, transparency=0), EMBEDDED)
    yield Case("palette-alphas.png", encode(palette, transparency=bytes(range(0, 256, 32))), EMBEDDED)
    yield Case("palette-transparent.gif", encode(palette, "GIF", transparency=1), EMBEDDED)
    yield Case("alpha.webp", encode(picture(33).convert("RGBA"), "WEBP", lossless=True), EMBEDDED)
    yield Case("progressive.jpg", encode(picture(34), "JPEG", progressive=True), EMBEDDED)
    yield Case("one-pixel.png", encode(picture(35, (1, 1))), EMBEDDED)
    yield Case("a-line.png", encode(picture(36, (3000, 1))), EMBEDDED)
    yield Case("float.tif", encode(Image.new("F", (4, 4), 0.5), "TIFF"), "^float pixels")


def _several_frames() -> Iterator[Case]:
    frames = [picture(number) for number in (40, 41, 42)]
    for kind, options in {"GIF": {}, "WEBP": {"lossless": True}, "PNG": {}, "TIFF": {}}.items():
        given: dict[str, Any] = {"save_all": True, "append_images": frames[1:], **options}
        yield Case(f"animated.{SUFFIXES[kind]}", encode(frames[0], kind, **given), EMBEDDED)


def _turned() -> Iterator[Case]:
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        for kind in ("JPEG", "PNG", "WEBP", "TIFF"):
            data = encode(picture(50 + orientation), kind, exif=exif)
            yield Case(f"turned-{orientation}.{SUFFIXES[kind]}", data, EMBEDDED)


def _bombs() -> Iterator[Case]:
    end = (b"IEND", b"")
    row = bytes(1 + 20_000 // 8)
    side = struct.pack("<HH", 65_535, 65_535)
    webp_side = (16_384 - 1).to_bytes(3, "little")
    webp = b"WEBPVP8X" + struct.pack("<I", 10) + bytes(4) + webp_side + webp_side
    yield Case("bomb-header.png", png(png_header(100_000, 100_000), (b"IDAT", b""), end), TOO_LARGE)
    # 200 million pixels of one bit, all there, in 25 kB.
    one_bit = png(png_header(20_000, 10_000, 1, 0), (b"IDAT", zlib.compress(row * 10_000)), end)
    yield Case("bomb-whole.png", one_bit, TOO_LARGE)
    packed = zlib.compress(bytes(10_000_000))
    yield Case("bomb.tif", tiff(100_000, packed, bits=8, height=100_000, compression=8), TOO_LARGE)
    yield Case("bomb-unpacks-to-more.tif", tiff(50, packed, bits=8, height=50, compression=8), EITHER)
    yield Case("bomb.gif", b"GIF89a" + side + b"\0\0\0," + bytes(4) + side + b"\0\x02\0;", TOO_LARGE)
    yield Case("bomb.webp", b"RIFF" + struct.pack("<I", len(webp)) + webp, f"{TOO_LARGE}|^damaged WebP: ")
    header = struct.pack("<IiiHHIIiiII", 40, 100_000, 100_000, 1, 24, 0, 0, 1, 1, 0, 0)
    yield Case("bomb.bmp", b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + header, TOO_LARGE)
    text = (b"zTXt", b"Comment\0\0" + zlib.compress(bytes(100_000_000), 9))
    small = (b"IDAT", zlib.compress(b"\0\x80"))
    yield Case("bomb-comment.png", png(png_header(1, 1, colour=0), text, small, end), EITHER)
