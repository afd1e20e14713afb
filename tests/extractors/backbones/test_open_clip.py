"""CLIP of open_clip: both towers of a tiny network, from a file; skipped where open_clip is not installed."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

import headstart
from headstart.extractors.backbones import load_backbone, resolve_backbone
from headstart.extractors.errors import BackboneError, WeightsError

TINY = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 64, "head_width": 32, "patch_size": 16},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1},
}
PROMPTS = ["a photo of a {}", "a {}"]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The weights of a network that open_clip knows as tiny-test."""
    open_clip = pytest.importorskip("open_clip")
    folder = tmp_path_factory.mktemp("open_clip")
    (folder / "tiny-test.json").write_text(json.dumps(TINY))
    open_clip.add_model_config(folder / "tiny-test.json")
    torch.manual_seed(3)
    save_file(open_clip.create_model("tiny-test").state_dict(), folder / "tiny.safetensors")
    return folder / "tiny.safetensors"


def whole(tiny: Path) -> torch.nn.Module:
    """The network as open_clip itself loads it."""
    import open_clip

    return open_clip.create_model("tiny-test", pretrained=str(tiny)).eval()


def test_the_image_tower_is_a_backbone_with_open_clips_output_and_preprocessing(tiny: Path) -> None:
    import open_clip

    backbone = load_backbone("open_clip/tiny-test", weights=str(tiny))
    pixels = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(backbone.module(pixels), whole(tiny).encode_image(pixels))
    assert backbone.weights.startswith("sha256:")
    assert (backbone.preprocessing.crop, backbone.preprocessing.interpolation) == ((32, 32), "bicubic")
    assert backbone.preprocessing.mean == tuple(open_clip.OPENAI_DATASET_MEAN)


def test_texts_have_the_vectors_that_open_clip_gives_them_averaged_over_templates(tiny: Path) -> None:
    import open_clip

    from headstart.extractors.backbones.clip import encode_texts

    found = encode_texts("tiny-test", PROMPTS, ["cat", "dog"], weights=str(tiny))
    tokens = open_clip.get_tokenizer("tiny-test")(["a photo of a dog", "a dog"])
    with torch.no_grad():
        mean = whole(tiny).encode_text(tokens, normalize=True).mean(dim=0)
    np.testing.assert_allclose(found[1], (mean / mean.norm()).numpy(), atol=1e-5)
    with pytest.raises(WeightsError, match="is not the file that the images were embedded with"):
        encode_texts("tiny-test", PROMPTS, ["cat"], weights=str(tiny), expected="sha256:" + "0" * 64)


def test_prompts_tell_images_as_open_clip_does(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import open_clip

    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(2):
            pixels = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{number}.png")
    extracted = headstart.extract("photos", "open_clip/tiny-test", weights=str(tiny), precision="fp32", workers=1)
    found = headstart.zeroshot(extracted.cache, classes=["cat", "dog", "owl"], prompt=PROMPTS[:1])
    assert found.rows[0].name == "100 · cosine of image and class vector"
    assert found.scored == 4
    model, (_, _, prepare) = whole(tiny), open_clip.create_model_and_transforms("tiny-test")
    image = prepare(Image.open("photos/dog/1.png"))[None]
    tokens = open_clip.get_tokenizer("tiny-test")([f"a photo of a {name}" for name in ("cat", "dog", "owl")])
    with torch.no_grad():
        cosines = model.encode_image(image, normalize=True) @ model.encode_text(tokens, normalize=True).T
    answers = headstart.predict(found.model, "photos/dog/1.png", all_classes=True)
    shares = answers[["probability_cat", "probability_dog", "probability_owl"]].to_numpy(float)[0]
    np.testing.assert_allclose(shares, torch.softmax(100 * cosines[0], 0).numpy(), atol=1e-3)


def test_what_is_not_there_is_answers(tiny: Path) -> None:
    with pytest.raises(BackboneError, match=r"open_clip has no model 'tiny-tset'. Nearest: open_clip/tiny-test"):
        load_backbone("open_clip/tiny-tset", weights="none")
    with pytest.raises(WeightsError, match="its weights are read from a file alone"):
        load_backbone("open_clip/tiny-test")
    with pytest.raises(WeightsError, match="does not fit this architecture"):
        load_backbone("open_clip/RN50", weights=str(tiny))
    random = load_backbone("open_clip/tiny-test", weights="none")
    assert random.weights == load_backbone("open_clip/tiny-test", weights="none").weights


def test_without_open_clip_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert resolve_backbone("open_clip/ViT-B-32") == ("open_clip", "ViT-B-32")
    with pytest.raises(BackboneError, match=r"pip install 'headstart\[clip\]'"):
        load_backbone("open_clip/ViT-B-32", weights="none")
