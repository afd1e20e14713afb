"""The frozen network of a model: loaded once, held against the model's key, and asked for the features of images."""

from copy import copy
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from headstart.extractors.backbones import Backbone, load_backbone
from headstart.extractors.cache import EmbeddingCache, MappedRows
from headstart.extractors.decoding import Remarks
from headstart.extractors.extraction import EmbeddedRows, Extraction, RowRecipe, ShardResult, embed_rows
from headstart.extractors.images import ImageSet, image_sources
from headstart.extractors.listing import CacheListing, update_listing
from headstart.extractors.network import ForwardPass, cut_behind, resolve_device
from headstart.extractors.spec import EmbeddingKey, Settings, Tap, View, find_weights_file
from headstart.extractors.stages import StageTimes
from headstart.flows.errors import JobError
from headstart.flows.extraction import device_lock, run_shards
from headstart.flows.output import progress_bar

Features = npt.NDArray[np.float32] | MappedRows
_OF_BACKBONE = {"backbone": "name", "weights": "weights", "preprocessing": "preprocessing"}
_FEW = 256  # images that are embedded one by one; for more it pays to find out how they are embedded fastest


class Network:
    """The network that a model's embeddings come from.

    Parameters
    ----------
    key : EmbeddingKey
        Of the model.
    tap : str
        Layer that its head reads.
    weights : str
        As `extractors.backbones.registry.load_backbone` takes them.
    settings : Settings
        Those of the key.
    model : Path
        Folder, for messages.
    progress : bool
        Show bars on standard error.
    """

    def __init__(
        self, key: EmbeddingKey, tap: str, weights: str, settings: Settings, *, model: Path, progress: bool
    ) -> None:
        if Tap.parse(tap).is_map:  # trained on maps that may have been rounded; to predict there is no need to
            key, settings = replace(key, dtype="float32"), replace(settings, dtype="float32")
        device = resolve_device(settings.device)
        on_gpu = device.type == "cuda"
        decode = "full" if key.decode == "nvjpeg" and not on_gpu else key.decode
        self._settings = replace(settings, decode=decode)
        self._key, self._tap, self._device, self._progress = replace(key, decode=decode), tap, device, progress
        self._model, self._source = model, str(find_weights_file(weights) or weights)
        self._taps = [Tap.parse(spec) for spec in key.taps]

    def embed(self, found: ImageSet, cache: EmbeddingCache, *, kept: bool) -> tuple[pd.DataFrame, Features, Remarks]:
        """Return the rows of an image set, the features of those that can be read, and remarks on the images.

        Features are float32 (n_usable, n_features).

        Maps that went through the cache are (n_usable, …) as stored, and are read a few at a time.

        Parameters
        ----------
        found : ImageSet
        cache : EmbeddingCache
            Its listing is left as it is.
        kept : bool
            Whether rows are looked for in the cache, and kept there.
        """
        with progress_bar("reading", len(found.rows), show=self._progress) as advance:
            listing = update_listing(cache, found, workers=self._settings.n_workers, on_image=advance, write=False)
        if kept or len(listing.distinct) > _FEW:
            return self._through_cache(listing, cache)
        return self._at_once(listing)

    def of_view(self, view: View) -> "Network":
        """Return the same network for a view of the images, which are decoded in full for it."""
        other = copy(self)
        other._key = replace(self._key, view=view, decode="full")  # noqa: SLF001 - its own class
        other._settings = replace(self._settings, view=view, decode="full")  # noqa: SLF001 - of a copy of its own
        return other

    def bind(self, head: Any, layer: str, n_classes: int) -> Any:
        """Give a tail that was loaded the upper part of this network, from behind a layer.

        Raises
        ------
        BackboneError
            The network cannot be cut there.
        ModelFileError
            The tail's weights are of another network.
        """
        return head.bind(cut_behind(self.backbone, layer).with_classes(n_classes).module)

    @cached_property
    def backbone(self) -> Backbone:
        """The whole network, as pretrained, held against the key of the model."""
        backbone = load_backbone(self._key.backbone, weights=self._source, image_size=self._key.image_size)
        here = {name: getattr(backbone, shared) for name, shared in _OF_BACKBONE.items()}
        self._refuse_other(replace(self._key, **here))
        return backbone

    @cached_property
    def _forward(self) -> ForwardPass:
        """The plain network, an image at a time: what it says of one does not depend on the others."""
        return ForwardPass(
            self.backbone,
            self._taps,
            device=self._device,
            precision=self._key.arithmetic,
            batch_size=1,
            plain=True,
        )

    def _refuse_other(self, key: EmbeddingKey) -> None:
        # Features keep a cosine of 0.999 whichever way a JPEG is decoded, and this machine may have no GPU for it.
        if differences := replace(self._key, decode=key.decode).differences(key):
            raise JobError(
                f"{self._model}: fitted on other embeddings than this backbone gives (model here, backbone there: "
                f"{differences}); name its own weights with --weights FILE"
            )

    def _through_cache(self, listing: CacheListing, cache: EmbeddingCache) -> tuple[pd.DataFrame, Features, Remarks]:
        with device_lock(self._device, show=self._progress):
            extraction = Extraction(
                cache, listing, self.backbone, self._taps, self._settings, weights_source=self._source
            )
        self._refuse_other(extraction.store.key)
        results: list[ShardResult] = []
        run_shards(extraction, results, progress=self._progress)
        remarks = Remarks()
        for result in results:
            listing = listing.with_unreadable(result.unreadable).with_not_read(result.not_read)
            remarks.update(result.remarks)
        digests = listing.usable["digest"].tolist()
        view = extraction.store.view(self._tap, digests)
        is_map = Tap.parse(self._tap).is_map
        return listing.rows, view.mapped() if is_map else np.asarray(view, dtype=np.float32), remarks

    def _at_once(self, listing: CacheListing) -> tuple[pd.DataFrame, npt.NDArray[np.float32], Remarks]:
        recipe = RowRecipe(self.backbone, self._key, None, listing.root, self._settings.n_workers, StageTimes())
        distinct = listing.distinct
        images = list(zip(image_sources(distinct), distinct["digest"], strict=True))
        done = EmbeddedRows()
        with (
            progress_bar(f"embedding {self._key.title}", len(images), show=self._progress) as advance,
            device_lock(self._device, show=self._progress),
        ):
            embed_rows(self._forward, images, done, recipe, advance)
        if done.unreadable or done.not_read:
            gone = {digest for source, digest in images if source.path in done.not_read}
            again = distinct.loc[distinct["digest"].isin(gone), ["digest", "path"]].set_index("digest")["path"]
            alike = listing.rows.loc[listing.rows["digest"].isin(gone), ["path", "digest"]]
            not_read = {path: done.not_read[again[digest]] for path, digest in alike.itertuples(index=False)}
            listing = listing.with_unreadable(done.unreadable).with_not_read(not_read)
        place = {digest: number for number, digest in enumerate(d for batch in done.digests for d in batch)}
        rows = [place[digest] for digest in listing.usable["digest"]]
        if not rows:
            return listing.rows, np.empty((0, 0), np.float32), done.remarks
        features = np.concatenate([batch[self._tap] for batch in done.features])
        return listing.rows, features[rows].astype(np.float32), Remarks(done.all_remarks())
