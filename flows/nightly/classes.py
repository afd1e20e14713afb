"""Classes that the models know and tonight's images have no longer, or too few of."""

from collections import Counter
from dataclasses import dataclass, replace

from headstart.extractors.cache import EmbeddingCache
from headstart.extractors.listing import CacheListing
from headstart.flows.experiment import Experiment
from headstart.flows.fitting import preview
from headstart.flows.nightly.inputs import name_of

Classes = dict[str, dict[str, int]]
"""Images of each class that a fit's model knows, by the fit's name; none of numbers."""


@dataclass(frozen=True, kw_only=True)
class LostClass:
    """A class that a fit of tonight's images would lose.

    Attributes
    ----------
    name : str
        Of the fit.
    label : str
    before, now : int
        Its readable images when the model was fitted, and tonight.
    quarantined : int
        Its images that cannot be read tonight, where these have a label.
    model : str
        Folder of the model that knows it.
    """

    name: str
    label: str
    before: int
    now: int
    quarantined: int
    model: str

    @property
    def text(self) -> str:
        """The classes that are gone, in a few words."""
        unread = f", {self.quarantined} that cannot be read" if self.quarantined else ""
        tonight = f"{self.now} tonight, too few to fit" if self.now else "none tonight"
        return f"{self.label} had {self.before} readable images and has {tonight}{unread}"


def classes_of(experiment: Experiment, keys: list[str]) -> tuple[Classes, Classes]:
    """Return the classes that each fit of tonight would know, and those that it would leave out as too rare."""
    found, rare = {}, {}
    for table in experiment.fit:
        understood = preview(EmbeddingCache(experiment.cache), replace(table.options, keys=keys))
        found[name_of(table)], rare[name_of(table)] = understood.classes, understood.left_out
    return found, rare


def find_lost(
    experiment: Experiment, listing: CacheListing, before: Classes, now: tuple[Classes, Classes]
) -> list[LostClass]:
    """Return the classes of earlier models that fits of tonight's images would lose.

    Where a model was deleted, nothing is lost with it: so a person says that the next night may do without.
    """
    found, rare = now
    lost = []
    for table in experiment.fit:
        name, model = name_of(table), experiment.folder_of(table) / "model"
        gone = before.get(name, {}).keys() - found[name].keys()
        unread = _unreadable(listing, table.options.target) if table.options.labels is None else {}
        lost += [
            LostClass(
                name=name,
                label=label,
                before=before[name][label],
                now=rare[name].get(label, 0),
                quarantined=unread.get(label, 0),
                model=str(model),
            )
            for label in sorted(gone)
            if model.is_dir() and found[name] | rare[name]
        ]
    return lost


def _unreadable(listing: CacheListing, target: str | None) -> dict[str, int]:
    rows, column = listing.quarantined, target or "label"
    return dict(Counter(rows[column].dropna().astype(str))) if column in rows else {}
