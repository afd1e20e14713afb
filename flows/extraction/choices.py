"""Choices for an extraction, settled and checked before anything is read: cache, backbones, weights, device."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache as kept
from pathlib import Path

from headstart.extractors.errors import ImageSetError, WeightsError
from headstart.extractors.extraction import KeyDescription, Request, describe_request, recall
from headstart.extractors.images import is_pattern, is_url, without_suffix
from headstart.extractors.spec import SUFFIXES, Settings, Tap, View, find_weights_file, is_file_argument
from headstart.flows.errors import JobError


@dataclass(frozen=True)
class Wanted:
    """Backbones, weights and settings that images are to be embedded with.

    Attributes
    ----------
    backbones : sequence of (str, str)
        Names and weights.
    taps : sequence of Tap
    settings : Settings
    place : str or None
        Where it is embedded, if not in this process.
    views : sequence of View
        To embed beside the plain images.
    """

    backbones: Sequence[tuple[str, str]]
    taps: Sequence[Tap]
    settings: Settings
    place: str | None = None
    views: Sequence[View] = ()

    def request(self, backbone: str, weights: str, settings: Settings | None = None) -> Request:
        """Describe what is wanted of one backbone, of a view its own settings; equal ones lead to the same key."""
        return describe_request(backbone, weights, self.taps, settings or self.settings, place=self.place)

    def settings_of(self, view: View, plain: KeyDescription) -> Settings:
        """Return the settings of a view of the images that the key `plain` embeds as they are.

        What was found out for these holds for their views. Only decoding is in full: a reduced JPEG has too few pixels
        for what is cut out of it.
        """
        return replace(
            self.settings,
            view=view,
            decode="full",
            precision=plain.precision,  # type: ignore[arg-type]  # as a key has it
            in_float32=plain.in_float32,
            dtype=plain.dtype,  # type: ignore[arg-type]  # likewise
            range=plain.range,
            colour=plain.colour,  # type: ignore[arg-type]  # likewise
        )


def default_cache(images: str | Path) -> Path:
    """Name the cache of an image set: ``NAME.headstart`` in the current folder."""
    whole = Path(images).expanduser().absolute().name
    pattern = is_pattern(whole) and not Path(images).expanduser().exists()
    named = re.split(r"[*?{\[]", whole)[0].rstrip("-_. ") if pattern else whole
    stem = without_suffix(named).lstrip(".")
    return Path(f"{stem or 'images'}.headstart")


def check_there(images: str | Path) -> None:
    """Tell that images are not there before anything is started for them.

    Raises
    ------
    ImageSetError
        There is no such file or folder.
    """
    place = Path(images).expanduser()
    if not is_url(str(images)) and not is_pattern(str(images)) and not place.exists():
        raise ImageSetError(f"{place}: no such file or folder; check the path")


def check_wanted(images: str | Path, wanted: Wanted, cache: Path) -> None:
    """Tell what is misspelt, missing or damaged before a million images are read and a cache is made.

    What led to a key of the cache before is not tried again.

    Parameters
    ----------
    images : path-like
        As for `flows.extraction.job.extract`.
    wanted : Wanted
    cache : Path
        Where the embeddings are to go.

    Raises
    ------
    JobError
        The images are a cache.
    BackboneError, WeightsError
        A backbone, one of its taps, or its weights cannot be used.
    DeviceError
        The device is unknown, or not there.
    """
    if (Path(images).expanduser() / "cache.json").is_file():
        raise JobError(f"{images}: is a cache and holds no images; fit on it, or give the folder of the images")
    unknown = [pair for pair in wanted.backbones if not recall(cache, wanted.request(*pair))]
    if not unknown:
        return
    from headstart.extractors.backbones import resolve_backbone  # noqa: PLC0415 - loads torch
    from headstart.extractors.network import resolve_device  # noqa: PLC0415 - loads torch

    for name, _ in unknown:
        if "," in name:
            raise JobError(f"--backbone {name}: several are words of their own: --backbone {name.replace(',', ' ')}")
        resolve_backbone(name)
    resolve_device("auto" if wanted.place else wanted.settings.device)
    for name, weights in unknown:
        if is_file_argument(weights) and not Path(weights).exists():
            raise WeightsError(f"{weights}: no such file; --weights takes the path of a {' / '.join(SUFFIXES)} file")
        if not wanted.place:  # or the weights may lie with the workers alone
            _try_once(name, str(find_weights_file(weights) or weights), tuple(wanted.taps), wanted.settings.image_size)


@kept
def _try_once(name: str, weights: str, taps: tuple[Tap, ...], image_size: int | None) -> None:
    """Load a backbone, and read its taps of one black image; a flow that checks again need not wait again."""
    from headstart.extractors.backbones import load_backbone  # noqa: PLC0415 - loads torch
    from headstart.extractors.network import feature_sizes  # noqa: PLC0415 - loads torch

    feature_sizes(load_backbone(name, weights=weights, image_size=image_size), taps)


def pair_weights(backbones: Sequence[str], weights: Sequence[str]) -> list[tuple[str, str]]:
    """Give each backbone its weights: one for all, or one for each.

    Raises
    ------
    JobError
        The counts do not fit.
    """
    if not backbones:
        raise JobError("no backbone was named; 'headstart backbones' lists them")
    if len(weights) not in (1, len(backbones)):
        raise JobError(f"{len(weights)} weights for {len(backbones)} backbones: give one for all, or one for each")
    return list(zip(backbones, list(weights) * (len(backbones) if len(weights) == 1 else 1), strict=True))
