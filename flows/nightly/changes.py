"""Changes of an image set since the last night: new, changed, gone, and newly quarantined images."""

from dataclasses import dataclass, field

import pandas as pd

from headstart.extractors.images import OK

SEEN_COLUMNS = ("path", "digest", "status", "reason")
"""Columns of a listing that a night keeps of each image."""

SHOWN = 5  # examples of each kind that are told; the numbers are of all


@dataclass(frozen=True)
class NightChanges:
    """How many images are not as they were.

    Attributes
    ----------
    new : int
        Readable images at paths that were not listed before.
    changed : int
        Readable images whose content is another than before, or could not be read before.
    gone : int
        Paths that are no longer listed.
    quarantined : int
        Images that cannot be read and were not in quarantine before.
    unseen : int
        Distinct contents that no listed image had before: of new and changed images without copies and moved files.
    examples : dict of str to list of str
        The first paths of each kind; behind those of quarantined images the reason.
    """

    new: int
    changed: int
    gone: int
    quarantined: int
    unseen: int
    examples: dict[str, list[str]] = field(default_factory=dict)

    @property
    def any(self) -> bool:
        """Whether anything changed."""
        return bool(self.new or self.changed or self.gone or self.quarantined)


def compare_listings(before: pd.DataFrame | None, now: pd.DataFrame) -> NightChanges:
    """Say what changed between two listings.

    Parameters
    ----------
    before, now : DataFrame
        With `SEEN_COLUMNS`; paths are unique. None before the first night: then every image is new.
    """
    earlier = now.iloc[:0] if before is None else before
    both = now[list(SEEN_COLUMNS)].merge(
        earlier[["path", "digest", "status"]], how="left", on="path", suffixes=("", "_before"), validate="1:1"
    )
    readable, was_listed = both["status"] == OK, both["status_before"].notna()
    was_readable = both["status_before"] == OK
    same = was_readable & (both["digest"] == both["digest_before"])
    kinds = {
        "new": both["path"][readable & ~was_listed],
        "changed": both["path"][readable & was_listed & ~same],
        "gone": earlier["path"][~earlier["path"].isin(now["path"])],
        "quarantined": (both["path"] + ": " + both["reason"])[~readable & (was_readable | ~was_listed)],
    }
    return NightChanges(
        **{kind: len(found) for kind, found in kinds.items()},
        unseen=len(unseen_digests(before, now)),
        examples={kind: found.iloc[:SHOWN].tolist() for kind, found in kinds.items()},
    )


def unseen_digests(before: pd.DataFrame | None, now: pd.DataFrame) -> list[str]:
    """Return each content of tonight's readable images that no readable image had before, in the listing's order."""
    digests = now["digest"][now["status"] == OK].drop_duplicates()
    return digests.tolist() if before is None else digests[~digests.isin(seen_digests(before))].tolist()


def seen_digests(before: pd.DataFrame) -> list[str]:
    """Return each content of the images that were readable before."""
    return before["digest"][before["status"] == OK].drop_duplicates().tolist()
