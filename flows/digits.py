"""The demonstration: scikit-learn's handwritten digits as PNG files, and an encoder pre-trained on half the classes."""

from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

from headstart.extractors.backbones.small_cnn import PREPROCESSING
from headstart.extractors.decoding.decode import decode_image
from headstart.extractors.images.reading import image_sources, read_bytes
from headstart.extractors.images.sources import list_images
from headstart.extractors.pretraining.supervised import pretrain_small_cnn, save_encoder
from headstart.flows.progress import progress_bar

SOURCE_CLASSES = range(5)
TARGET_CLASSES = range(5, 10)
TRAIN_PER_CLASS = 5
_EPOCHS = 15


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


def pretrain_on_digits(source: Path, encoder: Path, *, seed: int = 0, progress: bool = False) -> None:
    """Pre-train the small encoder to tell the source digits apart, and write it as safetensors."""
    found = list_images(source)
    sources = image_sources(found.rows)
    images = np.stack([decode_image(read_bytes(found.root, image), PREPROCESSING) for image in sources])
    labels = found.rows["label"].to_numpy(np.int64)
    with progress_bar("pre-training", _EPOCHS, unit="epochs", show=progress) as advance:
        module = pretrain_small_cnn(images, labels, epochs=_EPOCHS, seed=seed, on_epoch=lambda _: advance(1))
    save_encoder(module, encoder)
