"""Images without labels → encoder: trained on a task that they set by themselves, and held against its controls."""

import shlex
import time
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, Unpack, cast

import pandas as pd
import torch

from headstart.extractors.atomic import write_atomically
from headstart.extractors.cache import EmbeddingCache
from headstart.extractors.images import list_images
from headstart.extractors.listing import CacheListing
from headstart.extractors.network import feature_sizes, resolve_device
from headstart.extractors.pretraining import Checkpoint, Encoder, Epoch, Images, Pretraining, Recipe, make_encoder
from headstart.extractors.spec import PENULTIMATE, Settings, Tap, shared_values, short_name
from headstart.flows.errors import JobError
from headstart.flows.extraction import cache_at, check_there, default_cache, device_lock, list_into
from headstart.flows.options import taken
from headstart.flows.output import nearby, progress_bar, run_folder
from headstart.flows.transfer.pretraining.comparison import Comparison, compare, why_not
from headstart.flows.transfer.pretraining.options import PretrainKeywords, PretrainOptions
from headstart.flows.transfer.pretraining.pixels import Decoded, decoded_images, divide
from headstart.flows.transfer.pretraining.summary import PretrainSummary
from headstart.heads.errors import HeadError
from headstart.heads.report.transfer import PretrainPage, render_pretraining

CURVE, PAGE = "curve.csv", "pretraining.html"
_NAMES = {"rotation": "to tell turns", "masked": "to paint what is hidden", "denoise": "to take noise away"}


def pretrain(
    images: str | Path, *, options: PretrainOptions | None = None, **named: Unpack[PretrainKeywords]
) -> PretrainSummary:
    """Let a network learn from images without labels, and hand on its encoder as weights of a backbone.

    A run that was interrupted goes on where it was, and ends with the same weights. Images of val and test are not
    learned from. Where the images have labels, or
    a table has, the encoder is compared with the same network with random weights, and with raw pixels.

    Parameters
    ----------
    images : path-like
        A folder, a file or an address, as `extractors.images.sources.list_images` takes them.
    options : PretrainOptions, optional
        All else that is asked for, see `flows.transfer.pretraining.options.PretrainOptions`.
    **named
        Options by their names, such as ``task="masked"``; they go before those of `options`.

    Raises
    ------
    ExtractorError
        The images, the backbone or the device cannot be used, or nothing can be learned from them.
    JobError, HeadError
        Nothing can be compared on the labels that were named.
    TypeError
        There is no option of that name.

    Examples
    --------
    >>> found = headstart.pretrain("photos", task="rotation", epochs=1, shots=0, cache="unlabelled.headstart")
    >>> found.weights.endswith("rotation.safetensors")
    True
    >>> headstart.extract("photos", "small_cnn", weights=found.weights, cache="unlabelled.headstart").images
    36
    """
    started = time.monotonic()
    options = taken("pretrain", options or PretrainOptions(), named)
    encoder, device = _checked(images, options)
    found = list_images(images, limit=options.limit, layout=options.layout)
    name = default_cache(images).stem
    # A cache of its own: controls would stand in the way of whoever has one backbone in that of the images.
    path = Path(options.cache or f"{name}-pretrained.headstart")
    results = Path(options.out or f"{name}.{options.task}")
    settings = Settings(workers=options.workers, image_size=options.image_size)
    with cache_at(path) as cache, run_folder(results) as place:
        listing, notes = list_into(cache, found, workers=settings.n_workers, progress=options.progress)
        with decoded_images(
            cache, listing, encoder.backbone, settings, place.part, progress=options.progress
        ) as decoded:
            learned = _learn(encoder, decoded, device, results, options)
        summary = _summary(decoded, learned, place.folder, options, cache=str(cache.path), images=images)
        weights = Path(summary.weights)
        write_atomically(place.part / weights.name, encoder.as_file())
        write_atomically(place.part / CURVE, pd.DataFrame(learned.history).to_csv(index=False).encode())
        write_atomically(place.part / PAGE, _page(summary, options))
        notes = [*notes, *decoded.notes, *place.finish()]
        # The encoder has its last place by now: the cache remembers where the weights of its rows lie.
        compared = _compared(images, cache, decoded.listing, weights, options)
        seconds = round(time.monotonic() - started, 3)
        summary = replace(summary, rows=compared.rows, verdict=compared.verdict, notes=notes, seconds=seconds)
        write_atomically(place.folder / PAGE, _page(summary, options))
        # Last: a run that is killed before comes to the same encoder at once.
        learned.checkpoint.path.unlink(missing_ok=True)
    return summary


