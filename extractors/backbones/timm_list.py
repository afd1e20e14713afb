"""List of timm's models, found by pattern or by word, with what is known of each without building it."""

import re
from collections.abc import Sequence
from typing import Any

from headstart.extractors.backbones import timm_models
from headstart.extractors.backbones.backbone import BackboneInfo


def list_timm(pattern: str) -> list[BackboneInfo]:
    """Return timm's models whose name (without "timm/") matches; those with a weights tag where `pattern` has a dot.

    Raises
    ------
    BackboneError
        timm is not installed.
    """
    timm = timm_models.imported_timm()
    names = timm.list_pretrained(pattern) if "." in pattern else timm.list_models(pattern)
    return [_describe(timm, name) for name in names]


def search_timm(pattern: str, *, also: Sequence[str]) -> list[BackboneInfo]:
    """Return timm's published weights whose name matches, and those of other names that were looked for, too.

    Parameters
    ----------
    pattern : str
    also : sequence of str
        Canonical names.

    Raises
    ------
    BackboneError
        Some were looked for by these names, and timm is not installed.
    """
    if not also and not timm_models.is_installed():
        return []
    timm = timm_models.imported_timm()
    names = {*timm.list_pretrained(pattern), *(name.removeprefix("timm/") for name in also)}
    return [_describe(timm, name) for name in sorted(names, key=_in_numbers)]


def _in_numbers(name: str) -> list[tuple[int, str]]:
    """Sort by numbers in names as people count."""
    return [(int(part or 0), word) for word, part in re.findall(r"(\D+)(\d*)", name)]


def _describe(timm: Any, name: str) -> BackboneInfo:
    config = timm.get_pretrained_cfg(name)
    size = config.input_size[1:] if config else (224, 224)
    return BackboneInfo(
        name=f"timm/{name}",
        source="timm",
        parameters=None,
        gflops=None,
        feature_size=None,
        input_size=(size[0], size[1]),
        top1=None,
        weights_on_disk=bool(config) and _on_disk(config),
    )


def _on_disk(config: Any) -> bool:
    if not config.hf_hub_id:
        return False
    import huggingface_hub  # noqa: PLC0415 - comes with timm and takes a second

    cached = (huggingface_hub.try_to_load_from_cache(config.hf_hub_id, name) for name in timm_models.hub_names(config))
    return any(isinstance(path, str) for path in cached)
