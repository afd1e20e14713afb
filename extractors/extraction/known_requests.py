"""Earlier requests to a cache, and the key that each led to: a rerun with nothing new needs no network, nor torch.

The key follows from the weights, from the libraries and from what the machine can do. All of it is compared, and where
anything differs the backbone is loaded as if nothing were known.
"""

import json
import os
import platform
import time
from collections.abc import Sequence
from dataclasses import asdict
from functools import cache
from importlib import import_module
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as read_version
from pathlib import Path
from typing import Any

from headstart.extractors.atomic import write_atomically
from headstart.extractors.cache import UNREADABLE, EmbeddingCache, KeyAbout
from headstart.extractors.extraction.key_description import KeyDescription
from headstart.extractors.listing import RACY_NS, listing_lock
from headstart.extractors.spec import FORMAT_VERSION, Settings, Tap, find_weights_file

_FILE = "requests.json"
_KEPT = 100  # several machines, precisions and backbones, and still a file that is read at once
_LIBRARIES = ("headstart", "torch", "torchvision", "timm", "safetensors", "numpy", "pillow")
_NO_MATTER = ("workers", "batch_size", "compile")  # how rows are computed, which no longer matters where all are there
version = cache(read_version)  # which reads and parses all that a package says of itself, each time
Request = dict[str, Any]
"""As JSON reads it from the file: it is compared as a whole."""


def describe_request(
    backbone: str, weights: str, taps: Sequence[Tap], settings: Settings, *, place: str | None = None
) -> Request:
    """Return all on which the key of an extraction depends, as plain JSON values: equal ones lead to the same key.

    Parameters
    ----------
    backbone, weights : str
        As `extractors.backbones.registry.load_backbone` takes them.
    taps : sequence of Tap
        Their order does not matter.
    settings : Settings
        All that has a part in the key.
    place : str, optional
        Names the machines that compute, where this one does not.
    """
    file = find_weights_file(weights)
    request = {
        "backbone": backbone,
        "weights": str(file or weights),
        "weights_file": file and _state_of(file),
        "taps": sorted({str(tap) for tap in taps}),
        "settings": {name: value for name, value in asdict(settings).items() if name not in _NO_MATTER},
        "format_version": FORMAT_VERSION,
        "versions": {name: _version(name) for name in _LIBRARIES},
        "code": _newest_change(),
        "machine": place or _describe_machine(),
    }
    return dict(json.loads(json.dumps(request)))  # as it will be read back, to compare with


def recall(cache: Path, request: Request) -> KeyDescription | None:
    """Return the key that `remember` kept for an equal request; None where there is none."""
    return next((key for known, key in _read(cache) if known == request), None)


def remember(cache: EmbeddingCache, request: Request, key: KeyDescription) -> None:
    """Keep the key that a request led to.

    Nothing is kept where an equal request may lead to another key: a callable of the user's own does as it likes,
    timm's default weights may be exchanged in its hub, and a file that has just changed may change again unseen.

    Raises
    ------
    CacheError
        The disk is full.
    """
    own_code = ":" in key.backbone
    from_hub = key.backbone.startswith("timm/") and request["weights"] == "default"
    unsettled = request["weights_file"] is not None and not request["weights_file"]["settled"]
    if own_code or from_hub or unsettled or (request, key) in _read(cache.path) or not os.access(cache.path, os.W_OK):
        return
    with listing_lock(cache):  # or what another process remembers at the same time would be lost
        entries = [*(one for one in _read(cache.path) if one[0] != request), (request, key)][-_KEPT:]
        content = json.dumps([{"request": asked, "key": asdict(found)} for asked, found in entries], indent=1)
        write_atomically(cache.path / _FILE, content.encode())


def recall_weights(cache: Path, key_id: str) -> KeyAbout | None:
    """Return the facts on a key's weights and libraries that ``key.json`` keeps for people; None if not known."""
    for request, key in _read(cache):
        if key.id == key_id and {"weights", "versions", "settings"} <= request.keys():
            return KeyAbout(
                weights_name=key.weights,
                weights_source=request["weights"],
                device=request["settings"].get("device"),
                versions={name: request["versions"].get(name) for name in ("torch", "torchvision", "pillow")},
            )
    return None


def _read(cache: Path) -> list[tuple[Request, KeyDescription]]:
    """Read all entries; a missing or damaged file is as good as an empty one: the next extraction writes it anew."""
    try:
        entries = json.loads((cache / _FILE).read_bytes())
        return [(dict(entry["request"]), KeyDescription.read(entry["key"])) for entry in entries]
    except (*UNREADABLE, AttributeError):
        return []


def _state_of(file: Path) -> dict[str, int]:
    found = file.stat()
    changed = max(found.st_mtime_ns, found.st_ctime_ns)
    return {"bytes": found.st_size, "changed_ns": changed, "settled": changed < time.time_ns() - RACY_NS}


def _version(library: str) -> str | None:
    try:
        return version(library)
    except PackageNotFoundError:
        return None


def _newest_change() -> int:
    """Say when this package last changed, folders in it included: a checkout does so without a new version."""
    package = import_module(".".join(__name__.split(".")[:2]))  # headstart.extractors, wherever in it this module lies
    files = (path for root in package.__path__ for path in Path(root).rglob("*.py"))
    return max(path.stat().st_mtime_ns for path in files)


def _describe_machine() -> dict[str, str | list[str] | None]:
    """Say what decides between bf16 and fp32: the processor's abilities, and which GPUs may be used."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    flags = next((line for line in lines if line.startswith(("flags", "Features"))), platform.node())
    return {
        "processor": platform.machine(),
        "flags": flags,
        "gpus": sorted(path.name for path in Path("/dev").glob("nvidia[0-9]*")),
        "visible_gpus": os.environ.get("CUDA_VISIBLE_DEVICES"),
    }
