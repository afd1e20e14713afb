"""Summary of an extraction: each key that it filled or found complete, and the whole."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from headstart.extractors.cache import EmbeddingCache
from headstart.extractors.errors import ImageSetError
from headstart.extractors.extraction import KeyDescription
from headstart.extractors.listing import CacheListing
from headstart.extractors.results import JobResult
from headstart.extractors.spec import Tap
from headstart.extractors.stages import STAGES
from headstart.flows.fit_summary import Understood
from headstart.flows.output import show_line, size_text
from headstart.flows.problem import describe_images

if TYPE_CHECKING:  # it loads torch, which a rerun with nothing new does without
    from headstart.extractors.extraction import MissingRows
    from headstart.extractors.tuning import Execution


@dataclass(frozen=True)
class KeySummary(KeyDescription):
    """Summary of an extraction for one key.

    Attributes
    ----------
    embedded, reused : int
        The listing's usable images that were new to the key, and the others.
    execution : Execution or None
        Batch size, compiled or not, and why; None where nothing was embedded.
    reasons : list of str
        Why a shortcut was not taken.
    seconds : float
    stages : dict of str to float
        Where the time went, in seconds of work that add up over threads; ``set up`` is all before the first batch.
    """

    embedded: int = 0
    reused: int = 0
    execution: "Execution | None" = field(default=None, repr=False)
    reasons: list[str] = field(repr=False, default_factory=list)
    seconds: float = 0.0
    stages: dict[str, float] = field(repr=False, default_factory=dict)


@dataclass(frozen=True, repr=False)
class ExtractionSummary(
    JobResult,
    says="{cache}: {images:n image}, {embedded} embedded, {reused} reused, {quarantined} quarantined",
    tables=("keys",),
    columns=("backbone", "weights", "precision", "embedded", "reused", "seconds"),
):
    """Summary of an extraction.

    Attributes
    ----------
    cache : str
        Folder of the cache.
    images : int
        Images listed, quarantined ones included.
    embedded, reused : int
        Rows computed by this run and rows found in the cache, over all keys; copies of one image count as reused.
    quarantined : int
        Images that could not be read; ``headstart inspect`` gives the reasons.
    seconds, images_per_second : float
        Time of the whole run, and embedded rows by the time spent embedding, without the set-up.
    keys : list of KeySummary
    notes : list of str
        What a person should know.
    understood : Understood
        What the images and their labels are taken for.
    """

    cache: str
    images: int
    embedded: int
    reused: int
    quarantined: int
    seconds: float
    images_per_second: float
    keys: list[KeySummary]
    notes: list[str]
    understood: Understood


def say_size(extraction: "MissingRows") -> None:
    """Say before maps are written how large they are; vectors are small."""
    maps = [tap for tap in extraction.store.key.taps if Tap.parse(tap).is_map]
    if maps and len(extraction.missing) and extraction.store.key.view == "whole":
        each, n_images, n_views = extraction.bytes_an_image, len(extraction.missing), extraction.n_views_to_follow
        views = f", then {size_text(each * n_views)} for {n_views} views of them" if n_views else ""
        show_line(
            f"{', '.join(maps)}: {size_text(each)} an image in {extraction.store.key.dtype}, "
            f"{size_text(each * n_images)} for {n_images} images{views}"
        )


def describe_run(
    key: KeyDescription,
    extraction: "MissingRows",
    listing: CacheListing,
    embedded: int,
    *,
    opening: float,
    seconds: float,
) -> KeySummary:
    """Say how many of the listing's usable images were new to a key, and how they were embedded in how many seconds."""
    measured = extraction.times.seconds
    stages = measured | {"set up": opening + measured.get("set up", 0.0)}
    return KeySummary(
        **vars(key),
        embedded=embedded,
        reused=len(listing.usable) - embedded,
        execution=extraction.execution,
        reasons=extraction.reasons,
        seconds=round(seconds, 3),
        stages={stage: round(stages.get(stage, 0.0), 3) for stage in ("set up", *STAGES)},
    )


def summarise(
    cache: EmbeddingCache,
    listing: CacheListing,
    keys: list[KeySummary],
    notes: list[str],
    seconds: float,
) -> ExtractionSummary:
    """Count what was done.

    Raises
    ------
    ImageSetError
        Not one image could be read.
    """
    quarantined = listing.quarantined
    if not len(listing.usable):
        first = quarantined.iloc[0]
        raise ImageSetError(
            f"{listing.root}: none of {len(listing.rows)} images could be read "
            f"(first: {first['path']}: {first['reason']}); see 'headstart inspect {cache.path}'",
        )
    embedded = sum(key.embedded for key in keys)
    embedding_seconds = sum(key.seconds - key.stages["set up"] for key in keys if key.embedded)
    return ExtractionSummary(
        cache=str(cache.path),
        images=len(listing.rows),
        embedded=embedded,
        reused=sum(key.reused for key in keys),
        quarantined=len(quarantined),
        seconds=round(seconds, 3),
        images_per_second=round(embedded / embedding_seconds, 1) if embedded and embedding_seconds else 0.0,
        keys=keys,
        notes=notes,
        understood=describe_images(listing.rows, not_listed=listing.left_out)[0],
    )
