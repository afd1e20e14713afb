"""Image sets in object stores that are no single file: all that lies below an address."""

from headstart.extractors.errors import ImageSetError
from headstart.extractors.images.folders import folder_image_set
from headstart.extractors.images.formats import EXPECTED, is_image_name
from headstart.extractors.images.image_set import ImageSet, count_by_suffix
from headstart.extractors.images.layout import Layout
from headstart.extractors.images.remote import scan_prefix
from headstart.extractors.images.roots import ImageRoot, RemoteRoot
from headstart.extractors.images.tar import list_archives


def is_prefix(place: ImageRoot) -> bool:
    """Tell an address."""
    return isinstance(place, RemoteRoot)


def list_prefix(place: ImageRoot, layout: Layout | None = None) -> ImageSet:
    """List the images below an address as those of a folder, or the tar shards there where it has no images.

    Raises
    ------
    ImageSetError
        It is a single image, its store does not answer, or it holds no images.
    NotAllowedError
        This process may not read there.
    """
    url = str(place)
    if is_image_name(url):
        raise ImageSetError(f"{url}: a single image; give the address above it, or a manifest that names it")
    images, ignored, shards = scan_prefix(url)
    if images:
        return folder_image_set(place, images, ignored, layout)
    if shards:
        return list_archives(place, shards)
    found = f"{ignored.total()} objects, none an image ({count_by_suffix(ignored)})" if ignored else "nothing is there"
    raise ImageSetError(f"{url}: {found}; expected {EXPECTED}, or .tar shards; check the address")
