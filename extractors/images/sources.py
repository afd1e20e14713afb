"""List an image set from wherever it lies, and read the bytes of its images."""

from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from headstart.extractors.errors import ImageSetError, NotAllowedError
from headstart.extractors.images.folders import folder_image_set, scan_folder
from headstart.extractors.images.image_set import (
    COMPRESSED_TARS,
    IMAGE_SUFFIXES,
    LISTING_COLUMNS,
    ImageSet,
    count_by_suffix,
    label_columns,
    os_reason,
)
from headstart.extractors.images.manifests import MANIFEST_SUFFIXES, list_manifest
from headstart.extractors.images.patterns import expand_braces, expand_pattern, is_pattern
from headstart.extractors.images.reading import MAX_BYTES, ImageSource, digest_bytes, image_sources, read_bytes
from headstart.extractors.images.remote import check_address, expand_remote, scan_prefix
from headstart.extractors.images.roots import NOT_ALLOWED, RemoteRoot, is_allowed, is_url
from headstart.extractors.images.tar import list_archives

__all__ = [
    "LISTING_COLUMNS",
    "MAX_BYTES",
    "ImageSet",
    "ImageSource",
    "digest_bytes",
    "image_sources",
    "label_columns",
    "list_images",
    "read_bytes",
]


def list_images(source: str | Path, *, limit: int | None = None) -> ImageSet:
    """List the images of a source without opening them, in an order that is the same on every filesystem.

    Parameters
    ----------
    source : str or Path
        A folder (a folder per class, perhaps below `train`, `val` and `test`; images without classes; or tar shards), a
        `.csv` or `.parquet` manifest, a `.tar` file, or a glob or brace range of them such as `shards-{000..012}.tar`.
        Each may lie in an object store, as in `s3://bucket/photos`; on a web server only manifests and tar files do.
    limit : int, optional
        Keep this many rows at most, taken in turn from every (split, label) so that no class is left out for its name.
        The label is the column `label`, or else the first label column.

    Returns
    -------
    ImageSet
        Folders sorted by path, manifests in their own order, archives in the members' order.

    Raises
    ------
    ImageSetError
        The source is missing, of an unknown kind, or without a single image; or its manifest or archives are wrong.
    NotAllowedError
        This process may not read there.
    """
    if limit is not None and limit < 1:
        raise ImageSetError(f"limit must be at least 1, found {limit}; leave it out for all images")
    if is_url(str(source)):
        image_set = list_remote(str(source))
    else:
        image_set = _list_source(_allowed(Path(source).expanduser().absolute()))
    if limit is None or limit >= len(image_set.rows):
        return image_set
    return replace(image_set, rows=_spread(image_set.rows, limit), left_out=len(image_set.rows) - limit)


def _allowed(source: Path) -> Path:
    if not is_allowed(source):
        raise NotAllowedError(f"{source}: {NOT_ALLOWED}")
    return source


def _list_source(source: Path) -> ImageSet:
    try:
        if source.is_dir():
            return _list_folder(source)
        is_file = source.is_file()
    except NotAllowedError:
        raise  # it is an OSError, too: an archive in the folder is a link that leads out
    except OSError as error:
        raise ImageSetError(f"{source}: cannot be looked at ({os_reason(error)}); check its owner") from error
    if not is_file:
        if is_pattern(str(source)):
            return list_archives(*expand_pattern(str(source)))
        raise ImageSetError(f"{source}: no such file or folder; check the path")
    suffix = source.suffix.lower()
    if suffix in MANIFEST_SUFFIXES:
        return list_manifest(source)
    if suffix == ".tar":
        return list_archives(source.parent, [source.name])
    if source.name.lower().endswith(COMPRESSED_TARS):
        raise ImageSetError(f"{source}: a compressed archive; decompress it to a plain .tar")
    if suffix in IMAGE_SUFFIXES:
        raise ImageSetError(f"{source}: a single image; give the folder that it lies in")
    raise ImageSetError(f"{source}: unknown kind of file; give a folder, a .csv or .parquet manifest, or .tar shards")


