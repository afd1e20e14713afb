"""Results for the images of a shard: rows to seal, and reasons for those that give none."""

from dataclasses import dataclass, field

import numpy as np

from headstart.extractors.arrays import Array
from headstart.extractors.decoding import Remarks, find_equal


@dataclass(frozen=True)
class ShardResult:
    """Result of one shard.

    Attributes
    ----------
    embedded : int
        Rows that this extraction embedded, earlier tries of the shard included.
    unreadable : dict of str to str
        The reason for each digest that cannot be decoded: a property of the image.
    not_read : dict of str to str
        The reason for each path that could not be read this time.
    remarks : dict of str to list of str
        Digests of images by what is to be said of them, see `extractors.decoding.remarks`.
    seconds : dict of str to float
        Work by stage, of a shard that was embedded elsewhere; see `extractors.stages.StageTimes`.
    """

    embedded: int
    unreadable: dict[str, str]
    not_read: dict[str, str]
    remarks: dict[str, list[str]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)


@dataclass
class EmbeddedRows:
    """Results for the images so far, batch by batch.

    Attributes
    ----------
    digests : list of str array (n_images,)
        SHA-256 (hex) of each embedded image.
    features : list of dict of tap to array (n_images, …)
        In the stored dtype.
    unreadable, not_read : dict of str to str
        As in `ShardResult`.
    remarks : Remarks
        What is to be said of them.
    """

    digests: list[Array] = field(default_factory=list)
    features: list[dict[str, Array]] = field(default_factory=list)
    unreadable: dict[str, str] = field(default_factory=dict)
    not_read: dict[str, str] = field(default_factory=dict)
    remarks: Remarks = field(default_factory=Remarks)

    def __len__(self) -> int:
        return sum(map(len, self.digests))

    def all_remarks(self) -> dict[str, list[str]]:
        """Remarks on the images, among them whether different images gave equal rows."""
        if self.features:
            tap = min(self.features[0], key=lambda name: self.features[0][name][0].size)
            digests = np.concatenate(self.digests)
            self.remarks.add("equal", digests[find_equal([values[tap] for values in self.features])])
        return self.remarks.as_dict()

    def joined(self) -> tuple[Array, dict[str, Array]]:
        """Return the digests as uint8 (n_images, 32), and the features of each tap (n_images, …)."""
        digests = np.frombuffer(bytes.fromhex("".join(np.concatenate(self.digests))), np.uint8)
        return digests.reshape(-1, 32), {
            tap: np.concatenate([values[tap] for values in self.features]) for tap in self.features[0]
        }
