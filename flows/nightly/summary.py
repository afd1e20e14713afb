"""Findings of a night, for programs and people."""

from dataclasses import dataclass, field

from headstart.extractors.results import JobResult
from headstart.flows.nightly.changes import NightChanges
from headstart.flows.nightly.classes import LostClass
from headstart.flows.nightly.drift import NightDrift
from headstart.flows.nightly.score import ScoreChange


@dataclass(frozen=True, repr=False)
class NightSummary(
    JobResult,
    says="{name}: {images:n image}, {changes.new} new, {changes.gone} gone, {alerts:n alert}\npage {page}",
    tables=("scores", "drifts", "alerts"),
    columns=("name", "metric", "now", "before", "fell", "remark"),
):
    """Findings and actions of a night.

    Attributes
    ----------
    name, cache, results : str
        The experiment's name and its folders.
    first : bool
        No night was completed before, so that there is nothing to compare with.
    images, quarantined, embedded : int
        Images listed, of these unreadable, and rows that were computed, over all keys.
    changes : NightChanges
    refitted : list of str
        Why the heads were fitted again; empty where they were not.
    scores : list of ScoreChange
        One for each fit.
    drifts : list of NightDrift
        One for each fit; empty where no image was new.
    alerts : list of str
        What somebody should look at: classes that are gone, a score that fell by more than chance, images that drift.
    seconds : float
    notes : list of str
        What a person should know of extraction and fits.
    lost : list of LostClass
        Classes that tonight's images have no longer: then nothing was fitted, and the models are those of before.
    page : str
        HTML file with the images that drift.
    """

    name: str
    cache: str
    results: str
    first: bool
    images: int
    quarantined: int
    embedded: int
    changes: NightChanges
    refitted: list[str]
    scores: list[ScoreChange]
    drifts: list[NightDrift]
    alerts: list[str]
    seconds: float
    notes: list[str] = field(default_factory=list)
    lost: list[LostClass] = field(default_factory=list)
    page: str = ""
