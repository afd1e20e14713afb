"""Image sets at an address: folders and tar shards in an object store; tar shards and manifests anywhere."""

from pathlib import PurePosixPath

from headstart.extractors.archives import expand_braces, is_pattern, list_archives
from headstart.extractors.errors import ImageSetError
from headstart.extractors.folders import folder_image_set
from headstart.extractors.image_root import RemoteRoot
from headstart.extractors.listing import COMPRESSED_TARS, IMAGE_SUFFIXES, ImageSet, count_by_suffix
from headstart.extractors.manifests import MANIFEST_SUFFIXES, list_manifest
from headstart.extractors.remote_address import check_address
from headstart.extractors.remote_listing import expand_remote, scan_prefix


def list_remote(url: str) -> ImageSet:
    """List the images at an address, as `extractors.images.list_images` does those of a folder.

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
