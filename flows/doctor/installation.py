"""Libraries that are installed, and weights that are on disk."""

import platform
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import PackageNotFoundError, metadata, requires, version

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from headstart.extractors.errors import ExtractorError
from headstart.extractors.spec import find_weights_file, is_file_argument, short_name
from headstart.flows.doctor.finding import Finding, State
from headstart.flows.experiment import Experiment, ExtractTable

# Built for each other: a mismatch shows only when they are loaded.
_LOADED = ("h5py", "torch", "torchvision", "sklearn", "prefect")


def check_libraries() -> list[Finding]:
    """Compare what is installed with what headstart's own metadata asks for, and load what is built for a machine."""
    try:
        bounds = [Requirement(line) for line in requires("headstart") or []]
        python = SpecifierSet(metadata("headstart")["Requires-Python"])
    except PackageNotFoundError:
        advice = "install it: pip install -e . in its folder"
        return [Finding("libraries", "fail", "headstart is not installed, only its code is here", advice)]
    needed = [bound for bound in bounds if bound.marker is None or bound.marker.evaluate({"extra": ""})]
    wrong = [finding for bound in needed if (finding := _check_bound(bound))]
    if not python.contains(platform.python_version(), prereleases=True):
        found = f"Python {platform.python_version()} runs this; headstart needs {python}"
        wrong.append(Finding("Python", "fail", found, "make an environment with a Python that fits, and install again"))
    wrong = wrong or list(_load_all())
    summary = f"headstart {version('headstart')}, Python {platform.python_version()}, {len(needed)} libraries that fit"
    return wrong or [Finding("libraries", "ok", summary)]


def _check_bound(bound: Requirement) -> Finding | None:
    try:
        found = version(bound.name)
    except PackageNotFoundError:
        return Finding(bound.name, "fail", "is not installed", f"pip install '{bound}'")
    if bound.specifier.contains(found, prereleases=True):
        return None
    return Finding(
        bound.name, "fail", f"{found} is installed; headstart needs {bound.specifier}", f"pip install '{bound}'"
    )


def _load_all() -> Iterator[Finding]:
    for name in _LOADED:
        try:
            import_module(name)
        except (
            ImportError,
            OSError,
            RuntimeError,
        ) as error:  # torchvision raises the last for a torch of another build
            first = str(error).partition("\n")[0]
            advice = f"install {name} again, and torch with torchvision from one index"
            yield Finding(name, "fail", f"cannot be loaded: {first}", advice)


def check_weights(experiment: Experiment | None) -> list[Finding]:
    """Say for each backbone of an experiment whether its weights are on disk; nothing is fetched."""
    findings = []
    for table in experiment.extract if experiment else []:
        try:
            state, found, advice = _find_weights(table)
        except ExtractorError as error:
            state, found, advice = "fail", str(error), "mend [[extract]]; 'headstart backbones' lists what there is"
        name = short_name(table.backbone)
        findings.append(Finding("weights", state, found if name in found else f"{name}: {found}", advice))
    return findings


def _find_weights(table: ExtractTable) -> tuple[State, str, str]:
    """Return state, what was found, and advice; raises where backbone or weights are unknown."""
    from headstart.extractors.backbones import resolve_backbone  # noqa: PLC0415 - loads torch

    source, architecture = resolve_backbone(table.backbone)
    if table.weights == "none":
        return "ok", "random, as asked for", ""
    if is_file_argument(table.weights):
        file = find_weights_file(table.weights)
        if file is None:
            return "fail", f"no such file as {table.weights}", "put it there, or name another in [[extract]]"
        return "ok", f"{file.name}, {file.stat().st_size / 1e6:.1f} MB", ""
    if source == "callable":
        return "ok", "code of your own, which is not run here", ""
    if source == "torchvision":
        return _find_published(architecture, table.weights)
    return _find_default(source, architecture, table.weights)


def _find_default(source: str, architecture: str, weights: str) -> tuple[State, str, str]:
    from headstart.extractors.backbones import list_backbones  # noqa: PLC0415 - loads torch

    whole = f"{source}/{architecture}"
    if any(info.weights_on_disk for info in list_backbones(whole) if info.name == whole):
        return "ok", f"{weights}, on disk", ""
    if source == "headstart":
        return "fail", "there are no published weights", 'name a file in [[extract]], or weights = "none"'
    return "warn", f"{weights} weights are not on disk", "the first run fetches them"


def _find_published(architecture: str, weights: str) -> tuple[State, str, str]:
    from headstart.extractors.backbones import default_weights, published_file, published_weights, unknown_weights  # noqa: PLC0415 - loads torch  # noqa: PLC0415 - likewise

    published = published_weights(architecture)
    if weights != "default" and weights not in published:
        raise unknown_weights(architecture, weights, published)
    file = published_file(default_weights(architecture) if weights == "default" else published[weights])
    if file.exists():
        return "ok", f"{weights}, on disk", ""
    return "warn", f"{weights} weights are not on disk", f"the first run fetches them; or put them at {file}"
