"""Files that a person names for what a command writes, looked at before the work."""

from collections.abc import Sequence
from pathlib import Path

from headstart.flows.errors import JobError


def check_named(file: Path, kinds: Sequence[str]) -> None:
    """Refuse a file that cannot be written, before the work and not after it.

    Parameters
    ----------
    file : Path
    kinds : sequence of str
        Suffixes that it may have.

    Raises
    ------
    JobError
        It has another suffix, or its folder is missing.
    """
    if file.suffix.lower() not in kinds:
        raise JobError(f"{file}: unknown kind of file; name {' or '.join(f'a {kind}' for kind in kinds)} file")
    if not file.absolute().parent.is_dir():
        raise JobError(f"{file}: its folder does not exist; make it, or name a file elsewhere")
