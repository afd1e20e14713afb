"""A worker's part of an extraction, on any machine: settle the key, prepare the forward pass, embed one shard.

All that it is given are names, paths and keys; a backbone is loaded once and kept for the next call. Whoever gives the
work holds the lock of the key, and has the turn.
"""

import socket
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from headstart.extractors.arrays import Array
from headstart.extractors.backbones import Backbone, load_backbone
from headstart.extractors.cache import EmbeddingCache, EmbeddingStore, has_turn, read_digests, shard_name
from headstart.extractors.decoding import Listed
from headstart.extractors.errors import CacheError, WeightsError
from headstart.extractors.extraction.embedding import RowRecipe, embed_rows
from headstart.extractors.extraction.extraction import Extraction
from headstart.extractors.extraction.shard_request import Decided, ExtractionRequest, ShardWork
from headstart.extractors.extraction.shard_result import EmbeddedRows, ShardResult
from headstart.extractors.listing import CacheListing
from headstart.extractors.network import DeviceError, ForwardPass, feature_sizes, resolve_device
from headstart.extractors.spec import EmbeddingKey
from headstart.extractors.stages import StageTimes
from headstart.extractors.tuning import Execution


@dataclass
class _Slot:
    """State that a worker keeps between calls: one network at a time, and one call at a time."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    request: ExtractionRequest | None = None
    backbone: Backbone | None = None
    key: EmbeddingKey | None = None
    execution: Execution | None = None
    forward: ForwardPass | None = None
    times: StageTimes = field(default_factory=StageTimes)


_SLOTS: dict[str, _Slot] = {}
_SLOTS_LOCK = threading.Lock()


def settle(request: ExtractionRequest, sample: CacheListing, *, slot: str = "") -> Decided:
    """Find out which key a request leads to on this machine.

    Parameters
    ----------
    request : ExtractionRequest
    sample : CacheListing
        Images on which the shortcuts are tried; of a large listing a few will do.
    slot : str
        Names the worker, where a process is several.

    Raises
    ------
    CacheError
        This machine does not see the cache.
    ExtractorError
        The backbone or its weights cannot be had here.
    """
    kept = _slot(slot)
    with kept.lock:
        return _decided(_open(kept, request, sample))


def prepare_pass(
    request: ExtractionRequest, key: EmbeddingKey, sample: CacheListing, n_images: int, *, slot: str = ""
) -> Decided:
    """Decide how the forward pass is run for so many images, and keep that beside the rows for all workers.

    Raises
    ------
    WeightsError
        This machine would make another key.
    ExtractorError
        As `settle`.
    """
    kept = _slot(slot)
    with kept.lock:
        extraction = _open(kept, request, sample)
        _check_key(extraction.store.key, key)
        kept.forward, kept.times = extraction.prepare(n_images), extraction.times
        kept.key, kept.execution = key, extraction.execution
        return _decided(extraction)


def embed_shard(work: ShardWork, *, slot: str = "") -> ShardResult:
    """Embed a shard and seal it as one file; what an earlier try sealed is not computed again.

    Two workers may be at the same shard, where one was given up for dead too early: whichever seals last replaces the
    file of the other, for its name follows from the images that were asked for. A kill loses the shard, never half.

    Raises
    ------
    CacheError
        This machine does not see the cache, the shard cannot be written, or another run writes this key by now.
    WeightsError, DeviceError
        This machine computes other numbers than the one that decided.
    FeatureError
        Features cannot be stored.
    """
    kept = _slot(slot)
    with kept.lock:
        store = EmbeddingStore(_seen(work.request.cache).path / "embeddings" / work.key.id, work.key)
        wanted, n_before = work.images, 0
        while wanted:
            left = _left_by_earlier_try(store, wanted)
            if left is None:
                return _embed(kept, work, store, wanted, n_before)
            n_before, wanted = n_before + len(wanted) - len(left), left
        return ShardResult(n_before, {}, {})


def _embed(kept: _Slot, work: ShardWork, store: EmbeddingStore, wanted: list[Listed], n_before: int) -> ShardResult:
    forward, backbone = _forward(kept, work)
    done, before = EmbeddedRows(), dict(kept.times.seconds)
    embed_rows(
        forward,
        wanted,
        done,
        RowRecipe(backbone, work.key, work.execution, work.root, work.request.settings.n_workers, kept.times),
    )
    if len(done):
        with kept.times.measure("write"):
            _seal(store, work.turn, wanted, done)
    seconds = {stage: total - before.get(stage, 0.0) for stage, total in kept.times.seconds.items()}
    return ShardResult(n_before + len(done), done.unreadable, done.not_read, done.all_remarks(), seconds)


def _seal(store: EmbeddingStore, turn: str, wanted: list[Listed], done: EmbeddedRows) -> None:
    def keep_the_turn() -> None:
        if not has_turn(store.path, turn):
            raise CacheError(f"{store.path}: another run writes these embeddings by now, so this shard is not kept")

    # Asked last of all: to write a shard takes seconds on a shared folder, and another run may begin meanwhile.
    store.seal(*done.joined(), name=shard_name(_digests(wanted)), before_rename=keep_the_turn)


def _left_by_earlier_try(store: EmbeddingStore, wanted: list[Listed]) -> list[Listed] | None:
    """Return the images that an earlier try of the same ones did not seal; None where there was none.

    Only the file of that name is looked at: to ask all shards for each new one would be quadratic.
    """
    path = store.path / shard_name(_digests(wanted))
    if not path.exists():
        return None
    held = {row.tobytes() for row in read_digests(path, store.key)}
    left = [image for image in wanted if bytes.fromhex(image[1]) not in held]
    return left if len(left) < len(wanted) else None


def _digests(images: Sequence[Listed]) -> Array:
    return np.frombuffer(bytes.fromhex("".join(digest for _, digest in images)), np.uint8).reshape(-1, 32)


def _slot(name: str) -> _Slot:
    with _SLOTS_LOCK:
        return _SLOTS.setdefault(name, _Slot())


def _seen(cache: Path) -> EmbeddingCache:
    try:
        return EmbeddingCache(cache)
    except CacheError as error:
        raise CacheError(
            f"{cache}: not seen by the worker on {socket.gethostname()} ({error}); every worker needs the cache and "
            "the images at the same paths, on a shared folder"
        ) from error


def _open(kept: _Slot, request: ExtractionRequest, sample: CacheListing) -> Extraction:
    backbone = _loaded(kept, request)
    return Extraction(
        _seen(request.cache), sample, backbone, request.taps, request.settings, weights_source=request.weights
    )


def _loaded(kept: _Slot, request: ExtractionRequest) -> Backbone:
    if kept.backbone is None or kept.request != request:
        kept.backbone = kept.forward = kept.execution = None  # or two networks lie in memory while this one is loaded
        kept.backbone = load_backbone(request.backbone, weights=request.weights, image_size=request.settings.image_size)
        kept.request = request
    return kept.backbone


def _forward(kept: _Slot, work: ShardWork) -> tuple[ForwardPass, Backbone]:
    backbone, execution = _loaded(kept, work.request), work.execution
    if kept.forward is None or (kept.key, kept.execution) != (work.key, execution):
        own = replace(work.key, backbone=backbone.name, weights=backbone.weights, preprocessing=backbone.preprocessing)
        _check_key(own, work.key)
        device = resolve_device(work.request.settings.device)
        if device.type != execution.device:
            raise DeviceError(
                f"the worker on {socket.gethostname()} computes on {device.type}, the run on {execution.device}; start "
                "workers on one kind of machine, or give only those with a GPU the resource GPU=1"
            )
        kept.times = StageTimes()
        with execution.threads_set():  # for which a network was compiled
            kept.forward = ForwardPass(
                backbone,
                work.request.taps,
                device=device,
                precision=work.key.arithmetic,
                batch_size=execution.batch_size,
                compiled=execution.compiled,
                plain=execution.plain,
                times=kept.times,
            )
        kept.key, kept.execution = work.key, execution
    return kept.forward, backbone


def _check_key(own: EmbeddingKey, decided: EmbeddingKey) -> None:
    if differences := decided.differences(own):
        raise WeightsError(
            f"the worker on {socket.gethostname()} makes other embeddings than the run (run, worker: {differences}); "
            "give all workers the same weights and versions"
        )


def _decided(extraction: Extraction) -> Decided:
    sizes = feature_sizes(extraction.backbone, extraction.taps)
    about = extraction.about()
    return Decided(
        extraction.store.key, sizes, about, extraction.fidelity, list(extraction.reasons), extraction.execution
    )