def _list_folder(root: Path) -> ImageSet:
    images, ignored = scan_folder(root)
    if images:
        return folder_image_set(root, images, ignored)
    if shards := [path.name for path in root.iterdir() if path.suffix.lower() == ".tar" and path.name[0] != "."]:
        return list_archives(root, shards)
    expected = f"expected {', '.join(IMAGE_SUFFIXES)}, or .tar shards"
    if not ignored:
        raise ImageSetError(f"{root}: the folder is empty; {expected}")
    found = f"{ignored.total()} files, none an image ({count_by_suffix(ignored)})"
    manifests = sorted(path for path in root.iterdir() if path.suffix.lower() in MANIFEST_SUFFIXES)
    advice = f"; give the manifest itself: {manifests[0]}" if manifests else ""
    raise ImageSetError(f"{root}: {found}; {expected}{advice}")


def _spread(rows: pd.DataFrame, limit: int) -> pd.DataFrame:
    """Keep `limit` rows, in their order: the first of every (split, label), the second of each, and so on."""
    label = "label" if "label" in rows else next(iter(label_columns(rows)), None)
    groups = ["split"] if label is None else ["split", label]
    turn = rows.groupby(groups, dropna=False, sort=False, observed=True).cumcount().to_numpy()
    kept = np.sort(np.argsort(turn, kind="stable")[:limit])
    return rows.iloc[kept].reset_index(drop=True)


def list_remote(url: str) -> ImageSet:
    """List the images at an address, as `extractors.images.sources.list_images` does those of a folder.

    Raises
    ------
    ImageSetError
        The address is refused, its store does not answer, or it holds no images.
    NotAllowedError
        This process may not read there.
    """
    check_address(url)  # which leaves no question mark: in a store, only * and [ ] make a pattern
    url = url.rstrip("/")
    if is_pattern(url):
        return _list_pattern(url)
    root, _, name = url.rpartition("/")
    suffix = PurePosixPath(name).suffix.lower()
    if suffix in MANIFEST_SUFFIXES:
        return list_manifest(url)
    if suffix == ".tar":
        return list_archives(RemoteRoot(root), [name])
    if name.lower().endswith(COMPRESSED_TARS):
        raise ImageSetError(f"{url}: a compressed archive; decompress it to a plain .tar")
    if suffix in IMAGE_SUFFIXES:
        raise ImageSetError(f"{url}: a single image; give the address above it, or a manifest that names it")
    return _list_prefix(url)


def _list_prefix(url: str) -> ImageSet:
    images, ignored, shards = scan_prefix(url)
    root = RemoteRoot(url)
    if images:
        return folder_image_set(root, images, ignored)
    if shards:
        return list_archives(root, shards)
    found = f"{ignored.total()} objects, none an image ({count_by_suffix(ignored)})" if ignored else "nothing is there"
    raise ImageSetError(f"{url}: {found}; expected {', '.join(IMAGE_SUFFIXES)}, or .tar shards; check the address")


def _list_pattern(pattern: str) -> ImageSet:
    """List the tar shards that a brace range or, in an object store, a glob stands for."""
    addresses: list[str] = []
    for address in expand_braces(pattern):
        if is_pattern(address):
            found = expand_remote(address)
            if not found:
                raise ImageSetError(f"{address}: nothing is there; check the pattern")
            addresses += found
        else:
            addresses.append(address)
    strangers = [address for address in addresses if not address.lower().endswith(".tar")]
    if strangers:
        raise ImageSetError(f"{pattern}: a pattern stands for .tar shards, but {strangers[0]} is none")
    plain = [part for part in pattern.split("/") if not is_pattern(part)]
    first = next(number for number, part in enumerate(pattern.split("/")) if is_pattern(part))
    root = "/".join(plain[:first])
    return list_archives(RemoteRoot(root), [address.removeprefix(f"{root}/") for address in addresses])
