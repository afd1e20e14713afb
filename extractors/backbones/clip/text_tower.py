"""The text tower of a network of open_clip: vectors of classes, from templates that name them."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from headstart.extractors.backbones.clip.both_towers import PREFIX, imported_open_clip, load_towers
from headstart.extractors.errors import BackboneError, WeightsError

_AT_ONCE = 256  # texts


def encode_texts(
    architecture: str, templates: Sequence[str], names: Sequence[str], *, weights: str, expected: str | None = None
) -> npt.NDArray[np.float64]:
    """Return a vector of unit length for each name: the direction of the mean over templates, (n_names, n_features).

    Parameters
    ----------
    architecture : str
        open_clip's name.
    templates : sequence of str
        Such as ``a photo of a {}``, in which ``{}`` stands for the name.
    names : sequence of str
    weights : str
        As `both_towers.load_towers` takes them.
    expected : str, optional
        Digest that the weights must have, where images were embedded with them.

    Raises
    ------
    BackboneError
        The network, or its tokenizer, is not to be had here.
    WeightsError
        The weights cannot be had, or are others than those of the images.

    References
    ----------
    Radford et al., "Learning transferable visual models from natural language supervision", ICML 2021 (section 3.1.4).
    """
    towers = load_towers(architecture, weights=weights)
    if expected is not None and towers.weights != expected:
        raise WeightsError(
            f"{weights}: is not the file that the images were embedded with ({towers.weights[:19]}…, expected "
            f"{expected[:19]}…); give that one, or embed the images again"
        )
    try:
        tokenize = imported_open_clip().get_tokenizer(architecture)
    except Exception as error:  # of a tokenizer that would be fetched, by whichever library
        raise BackboneError(
            f"{PREFIX}{architecture}: its tokenizer is not to be had here ({error}); take a model with open_clip's "
            "own, or give vectors of texts by --classes FILE.npz"
        ) from error
    texts = [template.replace("{}", name) for name in names for template in templates]
    with torch.no_grad():
        found = [
            towers.module.encode_text(tokenize(texts[at : at + _AT_ONCE]), normalize=True)
            for at in range(0, len(texts), _AT_ONCE)
        ]
    vectors = torch.cat(found).double().reshape(len(names), len(templates), -1).mean(dim=1)
    return torch.nn.functional.normalize(vectors, dim=1).numpy()
