"""The hot loop: threads decode the next images while the backbone embeds a batch."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt

from extractors.decode import decode_image
from extractors.errors import NotReadError, UnreadableImage
from extractors.forward import ForwardPass
from extractors.images import ImageSource, read_bytes
from extractors.preprocessing import Preprocessing
from extractors.shards import Array

Listed = tuple[ImageSource, str]  # where an image lies, and the SHA-256 (hex) under which its row is filed


@dataclass(frozen=True)
class Batch:
    """Embedded images, and those that could not be embedded.

    Attributes
    ----------
    rows : int64 array (n_images,)
        Position of each embedded image in what was given to `embed`.
    features : dict of tap to float32 array (n_images, …)
        Row i belongs to the image at ``rows[i]``.
    unreadable : dict of int to str
        Position of each image whose content cannot be decoded, and the reason.
    not_read : dict of int to str
        Position of each image that could not be read this time, and the reason. It says nothing of the content, so it
        must not be kept under the image's digest.
    """

    rows: npt.NDArray[np.int64]
    features: dict[str, Array]
    unreadable: dict[int, str]
    not_read: dict[int, str] = field(default_factory=dict)


def embed(
    forward: ForwardPass, root: Path, images: Iterable[Listed], preprocessing: Preprocessing, *, workers: int
) -> Iterator[Batch]:
    """Embed images in batches, in their order; what cannot be read is reported and never shifts a row.

    Parameters
    ----------
    forward : ForwardPass
        Frozen backbone.
    root : Path
        Folder that the sources are relative to.
    images : iterable of (ImageSource, str)
        Each image and its digest.
    preprocessing : Preprocessing
        How to decode.
    workers : int
        Decoding threads. While a batch is embedded they decode at most two more, and each holds one image in its full
        size.
    """
    rows: list[int] = []
    pixels: list[Array] = []
    unreadable: dict[int, str] = {}
    not_read: dict[int, str] = {}
    for row, image in enumerate(
        decode_ahead(root, images, preprocessing, workers=workers, ahead=2 * forward.batch_size)
    ):
        if isinstance(image, UnreadableImage):
            unreadable[row] = str(image)
            continue
        if isinstance(image, NotReadError):
            not_read[row] = str(image)
            continue
        rows.append(row)
        pixels.append(image)
        if len(pixels) == forward.batch_size:
            yield Batch(np.array(rows), forward(np.stack(pixels)), unreadable, not_read)
            rows, pixels, unreadable, not_read = [], [], {}, {}
    if pixels:
        yield Batch(np.array(rows), forward(np.stack(pixels)), unreadable, not_read)
    elif unreadable or not_read:
        yield Batch(np.array(rows, np.int64), {}, unreadable, not_read)


def decode_ahead(
    root: Path, images: Iterable[Listed], preprocessing: Preprocessing, *, workers: int, ahead: int
) -> Iterator[Array | UnreadableImage | NotReadError]:
    """Decode images on threads, in order, at most `ahead` of what was taken; what gives no array comes as its error."""

    def decode(listed: Listed) -> Array | UnreadableImage | NotReadError:
        source, digest = listed
        try:
            data = read_bytes(root, source)
            # The row is filed under the digest of the listing: it must be these very bytes that are embedded.
            if sha256(data).hexdigest() != digest:
                return NotReadError("the file changed after it was listed; run the same command again")
            return decode_image(data, preprocessing)
        except (UnreadableImage, NotReadError) as error:
            return error
        except MemoryError:
            return NotReadError("not enough memory to decode it; use fewer workers")

    waiting = iter(images)
    pool = ThreadPoolExecutor(workers, thread_name_prefix="decode")
    try:
        pending: deque[Future[Array | UnreadableImage | NotReadError]] = deque(
            pool.submit(decode, listed) for listed in islice(waiting, ahead)
        )
        while pending:
            image = pending.popleft().result()
            pending.extend(pool.submit(decode, listed) for listed in islice(waiting, 1))
            yield image
    finally:
        # An abandoned or failed loop must not go on decoding what nobody will take.
        pool.shutdown(cancel_futures=True)
