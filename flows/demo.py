"""The whole job on a small scale, offline: pre-train, extract, fit, report, on scikit-learn's digits."""

import shutil
from pathlib import Path

from headstart.flows.digits import pretrain_on_digits, write_digits
from headstart.flows.errors import JobError
from headstart.flows.pipeline import RunSummary, run

EXPERIMENT = """\
# Few images of a new task (digits 5-9, five a class): does an encoder that learned another task (digits 0-4) help?
name = "digits"
images = "target"
cache = "digits.headstart"
out = "results"

[[extract]] # pre-trained on digits 0-4
backbone = "small_cnn"
weights = "encoder.safetensors"

[[extract]] # the same network with random weights
backbone = "small_cnn"
weights = "none"

[[extract]] # no network at all
backbone = "pixels"

[fit]
head = ["logreg", "ridge", "knn", "centroid", "linear-torch", "dummy"]
"""


def demo(out: str | Path = "headstart-demo", *, progress: bool = True) -> RunSummary:
    """Write the digits, pre-train an encoder on 0–4, and run the experiment on 5–9.

    Parameters
    ----------
    out : path-like
        Folder for images, encoder, experiment, cache and results; an earlier demonstration in it is replaced.
    progress : bool
        Show bars on standard error.

    Raises
    ------
    JobError
        The folder holds something else.
    """
    folder = Path(out)
    experiment = folder / "experiment.toml"
    ours = experiment.is_file() and experiment.read_text(encoding="utf-8") == EXPERIMENT
    if folder.exists() and any(folder.iterdir()) and not ours:
        raise JobError(f"{folder}: holds other files; name an empty or a new folder (--out DIR)")
    for part in ("source", "target", "digits.headstart", "results"):
        if (folder / part).exists():
            shutil.rmtree(folder / part)
    folder.mkdir(parents=True, exist_ok=True)
    experiment.write_text(EXPERIMENT, encoding="utf-8")  # first: it marks the folder as a demonstration's
    write_digits(folder)
    pretrain_on_digits(folder / "source", folder / "encoder.safetensors", progress=progress)
    return run(experiment, progress=progress)
