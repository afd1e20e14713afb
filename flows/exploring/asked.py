"""Images asked about: those that a cache lists by name or number, and any others by the cache's own key."""

import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from headstart.extractors.cache import EmbeddingCache
from headstart.extractors.images import OK, ImageRoot, ImageSource, image_sources, is_pattern, is_url, place_of
from headstart.extractors.listing import UsableListing, update_listing
from headstart.extractors.spec import Settings
from headstart.flows.errors import JobError
from headstart.flows.exploring.options import SimilarOptions
from headstart.flows.inference import Given, images_given, in_memory
from headstart.flows.problem import Embedded
from headstart.flows.reporting import read_thumbnails

Vector = npt.NDArray[np.float32]


@dataclass
class Asked:
    """Images asked about, in the order given.

    Attributes
    ----------
    names : list of str
    rows : list of int
        Each one's own row in the listing; -1 of images that it does not list.
    features : list of float32 array (n_features,)
    thumbnails : list of (bytes or None)
        JPEGs, where they are wanted.
    unreadable : list of str
        Names and reasons of the others.
    """

    names: list[str] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    features: list[Vector] = field(default_factory=list)
    thumbnails: list[bytes | None] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)


class Search:
    """Listing and embedding of a cache, for images to be found in it.

    Parameters
    ----------
    cache : EmbeddingCache
    listing : UsableListing
    embedded : Embedded
    options : SimilarOptions
    thumbnail : int
        Pixels of the pictures' longest side; 0 for none.
    """

    def __init__(
        self,
        cache: EmbeddingCache,
        listing: UsableListing,
        embedded: Embedded,
        options: SimilarOptions,
        thumbnail: int = 0,
    ) -> None:
        self.cache, self.listing, self.embedded = cache, listing, embedded
        self.options, self._thumbnail = options, thumbnail
        self._settings = Settings.for_key(embedded.store.key, device=options.device, workers=options.workers)

    def find(self, images: Any) -> Asked:
        """Return the images asked about, with their features.

        Parameters
        ----------
        images : path-like, int, bytes, PIL image, array, or several of these
            A file, a folder or whatever else `flows.inference.given.images_given` takes; or a path, a folder, a number
            or a SHA-256 of the listing.

        Raises
        ------
        JobError
            Something is neither, or none of the images can be read.
        """
        asked = Asked()
        words = [images] if isinstance(images, int) else in_memory(images)
        found = [(word, self._rows_of(word)) for word in words]
        with tempfile.TemporaryDirectory(prefix="headstart-") as place:
            for number, (is_listed, some) in enumerate(groupby(found, lambda one: one[1] is not None)):
                if is_listed:
                    self._add_rows(asked, [row for _, rows in some for row in rows or []])
                    continue
                folder = Path(place) / f"{number}"
                folder.mkdir()
                for part in images_given([word for word, _ in some], folder):
                    self._add_given(asked, part, folder)
        if not asked.names:
            raise JobError(f"no image can be read ({'; '.join(asked.unreadable[:3])}); name others")
        return asked

    def pictures(self, rows: Sequence[int] | npt.NDArray[np.intp]) -> list[bytes | None]:
        """Return small pictures of images of the listing."""
        return self._pictures(self.listing.root, self.listing.images.sources(rows))

    def _rows_of(self, word: Any) -> list[int] | None:
        """Return the rows of the listing that are meant; None where it is an image of its own."""
        n_rows = len(self.listing.images)
        if isinstance(word, int | np.integer):
            if not 0 <= word < n_rows:
                raise JobError(f"no row {word}: {self.cache.path} lists {n_rows} images; count from 0")
            return [int(word)]
        if not isinstance(word, str | os.PathLike):
            return None
        text = os.fspath(word)
        if is_url(text) or os.path.lexists(Path(text).expanduser()):
            return None
        paths = self.listing.images.files["path"]
        rows: list[int] = pc.indices_nonzero(pc.equal(paths, text)).to_pylist()
        rows = rows or pc.indices_nonzero(pc.starts_with(paths, f"{text.rstrip('/')}/")).to_pylist()
        if not rows and len(text) == 64 and set(text) <= set("0123456789abcdef"):
            rows = self._rows_with(np.frombuffer(bytes.fromhex(text), np.uint8)[None])
        if rows or is_pattern(text):
            return rows or None
        if text.isdecimal() and int(text) < n_rows:
            return [int(text)]
        raise JobError(
            f"{text}: neither a file or folder, nor the path or number of one of the {n_rows} images that "
            f"{self.cache.path} lists, such as {self.listing.images.paths([0])[0]}; name one of these"
        )

    def _rows_with(self, digests: npt.NDArray[np.uint8]) -> list[int]:
        """Return the rows of images with these contents, uint8 (n, 32)."""
        listed, wanted = self.listing.images.digest, {one.tobytes() for one in digests}
        near = np.flatnonzero(np.isin(_starts(listed), _starts(digests)))
        return [row for row in near.tolist() if listed[row].tobytes() in wanted]

    def _add_rows(self, asked: Asked, rows: list[int]) -> None:
        asked.names += self.listing.images.paths(rows)
        asked.rows += rows
        asked.features += list(np.asarray(self.embedded.features.take(rows), dtype=np.float32))
        asked.thumbnails += self.pictures(rows)

    def _add_given(self, asked: Asked, part: Given, folder: Path) -> None:
        """Add images that were given as files: those of known content as the cache has them."""
        scratch = EmbeddingCache(folder / "cache", create=True)
        listed = update_listing(scratch, part.images, workers=self._settings.n_workers, write=False).rows
        readable = listed.loc[listed["status"] == OK]
        vectors, reasons = self._vectors(readable["digest"].tolist(), part, listed, scratch)
        own = self._own_rows(part.images.root, readable)
        shown = []
        for name, source, digest, reason in zip(
            part.names, image_sources(listed), listed["digest"], listed["reason"], strict=True
        ):
            if digest in vectors:
                asked.names.append(name)
                asked.rows.append(own.get(source.path, -1))
                asked.features.append(vectors[digest])
                shown.append(source)
            else:
                asked.unreadable.append(f"{name}: {reason or reasons[digest]}")
        asked.thumbnails += self._pictures(part.images.root, shown)

    def _vectors(
        self, digests: list[str], part: Given, listed: Any, scratch: EmbeddingCache
    ) -> tuple[dict[str, Vector], dict[str, str]]:
        """Return features by digest, and why others have none."""
        store, tap = self.embedded.store, self.embedded.tap
        is_new = store.missing(digests) if digests else np.empty(0, dtype=bool)
        known = [digest for digest, new in zip(digests, is_new, strict=True) if not new]
        vectors = dict(zip(known, np.asarray(store.view(tap, known), dtype=np.float32), strict=True)) if known else {}
        if not is_new.any():
            return vectors, {}
        from headstart.flows.inference import Network, refuse_unnamed_code  # noqa: PLC0415 - loads torch

        refuse_unnamed_code(store.key, self.options.backbone, self.cache.path)
        new = listed["digest"].isin(np.array(digests, dtype=object)[is_new]).to_numpy()
        some = replace(part.images, rows=part.images.rows[new].reset_index(drop=True))
        source = self.options.weights or store.about["weights_source"]
        network = Network(store.key, tap, source, self._settings, model=self.cache.path, progress=self.options.progress)
        rows, features, _ = network.embed(some, scratch, kept=False)
        usable = rows["status"] == OK
        vectors |= dict(zip(rows["digest"][usable], np.asarray(features[:]), strict=True))
        return vectors, dict(zip(rows["digest"][~usable], rows["reason"][~usable], strict=True))

    def _own_rows(self, root: ImageRoot, readable: Any) -> dict[str, int]:
        """Return the row of each image, by its path, that is the very file that the listing has there."""
        digests = [bytes.fromhex(digest) for digest in readable["digest"]]
        if not digests:
            return {}
        rows = self._rows_with(np.frombuffer(b"".join(digests), np.uint8).reshape(-1, 32))
        listed = dict(zip(map(_resolved, self._places(rows)), rows, strict=True))
        places = [(path, _resolved(place_of(root, path))) for path in readable["path"]]
        return {path: listed[place] for path, place in places if place in listed}

    def _places(self, rows: list[int]) -> Iterator[str]:
        return (place_of(self.listing.root, path) for path in self.listing.images.paths(rows))

    def _pictures(self, root: ImageRoot, sources: Sequence[ImageSource]) -> list[bytes | None]:
        if not self._thumbnail:
            return [None] * len(sources)
        return read_thumbnails(root, sources, self._thumbnail, self.embedded.store.key.range)


def _starts(digests: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint64]:
    """Return the first eight bytes of each digest: few others have the same."""
    return np.ascontiguousarray(digests[:, :8]).view(np.uint64)[:, 0]


def _resolved(place: str) -> str:
    return place if is_url(place) else os.path.realpath(place)
