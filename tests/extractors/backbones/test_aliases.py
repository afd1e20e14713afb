"""What people call a backbone leads to it, and a search finds it whichever library has it."""

import pytest

from headstart.extractors.backbones import timm_models
from headstart.extractors.backbones.aliases import ALIASES, RECOMMENDED, aliases_like, canonical_name
from headstart.extractors.backbones.registry import list_backbones, resolve_backbone
from headstart.extractors.errors import BackboneError


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ("dinov2-small", "timm/vit_small_patch14_dinov2.lvd142m"),
        ("DINOv2-Small", "timm/vit_small_patch14_dinov2.lvd142m"),
        ("dinov2_vits14", "timm/vit_small_patch14_dinov2.lvd142m"),
        ("facebook/dinov2-with-registers-base", "timm/vit_base_patch14_reg4_dinov2.lvd142m"),
        ("facebook/dinov3-vits16-pretrain-lvd1689m", "timm/vit_small_patch16_dinov3.lvd1689m"),
        ("dinov3-convnext-tiny", "timm/convnext_tiny.dinov3_lvd1689m"),
        ("openai/clip-vit-base-patch32", "timm/vit_base_patch32_clip_quickgelu_224.openai"),
        ("clip-vit-l-14-336", "timm/vit_large_patch14_clip_quickgelu_336.openai"),
        ("google/siglip2-base-patch16-384", "timm/vit_base_patch16_siglip_384.v2_webli"),
        ("siglip2-so400m", "timm/vit_so400m_patch16_siglip_256.v2_webli"),
        ("resnet50", "resnet50"),
        ("mine:build_small", "mine:build_small"),
    ],
)
def test_a_name_that_people_use_is_the_canonical_one(asked, name):
    assert canonical_name(asked) == name
    if asked != name:
        assert resolve_backbone(asked) == ("timm", name.removeprefix("timm/"))


def test_every_alias_and_every_recommended_name_leads_to_published_weights():
    timm = pytest.importorskip("timm")
    unknown = [alias for alias, name in ALIASES.items() if not timm.is_model_pretrained(name.removeprefix("timm/"))]
    assert unknown == []
    assert {(one.where, one.how) for one in RECOMMENDED} == {
        (where, how) for where in ("CPU", "GPU") for how in ("fast", "good", "best")
    }
    for one in RECOMMENDED:
        assert resolve_backbone(one.name)


def test_an_alias_that_is_nearly_right_is_answered_with_it():
    with pytest.raises(BackboneError, match=r"Nearest: .*dinov2-small"):
        resolve_backbone("dinov2-smal")


@pytest.mark.parametrize("word", ["dinov2", "DINOv2", "*dinov2*"])
def test_a_word_finds_all_of_timms_that_have_it(word):
    timm = pytest.importorskip("timm")
    found = {row.name for row in list_backbones(word)}
    assert found >= {f"timm/{name}" for name in timm.list_pretrained("*dinov2*")}
    assert all("dinov2" in name for name in found)


def test_a_word_finds_names_that_only_an_alias_has():
    pytest.importorskip("timm")
    assert [row.name for row in list_backbones("siglip2-large")] == ["timm/vit_large_patch16_siglip_256.v2_webli"]
    assert {row.name for row in list_backbones("siglip2")} == set(aliases_like("siglip2"))


def test_a_word_for_timms_models_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr(timm_models, "is_installed", lambda: False)
    with pytest.raises(BackboneError, match="pip install"):
        list_backbones("dinov2")
    assert list_backbones("nothing_like_it") == []


def test_the_list_begins_with_the_most_accurate():
    scores = [row.top1 for row in list_backbones("resnet")]
    assert scores == sorted(scores, reverse=True)
    assert list_backbones()[-1].top1 is None
