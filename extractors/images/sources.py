"""The table of image sources: which one claims what a person names, lists it, and reads its images.

A new source is one file with a function that lists it (and one that reads an image, where images do not simply lie in
files or archives), and one row here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from headstart.extractors.errors import ImageSetError, NotAllowedError
from headstart.extractors.images.formats import begins_like_image, is_image_name
from headstart.extractors.images.patterns import is_pattern
from headstart.extractors.images.remote import check_address
from headstart.extractors.images.roots import NOT_ALLOWED, ImageRoot, RemoteRoot, is_allowed, is_url

if TYPE_CHECKING:  # they load pandas, and the command line asks this table for its help
    from collections.abc import Callable, Iterator

    from headstart.extractors.images.image_set import ImageSet, ImageSource
    from headstart.extractors.images.layout import Layout

    Claims = Callable[[ImageRoot], bool]
    Lists = Callable[..., ImageSet]
    Reads = Callable[[ImageRoot, ImageSource, int], Iterator[bytes]]


@dataclass(frozen=True, kw_only=True)
class Source:
    """One kind of image source. Functions are named as ``module:function``, and loaded when they are used.

    Parameters
    ----------
    title : str
        What it is called where sources are listed; "" for what is no more than another way to name one.
    lists : str
        Takes the place (an absolute path, or an address) and returns its `ImageSet`; where `lays_out`, also a `Layout`
        or None.
    suffixes : tuple of str
        How the names of its files end, in lower case. It claims such places, and reads images whose archive is one.
    schemes : tuple of str
        Schemes of addresses that are its own, such as ``toy`` of ``toy://three``; no store is asked for them. It claims
        such places, and reads images that lie at one.
    claims : str
        Takes the place and tells whether it is one of these; asked after suffixes, or alone where there are none.
    reads : str
        Takes root, image and the most bytes at once, and yields the image's bytes piece by piece. It need not check
        their number, nor whether the place may be read; an OSError is the reason why they cannot be had.
    lays_out : bool
        Whether classes and splits are read from the names of folders.
    """

    title: str
    lists: str
    suffixes: tuple[str, ...] = ()
    schemes: tuple[str, ...] = ()
    claims: str = ""
    reads: str = "headstart.extractors.images.reading:read_in_place"
    lays_out: bool = False

    def claims_place(self, place: ImageRoot) -> bool:
        """Tell whether a place is one of these."""
        if self.schemes:
            return isinstance(place, RemoteRoot) and urlsplit(place.url).scheme in self.schemes
        if self.suffixes and not str(place).lower().endswith(self.suffixes):
            return False
        asked: Claims | None = _load(self.claims) if self.claims else None
        return asked is None or asked(place)

    def list(self, place: ImageRoot, layout: Layout | None = None) -> ImageSet:
        """List the images at a place that it claims.

        Raises
        ------
        ImageSetError
            A layout is given, and it reads classes and splits from elsewhere than the names of folders.
        """
        listed: Lists = _load(self.lists)
        if self.lays_out:
            return listed(place, layout)
        if layout:
            raise ImageSetError(f"{place}: layout {layout!r} is for folders; this is a {self.title or 'pattern'}")
        return listed(place)

    def holds(self, root: ImageRoot, image: ImageSource) -> bool:
        """Tell whether an image of a listing lies in one of these."""
        if image.archive is not None:
            return image.archive.lower().endswith(self.suffixes)
        place = image.path if is_url(image.path) else str(root)
        return bool(self.schemes) and urlsplit(place).scheme in self.schemes


SOURCES: tuple[Source, ...] = (
    Source(
        title="folder per class, flat folder",
        lists="headstart.extractors.images.folders:list_folder",
        claims="headstart.extractors.images.folders:is_folder",
        lays_out=True,
    ),
    Source(
        title="Parquet file of images",
        lists="headstart.extractors.images.tables.embedded:list_embedded",
        suffixes=(".parquet",),
        claims="headstart.extractors.images.tables.embedded:holds_images",
        reads="headstart.extractors.images.tables.embedded_bytes:read_embedded",
    ),
    Source(
        title="",
        lists="headstart.extractors.images.tar.archives:list_pattern",
        claims="headstart.extractors.images.patterns:stands_for_several",
    ),
    Source(
        title="CSV or Parquet manifest",
        lists="headstart.extractors.images.manifests:list_manifest",
        suffixes=(".csv", ".tsv", ".csv.gz", ".tsv.gz", ".parquet"),
    ),
    Source(
        title="tar shards",
        lists="headstart.extractors.images.tar.archives:list_tar",
        suffixes=(".tar", ".tgz", ".tbz2", ".txz", ".tar.gz", ".tar.bz2", ".tar.xz", ".tar.zst"),
    ),
    Source(
        title="zip file",
        lists="headstart.extractors.images.zips:list_zip",
        suffixes=(".zip",),
        reads="headstart.extractors.images.zips:read_member",
        lays_out=True,
    ),
    Source(
        title="",  # any of these at an address
        lists="headstart.extractors.images.prefixes:list_prefix",
        claims="headstart.extractors.images.prefixes:is_prefix",
        lays_out=True,
    ),
)
"""Every source; the first that claims a place lists it."""


def list_images(source: str | Path, *, limit: int | None = None, layout: Layout | None = None) -> ImageSet:
    """List the images of a source without opening them, in an order that is the same on every filesystem.

    Parameters
    ----------
    source : str or Path
        A folder (a folder per class, perhaps below `train`, `val` and `test`; images without classes; or tar shards), a
        `.csv` or `.parquet` manifest, a `.zip` or `.tar` file, or a glob or brace range of the latter such as
        `shards-{000..012}.tar`: whatever a row of `SOURCES` claims. Each may lie in an object store, as in
        `s3://bucket/photos`; on a web server only files do.
    limit : int, optional
        Keep this many rows at most, taken in turn from every (split, label) so that no class is left out for its name.
        The label is the column `label`, or else the first label column.
    layout : {"classes", "splits"}, optional
        What the first folders are, of folders and zip files; by default as `layout.split_folders` finds.

    Returns
    -------
    ImageSet
        Folders and zip files sorted by path, manifests in their own order, tar shards in the members' order.

    Raises
    ------
    ImageSetError
        The source is missing, of an unknown kind, or without a single image; or its manifest or archives are wrong.
    NotAllowedError
        This process may not read there.
    """
    if limit is not None and limit < 1:
        raise ImageSetError(f"limit must be at least 1, found {limit}; leave it out for all images")
    place = place_named(source)
    image_set = source_at(place).list(place, layout)
    if limit is None or limit >= len(image_set.rows):
        return image_set
    from headstart.extractors.images.image_set import spread_rows  # noqa: PLC0415 - loads pandas

    return replace(image_set, rows=spread_rows(image_set.rows, limit), left_out=len(image_set.rows) - limit)


def place_named(source: str | Path) -> ImageRoot:
    """Return the place that a person names, as a whole path or an address; nothing is looked at.

    Raises
    ------
    ImageSetError
        It is an address that is refused.
    NotAllowedError
        This process may not read there.
    """
    if not is_url(str(source)):
        place: ImageRoot = Path(source).expanduser().absolute()
    elif has_own_scheme(str(source)):
        place = RemoteRoot(str(source))
    else:
        check_address(str(source))  # which leaves no question mark: in a store, only * and [ ] make a pattern
        place = RemoteRoot(str(source).rstrip("/"))
    if not is_allowed(str(place)):
        raise NotAllowedError(f"{place}: {NOT_ALLOWED}")
    return place


def has_own_scheme(url: str) -> bool:
    """Tell an address that a source has for itself from those of object stores and web servers."""
    return any(urlsplit(url).scheme in source.schemes for source in SOURCES)


def source_at(place: ImageRoot) -> Source:
    """Return the source that claims a place.

    Raises
    ------
    ImageSetError
        Nothing is there, or no source claims it.
    """
    try:
        found = isinstance(place, RemoteRoot) or place.exists() or is_pattern(str(place))
        claiming = next((source for source in SOURCES if source.claims_place(place)), None) if found else None
    except NotAllowedError:
        raise  # it is an OSError, too
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise ImageSetError(f"{place}: cannot be looked at ({reason}); check its owner") from error
    if not found:
        raise ImageSetError(f"{place}: no such file or folder; check the path")
    if claiming is None:
        raise _unclaimed(place)
    return claiming


def _unclaimed(place: ImageRoot) -> ImageSetError:
    if is_image_name(str(place)) or (isinstance(place, Path) and begins_like_image(place)):
        return ImageSetError(f"{place}: a single image; give the folder that it lies in")
    return ImageSetError(f"{place}: unknown kind of file; expected {', '.join(titles())}")


def reader_of(root: ImageRoot, image: ImageSource) -> Reads:
    """Return the function that yields the bytes of an image of a listing; files and objects are read in place."""
    holding = next((source.reads for source in SOURCES if source.holds(root, image)), Source.reads)
    reads: Reads = _load(holding)
    return reads


def titles() -> list[str]:
    """Return the titles of all that can be listed, for people: folder per class, tar shards and so on."""
    return [source.title for source in SOURCES if source.title]


def without_suffix(name: str) -> str:
    """Return the name of a source's file without the suffix that it is claimed by."""
    endings = [ending for source in SOURCES for ending in source.suffixes if name.lower().endswith(ending)]
    return name[: -max(map(len, endings))] if endings else name


@cache
def _load(place: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)
