"""The hot loop: images are read and decoded ahead, and the backbone embeds them batch by batch."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch

from headstart.extractors.arrays import Array
from headstart.extractors.decoding import Decoded, Decoding, Listed, decode_images
from headstart.extractors.errors import NotReadError, UnreadableImage
from headstart.extractors.images import ImageRoot
from headstart.extractors.network import ForwardPass, Pending
from headstart.extractors.stages import StageTimes


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
    forward: ForwardPass, root: ImageRoot, images: Iterable[Listed], decoding: Decoding, times: StageTimes
) -> Iterator[Batch]:
    """Embed images in batches, in their order; what cannot be read is reported and never shifts a row.

    Parameters
    ----------
    forward : ForwardPass
        Frozen backbone.
    root : Path or RemoteRoot
        Folder or address that the sources are relative to.
    images : iterable of (ImageSource, str)
        Each image and its digest.
    decoding : Decoding
        See `extractors.decoding.prefetch.decode_images`.
    times : StageTimes
        Where the time goes.
    """
    started: deque[tuple[_Gathered, Pending]] = deque()
    gathered = _Gathered()
    for row, image in enumerate(decode_images(root, images, decoding, forward.device, forward.batch_size, times)):
        gathered.add(row, image)
        if len(gathered.pixels) == forward.batch_size:
            started.append((gathered, forward.start(gathered.stacked())))
            gathered = _Gathered()
            if len(started) > 1 or forward.device.type == "cpu":  # a GPU works on one batch while the next is gathered
                yield _finished(*started.popleft())
    while started:
        yield _finished(*started.popleft())
    if gathered.pixels:
        yield _finished(gathered, forward.start(gathered.stacked()))
    elif gathered.unreadable or gathered.not_read:
        yield _finished(gathered, dict)


@dataclass
class _Gathered:
    """A batch that is being filled."""

    rows: list[int] = field(default_factory=list)
    pixels: list[Array | torch.Tensor] = field(default_factory=list)
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

    def stacked(self) -> Array | torch.Tensor:
        """Return one array or tensor (n_images, height, width, 3) uint8; a batch's images lie all on one device."""
        if isinstance(self.pixels[0], torch.Tensor):
            return torch.stack([torch.as_tensor(image) for image in self.pixels])
        return np.stack(self.pixels)


def _finished(gathered: _Gathered, pending: Pending) -> Batch:
    return Batch(np.array(gathered.rows, np.int64), pending(), gathered.unreadable, gathered.not_read)
