"""The values that an embedding is made by, which need no torch: all else may lean on them.

claims            Dataclass made of what a file claims, where each value is of its field's type.
key               Name of a set of embeddings: every field that changes the numbers, and no other.
option            Words, bounds and choices of an option, beside the field that holds it.
preprocessing     Resize, crop, mean and deviation as plain numbers of the key.
settings          Settings of a computation: device, precision, batch size, workers, decoding.
tap               Name of a layer and a pooling, read from text.
views             Augmented views of an image, and the random numbers that each is drawn by.
weights_argument  Meanings of `--weights`: a reserved word, the name of published weights, or a file.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
