"""Check what a run may touch: an experiment's parameters against the limits of its table and of the serving process."""

import os
from pathlib import Path

from pydantic import ValidationError

from headstart.extractors.images import ENVIRONMENT, is_pattern, is_url, is_within
from headstart.extractors.spec import is_file_argument
from headstart.flows.errors import JobError
from headstart.flows.experiment.tables import Experiment, SecurityTable
from headstart.heads.registry import module_and_name, read_head

_DASK_AT_HOME = ("threads", "processes", "local", "cuda")  # workers of this machine, started by the run itself


def check_allowed(experiment: Experiment) -> None:
    """Refuse an experiment that leads outside its limits, and hold this process and those it starts to them.

    Every flow calls this first.

    Raises
    ------
    JobError
        As `refuse_disallowed`.
    """
    refuse_disallowed(experiment)
    os.environ.update(export_limits(experiment))


def refuse_disallowed(experiment: Experiment) -> None:
    """Refuse an experiment that leads outside its limits.

    Limits come from the environment, which the serving process pins (`export_limits`), and from the experiment's
    ``[security]`` table, which can only narrow them.

    Raises
    ------
    JobError
        A path, URL, ``module:name`` or Dask scheduler is not allowed; the message names the field and what is allowed.
    """
    limits = _limits_of(experiment)
    if limits.roots is None:
        return
    for field, place in _places(experiment):
        _require_within(field, place, limits.roots)
    for field, folder in (("cache", experiment.cache), ("out", experiment.out)):
        _refuse_links_out(field, folder, limits.roots)
    for field, name in _code(experiment):
        if name not in map(module_and_name, limits.code):
            raise JobError(f"{field}: {name} is code that would run, and is none of {_shown(limits.code)}; {_ADVICE}")
    for field, address in _schedulers(experiment):
        if address not in limits.dask:
            raise JobError(f"{field}: {address} is none of the schedulers {_shown(limits.dask)}; {_ADVICE}")


def export_limits(experiment: Experiment) -> dict[str, str]:
    """Return the environment variables that hold a process to the experiment's limits and to those it is under already.

    Returns
    -------
    dict of str to str
        To be put into the environment of whatever runs the flow; {} where nothing is limited.

    Raises
    ------
    JobError
        The environment holds limits that cannot be understood.
    """
    limits = _limits_of(experiment)
    return {} if limits.roots is None else {ENVIRONMENT: limits.model_dump_json()}


_ADVICE = "whoever serves the run may add it to [security]"


def narrow_limits(pinned: str | None, asked: str | None) -> str | None:
    """Return limits that allow what both values of the environment variable allow; None where neither limits anything.

    Raises
    ------
    JobError
        One of them cannot be understood.
    """
    limits = _narrower(_understood(pinned), _understood(asked))
    return None if limits.roots is None else limits.model_dump_json()


def _limits_of(experiment: Experiment) -> SecurityTable:
    """Return limits that allow what both the environment and the experiment allow."""
    return _narrower(_understood(os.environ.get(ENVIRONMENT)), experiment.security)


def _narrower(pinned: SecurityTable, own: SecurityTable) -> SecurityTable:
    if pinned.roots is None or own.roots is None:
        return own if pinned.roots is None else pinned
    narrower = [root for root in own.roots if is_within(root, pinned.roots)]
    narrower += [root for root in pinned.roots if is_within(root, own.roots) and root not in narrower]
    return SecurityTable(
        roots=narrower,
        code=[name for name in own.code if name in pinned.code],
        dask=[address for address in own.dask if address in pinned.dask],
    )


def _understood(pinned: str | None) -> SecurityTable:
    if not pinned:
        return SecurityTable()
    try:
        return SecurityTable.model_validate_json(pinned)
    except ValidationError as error:
        raise JobError(
            f"{ENVIRONMENT} holds no limits that can be understood, so nothing is allowed; "
            f'write {{"roots": [...], "code": [...], "dask": [...]}} ({error.errors()[0]["msg"]})'
        ) from error


def _places(experiment: Experiment) -> list[tuple[str, str]]:
    """Return every place that the experiment names, with its field, as the code that opens it will take it."""
    images = experiment.images
    places = [
        ("images", images if is_url(images) else str(Path(images).expanduser())),
        ("cache", str(experiment.cache)),
        ("out", str(experiment.out)),
    ]
    places += [("extract.weights", table.weights) for table in experiment.extract if is_file_argument(table.weights)]
    for kind, tables in (("fit", experiment.fit), ("finetune", experiment.finetune)):
        places += [(f"{kind}.labels", str(labels)) for table in tables if (labels := table.options.labels) is not None]
    costs = [table.options.costs for table in experiment.fit]
    places += [("fit.costs", str(one)) for one in costs if isinstance(one, str | Path) and "=" not in str(one)]
    return places


def _code(experiment: Experiment) -> list[tuple[str, str]]:
    named = [("extract.backbone", table.backbone) for table in experiment.extract]
    named += [("fit.head", read_head(head).name) for table in experiment.fit for head in table.head]
    return [(field, name) for field, name in named if ":" in name]


def _schedulers(experiment: Experiment) -> list[tuple[str, str]]:
    named = [] if experiment.scale is None else [("scale.dask", experiment.scale.dask)]
    named += [("fit.dask", table.options.dask) for table in experiment.fit]
    named += [("finetune.dask", address) for table in experiment.finetune if (address := table.options.dask)]
    return [(field, address) for field, address in named if address not in _DASK_AT_HOME]


def _require_within(field: str, place: str, roots: list[str]) -> None:
    # What a pattern stands for is only known on the disk: below its fixed part, as long as it has no way up.
    way_up = not is_url(place) and is_pattern(place) and ".." in Path(place).parts
    if way_up or not is_within(place, roots):
        raise JobError(f"{field}: {place} lies outside the allowed roots {_shown(roots)}; {_ADVICE}")


def _refuse_links_out(field: str, folder: Path, roots: list[str]) -> None:
    """Refuse links below a folder that is written to, where they lead out: what is written would land there."""
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(place, name)
            if path.is_symlink() and not is_within(path, roots):
                raise JobError(f"{field}: {path} is a link that leads outside the allowed roots; remove it")


def _shown(allowed: list[str]) -> str:
    return f"[{', '.join(allowed)}]"
