"""The whole job on a small scale, offline: pre-train, extract, fit, report, on scikit-learn's digits."""

import shutil
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

from headstart.extractors.backbones import PREPROCESSING
from headstart.extractors.decoding import decode_image
from headstart.extractors.images import image_sources, list_images, read_bytes
from headstart.extractors.pretraining import pretrain_small_cnn, save_encoder
from headstart.flows.errors import JobError
from headstart.flows.orchestration import RunSummary, run
from headstart.flows.output import progress_bar

EXPERIMENT = """\
# Few images of a new task (digits 5-9, five a class): does an encoder that learned another task (digits 0-4) help?
name = "digits"
images = "target"
cache = "digits.headstart"
out = "results"

[[extract]] # pre-trained on digits 0-4
backbone = "small_cnn"
weights = "encoder.safetensors"

[[extract]] # the same network with random weights
backbone = "small_cnn"
weights = "none"

[[extract]] # no network at all
backbone = "pixels"

[fit]
head = ["logreg", "ridge", "knn", "centroid", "linear-torch", "dummy"]

[[finetune]] # train the encoder's last layers further, beside its linear heads
weights = "encoder.safetensors"
from = "features.8"
start = "linear"
layer_decay = 0.3
"""


def demo(out: str | Path = "headstart-demo", *, progress: bool = True) -> RunSummary:
    """Write the digits, pre-train an encoder on 0–4, and run the experiment on 5–9.

    Parameters
    ----------
    out : path-like
        Folder for images, encoder, experiment, cache and results; an earlier demonstration in it is replaced.
    progress : bool
        Show bars on standard error.

    Raises
    ------
    JobError
        The folder holds something else.

    Examples
    --------
    >>> found = headstart.demo("digits", progress=False)
    >>> sorted({row.label for row in found.fit.leaderboard})
    ['pixels', 'small_cnn (encoder)', 'small_cnn (random, seed 0)']
    """
    folder = Path(out)
    experiment = folder / "experiment.toml"
    ours = experiment.is_file() and experiment.read_text(encoding="utf-8") == EXPERIMENT
    if folder.exists() and any(folder.iterdir()) and not ours:
        raise JobError(f"{folder}: holds other files; name an empty or a new folder (--out DIR)")
    for part in ("source", "target", "digits.headstart", "results"):
        if (folder / part).exists():
            shutil.rmtree(folder / part)
    folder.mkdir(parents=True, exist_ok=True)
    experiment.write_text(EXPERIMENT, encoding="utf-8")  # first: it marks the folder as a demonstration's
    write_digits(folder)
    pretrain_on_digits(folder / "source", folder / "encoder.safetensors", progress=progress)
    return run(experiment, progress=progress)


SOURCE_CLASSES = range(5)
TARGET_CLASSES = range(5, 10)
TRAIN_PER_CLASS = 5
EPOCHS = 15


def write_digits(folder: Path, seed: int = 0) -> None:
    """Write 32 × 32 PNGs: ``source/0…4`` to pre-train on, ``target/train/5…9`` (5 a class) and ``target/test/5…9``."""
    pixels, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(pixels))
    seen = dict.fromkeys(range(10), 0)
    for index in order.tolist():
        label = int(labels[index])
        if label in SOURCE_CLASSES:
            place = folder / "source" / str(label)
        else:
            place = folder / "target" / ("train" if seen[label] < TRAIN_PER_CLASS else "test") / str(label)
        seen[label] += 1
        place.mkdir(parents=True, exist_ok=True)
        image = Image.fromarray((pixels[index].reshape(8, 8) * (255 / 16)).astype(np.uint8))
        image.resize((32, 32), Image.Resampling.BICUBIC).save(place / f"{index:04d}.png")


def pretrain_on_digits(
    source: Path, encoder: Path, *, epochs: int = EPOCHS, seed: int = 0, progress: bool = False
) -> None:
    """Pre-train the small encoder to tell the source digits apart, and write it as safetensors."""
    found = list_images(source)
    sources = image_sources(found.rows)
    images = np.stack([decode_image(read_bytes(found.root, image), PREPROCESSING) for image in sources])
    labels = found.rows["label"].to_numpy(np.int64)
    with progress_bar("pre-training", epochs, unit="epochs", show=progress) as advance:
        module = pretrain_small_cnn(images, labels, epochs=epochs, seed=seed, on_epoch=lambda _: advance(1))
    save_encoder(module, encoder)
