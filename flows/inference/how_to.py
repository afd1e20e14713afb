"""How a file that was taken away is used: the part of a Markdown file beside it, with classes and preprocessing."""

import json
import re
from pathlib import Path

from headstart.extractors.atomic import write_atomically
from headstart.extractors.spec import Preprocessing
from headstart.flows.inference.grafted import gives_probabilities
from headstart.flows.inference.model import Model
from headstart.flows.inference.onnx_file import INPUT, output_name
from headstart.flows.inference.options import Pixels


def write_how_to(target: Path, text: str) -> Path:
    """Write a file's part into the ``.md`` of its name; parts on other files of that name, which are there, stay."""
    readme = target.with_suffix(".md")
    before = readme.read_text(errors="replace") if readme.is_file() else ""
    others = [part for part in re.split(r"(?m)^(?=# )", before) if _is_on_other(part.partition("\n")[0], target)]
    write_atomically(readme, "\n".join([*(part.rstrip("\n") + "\n" for part in others), text]).encode())
    return readme


def _is_on_other(title: str, target: Path) -> bool:
    other = target.parent / Path(title.removeprefix("# ")).name
    return other.stem == target.stem and other.name != target.name and other.is_file()


def on_weights(target: Path, loaded: Model, code: str) -> str:
    """Return how a state dict is loaded into the stock model that `code` makes."""
    read = (
        f'safetensors.torch.load_file("{target.name}")'
        if target.suffix == ".safetensors"
        else f'torch.load("{target.name}", weights_only=True)'
    )
    prepared = loaded.backbone.preprocessing.as_dict()
    scores = "of which a softmax makes probabilities" if gives_probabilities(loaded) else _NO_PROBABILITIES
    return _page(
        target,
        f"`model = {code}; model.load_state_dict({read}, strict=True); model.eval()`",
        f"Classes, in the order of the logits, {scores}: `{_names(loaded)}`",
        f"{_preparation(loaded)} They are then scaled to 0…1, and normalised with mean `{prepared['mean']}` and "
        f"deviation `{prepared['std']}`, in RGB.",
        *_decided(loaded),
        _origin(loaded),
    )


def on_onnx(target: Path, loaded: Model, pixels: Pixels) -> str:
    """Return how an ONNX file is run, with code that prepares photographs."""
    height, width = loaded.backbone.preprocessing.crop
    of_zero_to_one = pixels == "float32"
    scores = "" if gives_probabilities(loaded) else f", {_NO_PROBABILITIES}"
    code = f"""```python
import numpy as np
import onnxruntime
from PIL import Image, ImageOps


def prepared(path):
    image = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
{_code(loaded.backbone.preprocessing)}
    return np.asarray(image.crop((left, top, left + {width}, top + {height}))).transpose(2, 0, 1)


session = onnxruntime.InferenceSession("{target.name}")
pixels = np.stack([prepared(path) for path in paths]){".astype(np.float32) / 255" if of_zero_to_one else ""}
({output_name(loaded)},) = session.run(None, {{"{INPUT}": pixels}})
```"""
    return _page(
        target,
        code,
        f"It takes {pixels} pixels from 0 to {1 if of_zero_to_one else 255} in RGB, (n_images, 3, {height}, {width}), "
        f"and normalises them itself. {_preparation(loaded)}",
        f"It gives {output_name(loaded)}, float32 (n_images, {len(loaded.classes)}){scores}, in the order of the "
        f"classes: `{_names(loaded)}`",
        *_decided(loaded),
        "Its metadata say the same: class_names, preprocessing, key, embedding, input, output.",
        _origin(loaded),
    )


_NO_PROBABILITIES = "of which the largest is the class, and which are no probabilities"


def _page(target: Path, *paragraphs: str) -> str:
    return "\n\n".join([f"# {target.name}", *paragraphs]) + "\n"


def _names(loaded: Model) -> str:
    return json.dumps(loaded.classes, ensure_ascii=False)


def _preparation(loaded: Model) -> str:
    """Return how an image becomes pixels, in words."""
    prepared, key = loaded.backbone.preprocessing.as_dict(), loaded.key
    resized = (
        f"resized ({prepared['interpolation']}) to `{prepared['resize']}` (one number: of the shorter side), and "
        if prepared["resize"] is not None
        else ""
    )
    words = f"Images are {resized}cropped in the centre to `{prepared['crop']}` (height, width)."
    if key.range != "whole":
        words += f" Of pixels of more than 8 bits, {key.range[0]} is black and {key.range[1]} white."
    if key.colour == "srgb":
        words += " Colours of another profile are converted to sRGB before."
    return words


def _code(preprocessing: Preprocessing) -> str:
    """Return the same as lines of Python."""
    resize, (height, width) = preprocessing.resize, preprocessing.crop
    lines = []
    if isinstance(resize, tuple):
        lines.append(f"size = {resize[1]}, {resize[0]}")
    elif resize is not None:
        lines += [
            "shorter = min(image.size)",
            f"size = tuple(int({resize} * side / shorter) for side in image.size)",
        ]
    if resize is not None:
        lines.append(f"image = image.resize(size, Image.Resampling.{preprocessing.interpolation.upper()})")
    lines.append(f"left, top = round((image.width - {width}) / 2), round((image.height - {height}) / 2)")
    return "\n".join(f"    {line}" for line in lines)


def _decided(loaded: Model) -> list[str]:
    """Return how a class is made of the probabilities, where that is not the likeliest: no weights hold it."""
    decision, names = loaded.decision, loaded.classes
    if decision is None:
        return []
    if decision.threshold is not None:
        rule = f"`{names[1]}` where its probability is at least {decision.threshold!r}, else `{names[0]}`"
    elif decision.multipliers is not None:
        rule = f"the largest of probabilities times `{json.dumps(decision.multipliers)}`"
    else:
        power = f" to the power of {1 / decision.temperature!r}" if decision.temperature != 1.0 else ""
        rule = f"the column of the smallest sum of probabilities{power} @ `{json.dumps(decision.costs)}`"
    return [f"The file gives probabilities alone. 'headstart predict' takes of them {rule}: do the same."]


def _origin(loaded: Model) -> str:
    backbone = loaded.backbone
    text = (
        f"Backbone {backbone.name}, weights {backbone.weights_name} ({backbone.weights}); head {loaded.card['head']}, "
        f"reading {loaded.card['tap']}."
    )
    if loaded.key.precision == "bf16":
        among = loaded.key.computed_in.removeprefix("bf16")
        text += f" 'headstart predict' computes in bfloat16{among}, as its embeddings were; float32 differs by that "
        text += "rounding."
    return text
