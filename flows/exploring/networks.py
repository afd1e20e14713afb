"""The job `summarize`: layers of a backbone, of a checkpoint in it, or of a saved model's network."""

from pathlib import Path

from headstart.extractors.backbones import load_backbone, resolve_backbone
from headstart.extractors.network import NetworkSummary, describe_network
from headstart.extractors.spec import SUFFIXES, find_weights_file
from headstart.flows.errors import JobError
from headstart.heads.saving import CARD_FILE, read_card


def summarize(
    backbone: str | Path,
    *,
    weights: str = "none",
    from_layer: str | None = None,
    image_size: int | None = None,
) -> NetworkSummary:
    """Describe a network layer by layer: what to tap, where it can be cut, what would be trained, what it costs.

    Parameters
    ----------
    backbone : str or path-like
        A name as ``headstart backbones`` shows it, or a saved model, or the results in which it is.
    weights : str
        A checkpoint, a published name, or ``none``: layers and sizes are the same for all.
    from_layer : str, optional
        First layer that is to be trained; of a fine-tuned model that with which it was.
    image_size : int, optional
        Pixels a side; by default as the network takes them.

    Raises
    ------
    BackboneError
        There is no such network, or it cannot be trained from this layer on.
    WeightsError
        The weights cannot be had.
    JobError
        A saved model would run code that nobody named, or a checkpoint stands where its network has to.

    Examples
    --------
    >>> network = headstart.summarize("small_cnn", from_layer="features.8")
    >>> network.tap, network.trainable < network.parameters
    ('features.7:map', True)
    """
    if Path(backbone).is_file() and str(backbone).lower().endswith(SUFFIXES):
        raise JobError(
            f"{backbone}: a checkpoint does not say of what network it is; name that, and give the file as "
            f"its weights: headstart summary NETWORK --weights {backbone}"
        )
    name, source = str(backbone), weights
    for folder in (Path(backbone), Path(backbone) / "model"):
        if (folder / CARD_FILE).is_file():
            card = read_card(folder / CARD_FILE)
            name, source = card["embedding"]["backbone"], card["weights_source"]
            if resolve_backbone(name)[0] == "callable":  # a model may come from anywhere, and importing is running
                raise JobError(f"{folder}: on {name}, which is code that would run now; name that if you trust it")
            tail = card.get("tail")
            from_layer = from_layer or (str(tail["from"]) if isinstance(tail, dict) and "from" in tail else None)
            break
    found = load_backbone(name, weights=str(find_weights_file(source) or source), image_size=image_size)
    return describe_network(found, from_layer=from_layer)
