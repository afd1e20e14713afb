"""Image sets that are named file by file: each is a row, whatever it is called, in the order given."""

from collections.abc import Sequence
from pathlib import Path

from headstart.extractors.images.image_set import (
    QUARANTINED,
    ImageSet,
    ListedImage,
    listed_file,
    listing_frame,
    os_reason,
)
from headstart.extractors.images.roots import NOT_ALLOWED, is_allowed, is_url, place_of


def list_files(paths: Sequence[str]) -> ImageSet:
    """List files and addresses one by one; what cannot be found keeps its row, quarantined, and may stand twice.

    Parameters
    ----------
    paths : sequence of str
        At least one; relative to the current folder, absolute, or URLs.

    Raises
    ------
    ImageSetError
        An address is refused.
    """
    root = Path.cwd()
    elsewhere = {path: path for path in paths if is_url(path)}
    rows: dict[str, ListedImage] = {}
    if elsewhere:
        from headstart.extractors.images.remote import look_up  # noqa: PLC0415 - local images do without

        rows = dict(zip(elsewhere, look_up(elsewhere.items()), strict=True))
    images = [rows[path] if path in rows else _listed(root, path) for path in paths]
    return ImageSet(root, "files", listing_frame(images, {}), {})


def _listed(root: Path, path: str) -> ListedImage:
    try:
        place = Path(place_of(root, path))
        if not is_allowed(place):
            return ListedImage(path, status=QUARANTINED, reason=NOT_ALLOWED)
        return listed_file(path, place.stat())
    except OSError as error:
        return ListedImage(path, status=QUARANTINED, reason=os_reason(error))
    except ValueError as error:  # a null character in the name
        return ListedImage(path, status=QUARANTINED, reason=f"no file can have this name ({error})")
