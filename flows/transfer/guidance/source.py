"""Images of the source with their classes, or with clusters in place of these."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from headstart.extractors.cache import DigestArray, EmbeddingCache
from headstart.extractors.images import ImageRoot, label_columns
from headstart.extractors.listing import UsableImages, read_usable
from headstart.flows.errors import JobError
from headstart.flows.problem import Embedded, find_covering, pose_problem
from headstart.flows.transfer.guidance.options import GuideOptions
from headstart.heads.analysis import cluster_by_kmeans, reduce_features

N_CLUSTERS = 10
"""Where the source has no labels and nobody says how many."""


@dataclass(frozen=True)
class Source:
    """Images of the source.

    Attributes
    ----------
    root : Path or RemoteRoot
    images : UsableImages
    embedded : list of Embedded
        Every tap of every key that covers them.
    codes : int array (n_images,)
        Classes from 0; none where clusters are to be found.
    names : list of str
        Of the classes, or clusters.
    n_clusters : int or None
        To be found in place of classes.
    notes : list of str
    """

    root: ImageRoot
    images: UsableImages
    embedded: list[Embedded]
    codes: npt.NDArray[np.intp]
    names: list[str]
    n_clusters: int | None
    notes: list[str]

    @property
    def kinds(self) -> str:
        """Classes or clusters that scouts tell apart, in words."""
        return f"{len(self.names)} {'classes' if self.n_clusters is None else 'clusters in place of classes'}"

    def without(self, digests: DigestArray) -> "Source":
        """Leave out images that are also scored on the target."""
        scored = {digest.tobytes() for digest in digests}
        own = np.array([digest.tobytes() not in scored for digest in self.images.digest], bool)
        if own.all():
            return self
        note = f"{(~own).sum()} images of the source are left out: they are among the target's test images"
        return replace(
            self,
            images=self.images.keep(own),
            embedded=[one.take(own) for one in self.embedded],
            codes=self.codes[own] if len(self.codes) else self.codes,
            notes=[*self.notes, note],
        )

    def with_codes(self, features: Callable[[], npt.NDArray[Any]], seed: int) -> "Source":
        """Find clusters of features (n_images, n_features), where they are asked for; number classes without gaps.

        Raises
        ------
        JobError
            There are fewer than three classes, so that no scout could learn a part of them.
        """
        if self.n_clusters is not None:
            reduced = reduce_features(features(), len(self.images), seed=seed)
            codes = cluster_by_kmeans(reduced, [self.n_clusters], seed)[0].clusters
            return replace(self, codes=codes, names=[f"cluster {number}" for number in range(codes.max() + 1)])
        there, codes = np.unique(self.codes, return_inverse=True)
        if len(there) < 3:
            raise JobError(
                f"the source has {len(there)} classes, expected three at least, for scouts learn some of them; take "
                "--clusters in place of its classes, or another source"
            )
        return replace(self, codes=codes.astype(np.intp), names=[self.names[code] for code in there])


def open_source(cache: EmbeddingCache, options: GuideOptions, keys: list[str], *, maps: bool) -> Source:
    """Read the labelled images of a source, or all of them where clusters stand in for labels.

    Raises
    ------
    JobError
        Labels do not fit, or no key covers the images.
    """
    usable = read_usable(cache)
    columns = label_columns(usable.labels)
    labelled = options.source_labels or any(usable.labels[name].notna().any() for name in columns)
    if options.clusters is None and labelled:
        problem = pose_problem(
            cache,
            labels=Path(options.source_labels) if options.source_labels else None,
            target=options.source_target,
            keys=keys,
            maps=maps,
        )
        if problem.task != "classify":
            raise JobError(
                f"source column {problem.target!r} holds numbers, and scouts tell classes apart; name another with "
                "--source-target, or take --clusters"
            )
        codes = problem.y.astype(np.intp)
        return Source(
            problem.root, problem.images, problem.embedded, codes, problem.class_names, None, list(problem.notes)
        )
    notes: list[str] = []
    if not labelled and options.clusters is None:
        notes.append(f"the source has no labels: {N_CLUSTERS} clusters stand in for classes (--clusters)")
    embedded = find_covering(cache, usable.images.digest, None, keys, notes, maps=maps)
    empty = np.empty(0, np.intp)
    return Source(usable.root, usable.images, embedded, empty, [], options.clusters or N_CLUSTERS, notes)
