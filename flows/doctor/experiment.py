"""Whether an experiment can start: its names, its images, what it may touch, and GPUs where it wants several."""

from pathlib import Path

from headstart.extractors.errors import ExtractorError, ImageSetError
from headstart.extractors.images import has_own_scheme, is_pattern, is_url
from headstart.flows.doctor.finding import Finding
from headstart.flows.errors import EXPECTED_ERRORS, FlowError
from headstart.flows.experiment import Experiment


def check_experiment(experiment: Experiment) -> list[Finding]:
    """Look at what a run asks first; nothing is listed, imported that is not allowed, or connected to."""
    from headstart.flows.experiment import refuse_disallowed  # noqa: PLC0415 - only where there is an experiment
    from headstart.flows.orchestration import refuse_misspelt  # noqa: PLC0415 - loads Prefect

    for ask in (refuse_disallowed, refuse_misspelt):  # the second imports code of one's own, if the first allows it
        try:
            ask(experiment)
        except EXPECTED_ERRORS as error:
            if isinstance(error, ImageSetError) and not is_url(experiment.images):
                return _check_images(experiment.images)
            return [Finding("experiment", "fail", str(error), "mend the experiment file")]
    return [*_check_images(experiment.images), *_check_gpus(experiment)]


def _check_images(images: str) -> list[Finding]:
    if is_url(images) and has_own_scheme(images):
        return [Finding("images", "ok", f"{images} is an address of a source of its own; it was not asked")]
    if is_url(images):
        from headstart.extractors.images.remote import open_store  # noqa: PLC0415 - loads fsspec

        try:
            open_store(images)
        except (ExtractorError, FlowError) as error:
            return [Finding("images", "fail", str(error), "mend images in the experiment file")]
        return [Finding("images", "ok", f"{images}: the library for it is installed; the store was not asked")]
    place = Path(images).expanduser()
    found = any(place.parent.glob(place.name)) if is_pattern(images) and not place.exists() else place.exists()
    if found:
        return [Finding("images", "ok", f"{images} is there")]
    return [Finding("images", "fail", f"{images}: no such file or folder", "mend images in the experiment file")]


def _check_gpus(experiment: Experiment) -> list[Finding]:
    if experiment.scale is None or experiment.scale.dask != "cuda":
        return []
    import torch  # noqa: PLC0415 - takes seconds

    found, wanted = torch.cuda.device_count(), experiment.scale.workers or 1
    if found >= wanted:
        return [Finding("scale", "ok", f"{found} GPUs for workers of dask = 'cuda'")]
    advice = "set [scale] dask = 'local', or run where the GPUs are"
    return [Finding("scale", "fail", f"dask = 'cuda' needs {wanted} GPUs and torch sees {found}", advice)]
