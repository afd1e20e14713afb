"""Class vectors from prompts, by the text tower that belongs to the image tower of the cache."""

from dataclasses import replace

from headstart.extractors.spec import find_weights_file
from headstart.flows.errors import JobError
from headstart.flows.transfer.zero_shot.class_file import ClassVectors, listed
from headstart.flows.transfer.zero_shot.images import Sorted
from headstart.flows.transfer.zero_shot.options import ZeroShotOptions

SLOT = "{}"
SOURCE = "open_clip/"


def with_prompts(classes: ClassVectors, images: Sorted, options: ZeroShotOptions) -> tuple[ClassVectors, Sorted]:
    """Return the classes with vectors of their prompts, and the images with the embeddings that these belong to.

    Raises
    ------
    JobError
        A prompt names no class, or no embeddings of the cache have a text tower.
    BackboneError, WeightsError
        The text tower is not to be had.
    """
    for template in options.prompt or ():
        if SLOT not in template:
            raise JobError(f"--prompt {template!r}: has no {SLOT} for the class; write 'a photo of a {SLOT}'")
    if options.text_tower is None:
        own = [one for one in images.embedded if one.backbone.startswith(SOURCE)]
        keys = {one.store.key.id: one.store for one in own}
        if len(keys) != 1:
            found = listed(f"--backbone {one.label}" for one in own) or "none"
            raise JobError(
                f"prompts need embeddings of one network with a text tower, found {found}; extract with --backbone "
                f"{SOURCE}NAME --weights FILE, or name the tower: --text-tower {SOURCE}NAME --text-weights FILE"
            )
        (store,) = keys.values()
        name, source, expected = store.key.backbone, str(store.about["weights_source"]), store.key.weights
        images = replace(images, embedded=own)
    else:
        name, source, expected = options.text_tower, "", None
    weights = options.text_weights or source
    if not weights:
        raise JobError(f"--text-tower {name}: its weights are needed, too; give --text-weights FILE")
    from headstart.extractors.backbones.clip import encode_texts  # noqa: PLC0415 - loads torch

    vectors = encode_texts(
        name.removeprefix(SOURCE),
        list(options.prompt or ()),
        classes.names,
        weights=str(find_weights_file(weights) or weights),
        expected=expected,
    )
    return ClassVectors(classes.names, vectors, f"prompts for {name}"), images
