"""JPEGs decoded, resized and cropped on the GPU that embeds them; what it is not made for is left to Pillow."""

import io
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it
from PIL import JpegImagePlugin

from headstart.extractors.decoding.decode import JPEG_SIGNATURE
from headstart.extractors.decoding.profiles import conversion
from headstart.extractors.decoding.resizing import MAX_PIXELS, new_size
from headstart.extractors.decoding.upright import EXIF_ORIENTATION
from headstart.extractors.spec import Colour, Preprocessing

# torchvision 0.29 announces that its decoder will go; it is used where there is no torchcodec. The filter stands here
# because filters belong to the process, and threads decode at the same time.
warnings.filterwarnings("ignore", category=DeprecationWarning, message="The image decoding and encoding capabilities")

_FILTERS = {"bilinear", "bicubic"}  # of Pillow's, those that torch has, too
_END_OF_IMAGE = b"\xff\xd9"
_TRAILER_BYTES = 1 << 16  # cameras write previews and padding behind the image


def decode_jpegs(
    files: Sequence[bytes], preprocessing: Preprocessing, device: torch.device, colour: Colour = "as-stored"
) -> list[torch.Tensor | None]:
    """Decode JPEG files in one call, and resize and crop each.

    Parameters
    ----------
    files : sequence of bytes
        Encoded images of any kind.
    preprocessing : Preprocessing
        Its `resize`, `crop` and `interpolation` are applied, without aliasing, as Pillow does up to rounding.
    device : torch.device
        A CUDA device, whose decoder is used; on the CPU the same library's decoder gives nearly the same.
    colour : {"srgb", "as-stored"}
        With ``srgb``, Pillow must look at what has another profile.

    Returns
    -------
    list of uint8 tensor (crop height, crop width, 3) or None
        On the device; None for what Pillow must look at: other formats, turned or CMYK photographs, damaged files.
    """
    suitable = [
        row for row, data in enumerate(files) if preprocessing.interpolation in _FILTERS and _is_plain(data, colour)
    ]
    encoded = [torch.frombuffer(bytearray(files[row]), dtype=torch.uint8) for row in suitable]
    pixels: list[torch.Tensor | None] = [None] * len(files)
    for row, image in zip(suitable, _decode_all(encoded, device), strict=True):
        if image is not None:
            pixels[row] = _resize_and_crop(image, preprocessing)
    return pixels


def _decode_all(encoded: list[torch.Tensor], device: torch.device) -> list[torch.Tensor | None]:
    decode = jpeg_decoder()
    if decode is None:
        return [None] * len(encoded)
    if not encoded:
        return []
    try:
        return list(decode(encoded, device))
    except RuntimeError:  # one bad file fails the call for all: find out which
        # Alone in its call, it is Pillow's to say what is wrong with it, or to read it after all.
        return [None] if len(encoded) == 1 else [_decode_all([data], device)[0] for data in encoded]


@cache
def jpeg_decoder() -> "JpegDecoder | None":
    """Find the decoder of JPEGs on a GPU: torchcodec's, or torchvision's where there is no torchcodec ≥ 0.16.

    Both are nvJPEG, and are asked for 8-bit RGB of files that stand upright, which neither turns; so a row means the
    same whichever it was, and the key does not name it.
    """
    try:
        from torchcodec.decoders import decode_jpeg as by_torchcodec  # noqa: PLC0415 - an extra
    except (ImportError, OSError, RuntimeError):  # absent, before 0.16, or without the libraries that it loads
        pass
    else:
        return JpegDecoder("torchcodec", lambda files, device: by_torchcodec(files, mode="RGB", device=device))
    try:
        from torchvision.io import ImageReadMode, decode_jpeg  # noqa: PLC0415 - a later torchvision may not have it
    except ImportError:
        return None
    return JpegDecoder("torchvision", lambda files, device: decode_jpeg(files, mode=ImageReadMode.RGB, device=device))


@dataclass(frozen=True)
class JpegDecoder:
    """A library's decoder, by the library's name: takes encoded files (1-D uint8, on the CPU) and a device."""

    library: str
    decode: Callable[[list[torch.Tensor], torch.device], list[torch.Tensor]]

    def __call__(self, files: list[torch.Tensor], device: torch.device) -> list[torch.Tensor]:
        """Return uint8 tensors (3, height, width) on the device."""
        return self.decode(files, device)


def _is_plain(data: bytes, colour: Colour) -> bool:
    """Tell whether a file is a whole JPEG in grey or YCbCr that stands upright, by its header and its last bytes."""
    if not JPEG_SIGNATURE.match(data) or _END_OF_IMAGE not in data[-_TRAILER_BYTES:]:
        return False
    try:
        header = JpegImagePlugin.JpegImageFile(io.BytesIO(data))
        upright = header.getexif().get(EXIF_ORIENTATION, 1) == 1
        if colour == "srgb" and conversion(header):
            return False
    except Exception:  # noqa: BLE001 - whatever is wrong with it, Pillow will say when it decodes it in full
        return False
    return upright and header.mode in {"L", "RGB"} and header.width * header.height <= MAX_PIXELS


def _resize_and_crop(image: torch.Tensor, preprocessing: Preprocessing) -> torch.Tensor:
    """Bring (3, height, width) uint8 to (crop height, crop width, 3) uint8."""
    height, width = image.shape[1:]
    new_width, new_height = new_size((width, height), preprocessing.resize)
    if (new_height, new_width) != (height, width):
        # In float32: torch has no filter against aliasing for uint8 on a GPU.
        resized = F.interpolate(
            image[None].float(), (new_height, new_width), mode=preprocessing.interpolation, antialias=True
        )
        image = resized[0].round().clamp(0, 255).to(torch.uint8)
    from torchvision.transforms.v2.functional import center_crop  # noqa: PLC0415 - takes seconds; only GPUs need it

    cropped: torch.Tensor = center_crop(image, list(preprocessing.crop))
    return cropped.permute(1, 2, 0)
