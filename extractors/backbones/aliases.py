"""Names by which people ask for backbones, and six that they may begin with; to look one up needs no torch."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


def _dinov2() -> dict[str, str]:
    found: dict[str, str] = {}
    for size in ("small", "base", "large", "giant"):
        plain, registers = f"vit_{size}_patch14_dinov2.lvd142m", f"vit_{size}_patch14_reg4_dinov2.lvd142m"
        found |= {f"dinov2-{size}": plain, f"dinov2-vit{size[0]}14": plain}
        found |= {f"dinov2-{size}-reg": registers, f"dinov2-vit{size[0]}14-reg": registers}
        found[f"dinov2-with-registers-{size}"] = registers
    return found


def _dinov3() -> dict[str, str]:
    found = {
        f"dinov3-convnext-{size}": f"convnext_{size}.dinov3_lvd1689m" for size in ("tiny", "small", "base", "large")
    }
    sizes = {"small": "s", "small-plus": "splus", "base": "b", "large": "l", "huge-plus": "hplus", "7b": "7b"}
    for size, short in sizes.items():
        target = f"vit_{size.replace('-', '_')}_patch16_dinov3.lvd1689m"
        names = (f"dinov3-{size}", f"dinov3-vit{short}16", f"dinov3-vit{short}16-pretrain-lvd1689m")
        found |= dict.fromkeys(names, target)
    return found


# OpenAI trained with QuickGELU: timm's models without it give other features of the same weights.
_CLIP: Final = {
    **dict.fromkeys(("clip-vit-b-32", "clip-vit-base-patch32"), "vit_base_patch32_clip_quickgelu_224.openai"),
    **dict.fromkeys(
        ("clip-base", "clip-vit-b-16", "clip-vit-base-patch16"), "vit_base_patch16_clip_quickgelu_224.openai"
    ),
    **dict.fromkeys(
        ("clip-large", "clip-vit-l-14", "clip-vit-large-patch14"), "vit_large_patch14_clip_quickgelu_224.openai"
    ),
    **dict.fromkeys(("clip-vit-l-14-336", "clip-vit-large-patch14-336"), "vit_large_patch14_clip_quickgelu_336.openai"),
    "clip-resnet50": "resnet50_clip.openai",
    "clip-resnet101": "resnet101_clip.openai",
}


def _siglip() -> dict[str, str]:
    found = {"siglip-so400m-patch14-384": "vit_so400m_patch14_siglip_384.webli"}
    found["siglip-so400m"] = found["siglip-so400m-patch14-384"]
    for version, tag, size, sides in (
        ("siglip", "webli", "base", (224, 256, 384, 512)),
        ("siglip", "webli", "large", (256, 384)),
        ("siglip2", "v2_webli", "base", (224, 256, 384, 512)),
        ("siglip2", "v2_webli", "large", (256, 384, 512)),
        ("siglip2", "v2_webli", "so400m", (256, 384, 512)),
        ("siglip2", "v2_webli", "giantopt", (256, 384)),
    ):
        targets = {side: f"vit_{size}_patch16_siglip_{side}.{tag}" for side in sides}
        name = f"{version}-{size.removesuffix('opt')}"
        found |= {f"{name}-patch16-{side}": target for side, target in targets.items()}
        found |= {f"{version}-{size}-patch16-{side}": target for side, target in targets.items()}
        found[name] = targets[sides[0]]
    return found


_TARGETS = {**_dinov2(), **_dinov3(), **_CLIP, **_siglip()}
ALIASES: Final[Mapping[str, str]] = MappingProxyType({alias: f"timm/{target}" for alias, target in _TARGETS.items()})
"""Canonical names by what people ask for."""

_OWNERS: Final = re.compile(r"^(facebook|openai|google|timm/facebook)/")


@dataclass(frozen=True)
class Recommended:
    """A backbone to begin with.

    Attributes
    ----------
    where : {"CPU", "GPU"}
    how : {"fast", "good", "best"}
    name : str
        As `load_backbone` takes it.
    why : str
        In a few words.
    """

    where: str
    how: str
    name: str
    why: str


RECOMMENDED: Final = (
    Recommended("CPU", "fast", "mobilenet_v3_large", "0.2 GFLOPs an image"),
    Recommended("CPU", "good", "convnext_tiny", "4.5 GFLOPs, 768 features"),
    Recommended("CPU", "best", "efficientnet_v2_s", "8.4 GFLOPs, 384 pixels a side"),
    Recommended("GPU", "fast", "convnext_small", "8.7 GFLOPs, 768 features"),
    Recommended("GPU", "good", "dinov2-base", "no labels in its training; add --image-size 224"),
    Recommended("GPU", "best", "dinov2-large", "the same, three times as large"),
)
"""By accuracy that was published for the weights and by operations an image; none was measured on images of yours."""


def canonical_name(name: str) -> str:
    """Return the name that an alias stands for; any other name as it is.

    ``dinov2-small``, ``dinov2_vits14``, ``facebook/dinov2-small`` and ``openai/clip-vit-base-patch32`` are such.
    """
    return ALIASES.get(_OWNERS.sub("", name.lower()).replace("_", "-"), name)


def aliases_like(word: str) -> list[str]:
    """Return the canonical names of which an alias contains a word, sorted."""
    return sorted({target for alias, target in ALIASES.items() if word.lower().replace("_", "-") in alias})
