"""Results of `pretrain`, as its page, its command and its callers read it."""

from dataclasses import dataclass

from headstart.extractors.pretraining import Epoch
from headstart.extractors.results import JobResult
from headstart.heads.report.transfer import ComparedRow


@dataclass(frozen=True, kw_only=True, repr=False)
class PretrainSummary(
    JobResult,
    says="{backbone} learned {task} from {learned_from:n image}, loss {loss:.3f} of {trivial:.3f}\nweights {weights}",
    tables=("rows", "history"),
    columns=("weights", "tap", "accuracy", "over_random", "over_pixels"),
):
    """An encoder that learned from images without labels.

    Attributes
    ----------
    images, quarantined : int
        Images listed, and those of them that could not be read.
    learned_from, held_out : int
        Different images that were learned from, and that only measured.
    task, backbone : str
    image_size : list of int
        Height and width of what the network saw.
    weights : str
        Safetensors file of the encoder; what painted or told turns is not in it.
    loss, trivial : float
        Of the images that only measured, after the last epoch: in nats where turns are told, else in variances of the
        pixels; and that of the best answer that looks at nothing.
    accuracy : float or None
        Of the same images, share of turns that are told.
    history : list of dict
        One an epoch: ``epoch``, ``loss``, ``accuracy``, ``val_loss``, ``val_accuracy``, ``trivial``, ``learning_rate``.
    resumed : int
        Steps that an earlier, interrupted run had done.
    rows : list of ComparedRow
        Encoder and controls on a few labels a class; empty where nothing was compared.
    verdict : str
        These in a sentence, or why there are none.
    cache, curve, page, command : str
        Folder of the listing and the embeddings; CSV of the history; HTML page; how the encoder is used.
    notes : list of str
    seconds : float
    """

    images: int
    quarantined: int
    learned_from: int
    held_out: int
    task: str
    backbone: str
    image_size: list[int]
    weights: str
    loss: float
    trivial: float
    accuracy: float | None
    history: list[Epoch]
    resumed: int
    rows: list[ComparedRow]
    verdict: str
    cache: str
    curve: str
    page: str
    command: str
    notes: list[str]
    seconds: float
