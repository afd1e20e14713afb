"""Options of an extraction."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from headstart.extractors.images import Layout
from headstart.extractors.spec import (
    PENULTIMATE,
    Option,
    Settings,
    SettingsKeywords,
    ViewKeywords,
    ViewOptions,
    shared_values,
)
from headstart.flows.options import Progress


@dataclass(frozen=True, kw_only=True)
class _Source:
    """Options for what images are embedded with, and where to; first among the options of an extraction."""

    weights: Annotated[
        str | Sequence[str], Option("default, none (random), a published name, or a .safetensors or .pth file.")
    ] = "default"
    tap: Annotated[
        str | Sequence[str], Option("Layers to read out, as LAYER or LAYER:POOLING (avg, max, cls, flatten, map).")
    ] = PENULTIMATE
    cache: Annotated[str | Path | None, Option("Cache folder.", unset="NAME.headstart")] = None


@dataclass(frozen=True, kw_only=True)
class ExtractOptions(Settings, ViewOptions, _Source):
    """Options of an extraction, beside the images and the backbones.

    Parameters
    ----------
    weights : str or sequence of str
        ``default``, ``none`` (random), the name of published weights, or a ``.safetensors`` or ``.pth`` file;
        one for all backbones, or one for each.
    tap : str or sequence of str
        Layers to read out, ``LAYER`` or ``LAYER:POOLING`` (avg, max, cls, flatten, map); by default the
        penultimate features.
    cache : path-like, optional
        By default ``NAME.headstart`` in the current folder.
    views, view_seed, view_crop, view_flip, view_jitter
        See `extractors.spec.views.ViewOptions`.
    precision, in_float32, decode, range, colour, compile, device, dtype, batch_size, exact, image_size, workers, view
        See `extractors.spec.settings.Settings`.
    limit : int, optional
        Take only this many images, spread over the classes.
    layout : {"classes", "splits"}, optional
        What the first folders of the images are; by default as their names say.
    rehash : bool
        Read every image again, also where nothing about its file has changed.
    dask : str, optional
        Embed on Dask workers: ``local``, ``cuda`` (one for each GPU here), or the address of a scheduler.
    progress : bool
        Show bars on standard error.
    """

    limit: Annotated[int | None, Option("Take only so many images, spread over the classes.", least=1)] = None
    layout: Annotated[Layout | None, Option("What the first folders are.", unset="as their names say")] = None
    rehash: Annotated[bool, Option("Read every image again, whatever is known of its file.", table=False)] = False
    dask: Annotated[
        str | None,
        Option("Embed on Dask workers: local, cuda, or a scheduler (tcp://…).", unset="this process", table=False),
    ] = None
    progress: Progress = False

    @property
    def settings(self) -> Settings:
        """How to compute."""
        return Settings(**shared_values(Settings, self))


class ExtractKeywords(SettingsKeywords, ViewKeywords, total=False):
    """`ExtractOptions`, as the keywords of a function."""

    weights: str | Sequence[str]
    tap: str | Sequence[str]
    cache: str | Path | None
    limit: int | None
    layout: Layout | None
    rehash: bool
    dask: str | None
    progress: bool