def _checked(images: str | Path, options: PretrainOptions) -> tuple[Encoder, torch.device]:
    """Return encoder and device, and tell what is misspelt before a million images are read.

    Raises
    ------
    ExtractorError, JobError
        There are no such images, layers, labels or devices, or the network has nothing to learn.
    """
    options.check()
    check_there(images)
    if (Path(images).expanduser() / "cache.json").is_file():
        raise JobError(f"{images}: is a cache and holds no images to learn from; give the folder of the images")
    if options.labels and not Path(options.labels).is_file():
        raise JobError(f"{options.labels}: no such file; --labels takes a CSV or Parquet file with a column 'path'")
    device = resolve_device(options.device)
    encoder = make_encoder(options.backbone, seed=options.seed, image_size=options.image_size)
    feature_sizes(encoder.backbone, [Tap.parse(tap) for tap in options.tap or [PENULTIMATE]])
    return encoder, device


class _Learned(NamedTuple):
    encoder: Encoder
    images: Images
    checkpoint: Checkpoint
    history: list[Epoch]
    resumed: int


def _learn(
    encoder: Encoder, decoded: Decoded, device: torch.device, results: Path, options: PretrainOptions
) -> _Learned:
    images = divide(decoded, options.held_out, options.seed)
    training = Pretraining(encoder, images, Recipe(**shared_values(Recipe, options)), device)
    identity = training.identity
    checkpoint = Checkpoint(results / f"unfinished-{identity[:16]}.safetensors", identity)
    with device_lock(device, show=options.progress):
        history, resumed = _train(training, checkpoint, options)
    return _Learned(encoder, images, checkpoint, history, resumed)


def _summary(
    decoded: Decoded, learned: _Learned, folder: Path, options: PretrainOptions, *, cache: str, images: str | Path
) -> PretrainSummary:
    """Return the summary of a training, before anything is compared."""
    weights, last = folder / f"{options.task}.safetensors", learned.history[-1]
    return PretrainSummary(
        images=len(decoded.listing.rows),
        quarantined=len(decoded.listing.quarantined),
        learned_from=len(learned.images.fit),
        held_out=len(learned.images.held_out),
        task=options.task,
        backbone=short_name(learned.encoder.backbone.name),
        image_size=list(learned.encoder.backbone.preprocessing.crop),
        weights=str(weights),
        loss=cast("float", last["val_loss"]),  # some images are always held out
        trivial=cast("float", last["trivial"]),
        accuracy=last["val_accuracy"],
        history=learned.history,
        resumed=learned.resumed,
        rows=[],
        verdict="",
        cache=cache,
        curve=str(folder / CURVE),
        page=str(folder / PAGE),
        command=_command(images, weights, options),
        notes=[],
        seconds=0.0,
    )


def _train(training: Pretraining, checkpoint: Checkpoint, options: PretrainOptions) -> tuple[list[Epoch], int]:
    """Train, and return the epochs, and how many steps an earlier run had done."""
    done: list[int] = []
    with progress_bar(
        f"learning {options.task}", options.epochs * training.n_steps, unit="steps", show=options.progress
    ) as advance:

        def on_step(count: int) -> None:
            done.append(count)
            advance(count)

        history = training.run(checkpoint, on_step=on_step)
    return history, done[0]


def _compared(
    images: str | Path, cache: EmbeddingCache, listing: CacheListing, weights: Path, options: PretrainOptions
) -> Comparison:
    """Compare where there is something to compare on; what stands in the way is said, for the encoder is there."""
    if reason := why_not(listing, options):
        return Comparison([], reason)
    try:
        return compare(images, cache, weights, options)
    except (JobError, HeadError) as error:
        return Comparison([], f"not compared: {error}")


def _command(images: str | Path, weights: Path, options: PretrainOptions) -> str:
    """Return the line that uses the encoder."""
    size = [] if options.image_size is None else ["--image-size", str(options.image_size)]
    words = [
        "headstart",
        "extract",
        str(images),
        "--backbone",
        options.backbone,
        "--weights",
        nearby(str(weights)),
        *size,
    ]
    return shlex.join(words)


def _page(summary: PretrainSummary, options: PretrainOptions) -> bytes:
    height, width = summary.image_size
    page = PretrainPage(
        title=f"{summary.backbone} learned {_NAMES[options.task]} from {summary.learned_from} images without labels",
        intro=(
            f"{options.epochs} epochs on images of {height} × {width} pixels, augment {options.augment}, "
            f"{summary.held_out} more images only measure, {summary.quarantined} could not be read."
        ),
        command=summary.command,
        history=summary.history,
        counts=summary.accuracy is not None,
        verdict=summary.verdict,
        rows=summary.rows,
        shots=options.shots,
        draws=options.draws,
        notes=summary.notes,
    )
    return render_pretraining(page).encode()
