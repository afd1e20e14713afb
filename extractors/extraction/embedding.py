"""Images and a recipe in, rows of a cache out; what was done before an error is kept."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np

from headstart.extractors.backbones import Backbone
from headstart.extractors.cache import store_as
from headstart.extractors.decoding import Decoding, Listed
from headstart.extractors.extraction.engine import embed
from headstart.extractors.extraction.shard_result import EmbeddedRows
from headstart.extractors.images import ImageRoot
from headstart.extractors.network import ForwardPass
from headstart.extractors.spec import EmbeddingKey
from headstart.extractors.stages import StageTimes
from headstart.extractors.tuning import Execution


@dataclass(frozen=True)
class RowRecipe:
    """How an extraction makes rows of images, beside its forward pass.

    Attributes
    ----------
    backbone : Backbone
        For its preprocessing and its name.
    key : EmbeddingKey
        Says how to decode, and what to store.
    execution : Execution or None
        Says on how many threads.
    root : Path or RemoteRoot
        Folder or address that the sources are relative to.
    workers : int
        Decoding threads.
    times : StageTimes
        Where the time goes.
    """

    backbone: Backbone
    key: EmbeddingKey
    execution: Execution | None
    root: ImageRoot
    workers: int
    times: StageTimes


def embed_rows(
    forward: ForwardPass,
    images: Sequence[Listed],
    done: EmbeddedRows,
    recipe: RowRecipe,
    on_images: Callable[[int], None] | None = None,
) -> None:
    """Embed images into `done`; what was done before an error is in it.

    Parameters
    ----------
    forward : ForwardPass
    images : sequence of (ImageSource, str)
        Each image and its digest.
    done : EmbeddedRows
        Takes what comes of them.
    recipe : RowRecipe
    on_images : callable, optional
        Called with how many more images are done.

    Raises
    ------
    FeatureError
        Features cannot be stored.
    """
    backbone, key, execution = recipe.backbone, recipe.key, recipe.execution
    digests = np.array([digest for _, digest in images], object)
    paths = [source.path for source, _ in images]
    decoding = Decoding(
        preprocessing=backbone.preprocessing,
        decode=key.decode,
        workers=recipe.workers,
        in_turn=forward.device.type == "cpu",
        range=key.range,
        colour=key.colour,
        view=key.view,
        remarks=done.remarks,
    )
    with execution.threads_set() if execution else nullcontext():
        for batch in embed(forward, recipe.root, images, decoding, recipe.times):
            done.unreadable |= {digests[row]: reason for row, reason in batch.unreadable.items()}
            done.not_read |= {paths[row]: reason for row, reason in batch.not_read.items()}
            if len(batch.rows):
                named = [paths[row] for row in batch.rows]
                done.features.append(store_as(batch.features, key.dtype, backbone=backbone.name, paths=named))
                done.digests.append(digests[batch.rows])
            if on_images:
                on_images(len(batch.rows) + len(batch.unreadable) + len(batch.not_read))
