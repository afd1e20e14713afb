"""Meanings of the option `--weights`: a reserved word, the name of published weights, or a file; needs no torch."""

from pathlib import Path

SUFFIXES = (".safetensors", ".pth", ".pt", ".ckpt", ".bin", ".pth.tar")
RESERVED_WEIGHTS = ("default", "none")


def is_file_argument(weights: str) -> bool:
    """Tell whether `weights` means a file (which may be missing) and not the name of published weights."""
    if weights in RESERVED_WEIGHTS:
        return False  # also where a file is called so
    return weights.lower().endswith(SUFFIXES) or "/" in weights or "\\" in weights or Path(weights).exists()


def find_weights_file(weights: str) -> Path | None:
    """Return the whole path of the file that `weights` names; None where it names none, or none that is there."""
    return Path(weights).resolve() if weights not in RESERVED_WEIGHTS and Path(weights).is_file() else None
