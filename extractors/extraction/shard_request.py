"""Requests to a worker on another machine, and its answers: names, paths, keys and digests, never an array."""

from dataclasses import dataclass
from pathlib import Path

from headstart.extractors.cache import KeyAbout
from headstart.extractors.decoding import Listed
from headstart.extractors.images import ImageRoot
from headstart.extractors.spec import EmbeddingKey, Settings, Tap
from headstart.extractors.tuning import Execution, FidelityRecord


@dataclass(frozen=True)
class ExtractionRequest:
    """An extraction as it is asked for, the same on every machine.

    Attributes
    ----------
    cache : Path
        The folder, which every worker sees under this path.
    backbone, weights : str
        As `extractors.backbones.registry.load_backbone` takes them.
    taps : tuple of Tap
    settings : Settings
        ``auto`` is for the worker to find out that settles the key.
    """

    cache: Path
    backbone: str
    weights: str
    taps: tuple[Tap, ...]
    settings: Settings


@dataclass(frozen=True)
class Decided:
    """Findings of one worker, for all.

    Attributes
    ----------
    key : EmbeddingKey
        With the precision and the decoding of the worker's device.
    sizes : dict of tap to tuple of int
        Shape of an image's features.
    about : KeyAbout
        What ``key.json`` keeps for people.
    fidelity : FidelityRecord
        What was measured.
    reasons : list of str
        Why a shortcut was not taken.
    execution : Execution, optional
        How the forward pass is run; None until it was prepared.
    """

    key: EmbeddingKey
    sizes: dict[str, tuple[int, ...]]
    about: KeyAbout
    fidelity: FidelityRecord
    reasons: list[str]
    execution: Execution | None = None


@dataclass(frozen=True)
class ShardWork:
    """One shard to embed.

    Attributes
    ----------
    request : ExtractionRequest
    key : EmbeddingKey
        Decided; the worker's own backbone must give this one.
    execution : Execution
        Decided likewise.
    turn : str
        Of the run that gives the work.
    root : Path or RemoteRoot
        Folder or address that the sources are relative to.
    images : list of (ImageSource, str)
        Where each image lies, and its SHA-256 (hex).
    """

    request: ExtractionRequest
    key: EmbeddingKey
    execution: Execution
    turn: str
    root: ImageRoot
    images: list[Listed]
