"""Images read and decoded ahead of the forward pass, on threads or on its GPU."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from itertools import islice
from typing import TypeVar

import torch

from headstart.extractors.arrays import Array
from headstart.extractors.decoding.decode import decode_image
from headstart.extractors.decoding.gpu_jpegs import decode_jpegs
from headstart.extractors.decoding.remarks import Remarks, is_one_value
from headstart.extractors.errors import NotReadError, UnreadableImage
from headstart.extractors.images import ImageRoot, ImageSource, read_bytes
from headstart.extractors.spec import Colour, Decode, Preprocessing, Range, View, Whole
from headstart.extractors.stages import StageTimes

_READ_AHEAD_BYTES = 256 * 2**20  # encoded files wait in memory: many small ones, or a few large ones

Listed = tuple[ImageSource, str]  # where an image lies, and the SHA-256 (hex) under which its row is filed
Decoded = Array | torch.Tensor | UnreadableImage | NotReadError
_Result = TypeVar("_Result")


@dataclass(frozen=True, kw_only=True)
class Decoding:
    """How images become pixels.

    Attributes
    ----------
    preprocessing : Preprocessing
        Resize and crop.
    decode : {"full", "draft", "nvjpeg"}
        See `extractors.spec.key.EmbeddingKey`; ``nvjpeg`` is done on the device of the forward pass.
    workers : int
        Threads.
    in_turn : bool
        Decode while nothing else is computed, one window of images after the other. On a CPU forward pass and decoding
        want the same cores, and one that is interrupted in the midst of its parallel loops loses more than its share.
    range : "whole" or (float, float)
        Black and white of pixels of more than 8 bits.
    colour : {"srgb", "as-stored"}
        What becomes of other colour profiles.
    view : "whole" or View
        What is seen of each image; views are not decoded by ``nvjpeg``.
    remarks : Remarks
        Takes up what is to be said of images.
    """

    preprocessing: Preprocessing
    decode: Decode = "full"
    workers: int = 1
    in_turn: bool = True
    range: Whole | Range = "whole"
    colour: Colour = "as-stored"
    view: View | Whole = "whole"
    remarks: Remarks = field(default_factory=Remarks, compare=False)


def decode_images(
    root: ImageRoot,
    images: Iterable[Listed],
    decoding: Decoding,
    device: torch.device,
    batch_size: int,
    times: StageTimes,
) -> Iterator[Decoded]:
    """Read and decode images in their order; what gives no pixels comes as its error.

    Parameters
    ----------
    root : Path or RemoteRoot
        Folder or address that the sources are relative to.
    images : iterable of (ImageSource, str)
        Each image and its digest.
    decoding : Decoding
        Images of 16 batches are decoded ahead, and the files of 16 more read; each thread holds one image in full size.
    device : torch.device
        Where ``nvjpeg`` decodes, a batch at a time.
    batch_size : int
        Of the forward pass.
    times : StageTimes
        Takes up the time of reading and decoding.
    """
    # So many at a time that threads which wait for the last of them hardly count.
    ahead = max(16 * batch_size, 32 * decoding.workers)
    if decoding.decode != "nvjpeg":
        yield from run_ahead(root, images, partial(_decode, decoding=decoding, times=times), decoding, ahead, times)
        return
    files = run_ahead(root, images, bytes, decoding, 2 * batch_size, times)
    with ThreadPoolExecutor(decoding.workers, thread_name_prefix="decode") as pool:
        while chunk := list(islice(files, batch_size)):
            yield from _decode_on_device(chunk, decoding, device, pool, times)


def run_ahead(
    root: ImageRoot,
    images: Iterable[Listed],
    decode: Callable[[bytes], _Result],
    decoding: Decoding,
    ahead: int,
    times: StageTimes,
) -> Iterator[_Result | NotReadError]:
    """Read images and run `decode` on each, on threads, in order, `ahead` of what was taken.

    Files are read while earlier images are decoded and embedded, so that a slow disk is waited for only once.
    """
    waiting = iter(images)
    reading: deque[Future[bytes | NotReadError]] = deque()
    pending: deque[Future[_Result | NotReadError]] = deque()
    sizes: deque[int] = deque()  # of the files in both
    total = 0  # of these
    readers = ThreadPoolExecutor(decoding.workers, thread_name_prefix="read")
    decoders = ThreadPoolExecutor(decoding.workers, thread_name_prefix="decode")

    def read_on() -> None:
        nonlocal total
        while len(reading) < ahead and total < _READ_AHEAD_BYTES and (listed := next(waiting, None)):
            reading.append(readers.submit(_read, root, listed, times))
            sizes.append(listed[0].bytes)
            total += listed[0].bytes

    try:
        read_on()
        while reading or pending:
            if not pending or not decoding.in_turn:
                n_next = min(ahead - len(pending), len(reading))
                pending.extend(decoders.submit(_pass_on, reading.popleft(), decode) for _ in range(n_next))
                read_on()
                if decoding.in_turn:
                    wait(pending)
            image = pending.popleft().result()
            total -= sizes.popleft()
            read_on()
            yield image
    finally:
        # An abandoned or failed loop must not go on reading and decoding what nobody will take.
        readers.shutdown(cancel_futures=True)
        decoders.shutdown(cancel_futures=True)


def _pass_on(data: "Future[bytes | NotReadError]", decode: Callable[[bytes], _Result]) -> _Result | NotReadError:
    content = data.result()
    return content if isinstance(content, NotReadError) else decode(content)


def _read(root: ImageRoot, listed: Listed, times: StageTimes) -> bytes | NotReadError:
    source, digest = listed
    try:
        with times.measure("read"):
            data = read_bytes(root, source)
            unchanged = sha256(data).hexdigest() == digest
    except NotReadError as error:
        return error
    # The row is filed under the digest of the listing: it must be these very bytes that are embedded.
    return data if unchanged else NotReadError("the file changed after it was listed; run the same command again")


def _decode(data: bytes, decoding: Decoding, times: StageTimes) -> Decoded:
    try:
        with times.measure("decode"):
            return decode_image(
                data,
                decoding.preprocessing,
                draft=decoding.decode == "draft",
                ends=decoding.range,
                colour=decoding.colour,
                view=decoding.view,
                remark=lambda remark: decoding.remarks.add(remark, [sha256(data).hexdigest()]),
            )
    except (UnreadableImage, NotReadError) as error:
        return error
    except MemoryError:
        return NotReadError("not enough memory to decode it; use fewer workers")


def _decode_on_device(
    files: list[bytes | NotReadError],
    decoding: Decoding,
    device: torch.device,
    pool: ThreadPoolExecutor,
    times: StageTimes,
) -> list[Decoded]:
    """Decode what the device can while threads decode the rest; all pixels lie on the device in the end."""
    readable = {row: data for row, data in enumerate(files) if isinstance(data, bytes)}
    with times.measure("decode"):
        found = decode_jpegs(list(readable.values()), decoding.preprocessing, device, decoding.colour)
    pixels = dict(zip(readable, found, strict=True))
    left = {row: pool.submit(_decode, data, decoding, times) for row, data in readable.items() if pixels[row] is None}
    decoded: list[Decoded] = []
    for row, data in enumerate(files):
        image: Decoded | None = data if isinstance(data, NotReadError) else pixels[row]
        decoded.append(left[row].result() if image is None else image)
        if isinstance(image, torch.Tensor) and is_one_value(image.cpu().numpy()):
            decoding.remarks.add("one value", [sha256(readable[row]).hexdigest()])
    return [image if isinstance(image, Exception) else torch.as_tensor(image, device=device) for image in decoded]
