"""Pixels of a cache's images, for a network that is trained from the first layer on."""

from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import numpy as np
import numpy.typing as npt

from headstart.extractors.cache import as_hex
from headstart.extractors.decoding import decode_image
from headstart.extractors.images import ImageRoot, read_bytes
from headstart.extractors.listing import UsableImages
from headstart.extractors.memory import memory_left
from headstart.extractors.spec import EmbeddingKey, Preprocessing
from headstart.flows.errors import JobError
from headstart.flows.output import progress_bar


@dataclass(frozen=True)
class Pixels:
    """Images as a network takes them, a few at a time; kept as bytes (n_images, height, width, 3)."""

    decoded: npt.NDArray[np.uint8]
    preprocessing: Preprocessing

    def __len__(self) -> int:
        return len(self.decoded)

    def __getitem__(self, numbers: npt.NDArray[np.intp], /) -> npt.NDArray[Any]:
        mean, std = (np.array(values, np.float32) for values in (self.preprocessing.mean, self.preprocessing.std))
        normalised = (self.decoded[numbers] / np.float32(255) - mean) / std
        return np.ascontiguousarray(normalised.transpose(0, 3, 1, 2))


def read_pixels(root: ImageRoot, images: UsableImages, key: EmbeddingKey, *, progress: bool) -> Pixels:
    """Decode all images as a key says.

    Raises
    ------
    JobError
        They do not fit in memory, or one is no longer the image that was embedded.
    """
    needed, left = len(images) * 3 * key.preprocessing.crop[0] * key.preprocessing.crop[1], memory_left()
    if left is not None and needed > left // 2:
        raise JobError(
            f"the pixels of {len(images)} images take {needed / 1e9:.1f} GB of {left / 1e9:.1f} that are free; guide "
            "from a later layer (--from LAYER), whose maps are read a few at a time"
        )
    decoded = []
    digests = as_hex(images.digest)
    with progress_bar("decoding", len(images), show=progress) as advance:
        for source, digest in zip(images.sources(np.arange(len(images))), digests, strict=True):
            data = read_bytes(root, source)
            if sha256(data).hexdigest() != digest:
                raise JobError(f"{source.path}: is another image than was embedded; run 'headstart extract' again")
            decoded.append(decode_image(data, key.preprocessing, ends=key.range, colour=key.colour))
            advance(1)
    return Pixels(np.stack(decoded), key.preprocessing)
