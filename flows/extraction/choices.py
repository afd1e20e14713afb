"""Choices for an extraction, settled and checked before anything is read: cache, backbones, weights, device."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from headstart.extractors.extraction import Request, describe_request
from headstart.extractors.images import is_pattern, without_suffix
from headstart.extractors.spec import Settings, Tap
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
    """

    backbones: Sequence[tuple[str, str]]
    taps: Sequence[Tap]
    settings: Settings
    place: str | None = None

    def request(self, backbone: str, weights: str) -> Request:
        """Describe what is wanted of one backbone; equal ones lead to the same key."""
        return describe_request(backbone, weights, self.taps, self.settings, place=self.place)


def default_cache(images: str | Path) -> Path:
    """Name the cache of an image set: ``NAME.headstart`` in the current folder."""
    whole = Path(images).expanduser().absolute().name
    pattern = is_pattern(whole) and not Path(images).expanduser().exists()
    named = re.split(r"[*?{\[]", whole)[0].rstrip("-_. ") if pattern else whole
    stem = without_suffix(named).lstrip(".")
    return Path(f"{stem or 'images'}.headstart")


def refuse_unknown(backbones: Sequence[str], device: str) -> None:
    """Tell what is misspelt before images are read and a cache is made.

    Raises
    ------
    BackboneError
        A name is unknown.
    DeviceError
        So is the device, or it is not there.
    """
    from headstart.extractors.backbones import resolve_backbone  # noqa: PLC0415 - loads torch
    from headstart.extractors.network import resolve_device  # noqa: PLC0415 - loads torch

    for name in backbones:
        resolve_backbone(name)
    resolve_device(device)


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
