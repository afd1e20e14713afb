"""The hot loop: threads read and decode images, and the backbone embeds them batch by batch."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import numpy as np
import numpy.typing as npt

from extractors.decode import decode_image
from extractors.errors import NotReadError, UnreadableImage
from extractors.forward import ForwardPass, Pending
from extractors.images import ImageSource, read_bytes
from extractors.preprocessing import Preprocessing
from extractors.shards import Array
from extractors.stages import StageTimes

_READ_AHEAD_BYTES = 256 * 2**20  # encoded files wait in memory: many small ones, or a few large ones

Decoded = Array | UnreadableImage | NotReadError
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


@dataclass(frozen=True, kw_only=True)
class Decoding:
    """How images become pixels.

    Attributes
    ----------
    preprocessing : Preprocessing
        Resize and crop.
    draft : bool
        See `extractors.decode.decode_image`.
    workers : int
        Threads.
    in_turn : bool
        Decode while nothing else is computed, one window of images after the other. On a CPU forward pass and decoding
        want the same cores, and one that is interrupted in the midst of its parallel loops loses more than its share.
    """

    preprocessing: Preprocessing
    draft: bool = False
    workers: int = 1
    in_turn: bool = True


def embed(
    forward: ForwardPass, root: Path, images: Iterable[Listed], decoding: Decoding, times: StageTimes
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
    decoding : Decoding
        Images of 16 batches are decoded ahead and the files of 16 more read; each thread holds one image in full size.
    times : StageTimes
        Where the time goes.
    """
    started: deque[tuple[_Gathered, Pending]] = deque()
    gathered = _Gathered()
    for row, image in enumerate(decode_ahead(root, images, decoding, ahead=_ahead(forward, decoding), times=times)):
        gathered.add(row, image)
        if len(gathered.pixels) == forward.batch_size:
            started.append((gathered, forward.start(np.stack(gathered.pixels))))
            gathered = _Gathered()
            if len(started) > 1 or forward.device.type == "cpu":  # a GPU works on one batch while the next is gathered
                yield _finished(*started.popleft())
    while started:
        yield _finished(*started.popleft())
    if gathered.pixels:
        yield _finished(gathered, forward.start(np.stack(gathered.pixels)))
    elif gathered.unreadable or gathered.not_read:
        yield _finished(gathered, dict)


def _ahead(forward: ForwardPass, decoding: Decoding) -> int:
    """Decode so many images at a time that threads which wait for the last of them hardly count."""
    return max(16 * forward.batch_size, 32 * decoding.workers)


@dataclass
class _Gathered:
    """A batch that is being filled."""

    rows: list[int] = field(default_factory=list)
    pixels: list[Array] = field(default_factory=list)
    unreadable: dict[int, str] = field(default_factory=dict)
    not_read: dict[int, str] = field(default_factory=dict)

    def add(self, row: int, image: Decoded) -> None:
        if isinstance(image, UnreadableImage):
            self.unreadable[row] = str(image)
        elif isinstance(image, NotReadError):
            self.not_read[row] = str(image)
        else:
            self.rows.append(row)
            self.pixels.append(image)


def _finished(gathered: _Gathered, pending: Pending) -> Batch:
    return Batch(np.array(gathered.rows, np.int64), pending(), gathered.unreadable, gathered.not_read)


def decode_ahead(
    root: Path, images: Iterable[Listed], decoding: Decoding, *, ahead: int, times: StageTimes
) -> Iterator[Decoded]:
    """Read and decode images on threads, in order, `ahead` of what was taken; what gives no array comes as its error.

    Files are read while earlier images are decoded and embedded, so that a slow disk is waited for only once.
    """
    waiting = iter(images)
    reading: deque[Future[bytes | NotReadError]] = deque()
    pending: deque[Future[Decoded]] = deque()
    sizes: deque[int] = deque()  # of the files in both
    readers = ThreadPoolExecutor(decoding.workers, thread_name_prefix="read")
    decoders = ThreadPoolExecutor(decoding.workers, thread_name_prefix="decode")

    def read_on() -> None:
        while len(reading) < ahead and sum(sizes) < _READ_AHEAD_BYTES and (listed := next(waiting, None)):
            reading.append(readers.submit(_read, root, listed, times))
            sizes.append(listed[0].bytes)

    try:
        read_on()
        while reading or pending:
            if not pending or not decoding.in_turn:
                pending.extend(
                    decoders.submit(_decode, reading.popleft(), decoding, times)
                    for _ in range(min(ahead - len(pending), len(reading)))
                )
                read_on()
                if decoding.in_turn:
                    wait(pending)
            image = pending.popleft().result()
            sizes.popleft()
            read_on()
            yield image
    finally:
        # An abandoned or failed loop must not go on reading and decoding what nobody will take.
        readers.shutdown(cancel_futures=True)
        decoders.shutdown(cancel_futures=True)


def _read(root: Path, listed: Listed, times: StageTimes) -> bytes | NotReadError:
    source, digest = listed
    try:
        with times.measure("read"):
            data = read_bytes(root, source)
            unchanged = sha256(data).hexdigest() == digest
    except NotReadError as error:
        return error
    # The row is filed under the digest of the listing: it must be these very bytes that are embedded.
    return data if unchanged else NotReadError("the file changed after it was listed; run the same command again")


def _decode(data: "Future[bytes | NotReadError]", decoding: Decoding, times: StageTimes) -> Decoded:
    content = data.result()
    if isinstance(content, NotReadError):
        return content
    try:
        with times.measure("decode"):
            return decode_image(content, decoding.preprocessing, draft=decoding.draft)
    except (UnreadableImage, NotReadError) as error:
        return error
    except MemoryError:
        return NotReadError("not enough memory to decode it; use fewer workers")
