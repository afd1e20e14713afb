"""Remarks on the images of a problem: what was noticed when they were embedded, and rows that are equal."""

from collections.abc import Sequence

import numpy as np

from headstart.extractors.decoding import Remarks, find_equal
from headstart.extractors.listing import UsableImages
from headstart.flows.problem.embedded import Embedded

_ROWS = 20_000  # of millions, the first show it
_AT_ONCE = 500  # feature maps are large


def note_remarks(embedded: Sequence[Embedded], images: UsableImages, notes: list[str]) -> None:
    """Add what a person should know of the images before what is fitted on them is believed.

    Parameters
    ----------
    embedded : sequence of Embedded
        Rows of the images, by key and tap; of the first tap of each key, equal ones of different images are looked for.
    images : UsableImages
    notes : list of str
    """
    digests = [row.tobytes().hex() for row in images.digest[:_ROWS]]
    paths = dict(zip(digests, images.files["path"].slice(0, _ROWS).to_pylist(), strict=True))
    place = {digest: row for row, digest in enumerate(digests)}
    different, rows = list(place), np.array(list(place.values()), np.intp)
    found: list[str] = []
    for one in {one.store.key.id: one for one in reversed(embedded)}.values():
        blocks = (rows[at : at + _AT_ONCE] for at in range(0, len(rows), _AT_ONCE))
        equal = find_equal(np.asarray(one.features.take(block)) for block in blocks)
        remarks = Remarks.read(one.store.path)
        remarks.add("equal", [digest for digest, is_equal in zip(different, equal, strict=True) if is_equal])
        found += remarks.notes(paths, leave_out=("pages", "profile"))  # of which extract told
    notes += dict.fromkeys(found)
