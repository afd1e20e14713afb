"""Make the forward pass of a run: as fast as it pays for so many images, and checked against the plain network."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from headstart.extractors.arrays import Array
from headstart.extractors.network import CannotCompile, ForwardPass
from headstart.extractors.spec import Decode, EmbeddingKey, Settings
from headstart.extractors.stages import StageTimes
from headstart.extractors.tuning.batch_size import time_batches
from headstart.extractors.tuning.execution import Execution
from headstart.extractors.tuning.fidelity import LOWEST_COSINE, Fidelity
from headstart.extractors.tuning.first_images import FirstImages

_CPU_SIZES, _GPU_SIZES = (8, 16, 32), (128, 256, 512)  # to try, the usual one first
_FEW = 256  # so few images are embedded before anything is found out about them
_WORTH_CALIBRATING = 20.0  # seconds that the forward passes take otherwise
_WORTH_COMPILING = 60.0  # compiling takes 5–20 s, and makes up for half of the rest
# Compiled programs write less to memory, and batches of 16 gain 2–11 % on 8 in five networks of five.
_SMALLEST_COMPILED = 16


@dataclass(frozen=True)
class Prepared:
    """A forward pass, how it is run, and how near it is to the plain network (None where that is known already)."""

    forward: ForwardPass
    execution: Execution
    fidelity: Fidelity | None


def prepare(
    first: FirstImages,
    key: EmbeddingKey,
    settings: Settings,
    recorded: Execution | None,
    n_missing: int,
    times: StageTimes,
) -> Prepared:
    """Decide how to run the forward pass, or take up what was decided for these rows before.

    Parameters
    ----------
    first : FirstImages
        What the ways are timed and compared on.
    key : EmbeddingKey
        Settled: its precision and decoding are what is prepared for.
    settings : Settings
        `batch_size` and `compile` have the last word.
    recorded : Execution, optional
        How the rows that are there were computed.
    n_missing : int
        Images to embed.
    times : StageTimes
        Takes up the time of this as ``set up``, and becomes that of the forward pass.
    """
    kind = first.device.type
    known = recorded if recorded and n_missing <= recorded.images and recorded.device == kind else None

    def make(batch_size: int, *, compiled: bool = False, plain: bool = False) -> ForwardPass:
        return ForwardPass(
            first.backbone,
            first.taps,
            device=first.device,
            precision=key.precision,
            batch_size=batch_size,
            compiled=compiled,
            plain=plain,
            times=times,
        )

    usual = _sizes(first.device)[0]
    execution = known or Execution(batch_size=usual, device=kind, threads=torch.get_num_threads(), images=n_missing)
    execution = replace(execution, batch_size=settings.batch_size or execution.batch_size)
    before = dict(times.seconds)
    with times.measure("set up"), execution.threads_set():
        images = first.decoded(key.decode)
        if not known and len(images):
            sizes = (settings.batch_size,) if settings.batch_size else _sizes(first.device)
            execution = _calibrated(make, images, sizes, execution)
        if settings.compile != "auto":
            execution = _as_asked(execution, compiled=settings.compile == "on")
        if execution.compiled and not known and not settings.batch_size:
            execution = replace(execution, batch_size=max(execution.batch_size, _SMALLEST_COMPILED))
        if not len(images):  # none can be read: nothing will be embedded
            prepared = Prepared(make(execution.batch_size), execution, None)
        elif known == execution and not execution.compiled:
            prepared = Prepared(make(execution.batch_size, plain=execution.plain), execution, None)
        else:
            prepared = _compared(make, first, execution, decode=key.decode, insist=settings.precision == "bf16")
    times.restore(before, keep="set up")  # the passes above were no part of the run
    return prepared


def _sizes(device: torch.device) -> tuple[int, ...]:
    return _CPU_SIZES if device.type == "cpu" else _GPU_SIZES


def _calibrated(
    make: Callable[..., ForwardPass], images: Array, sizes: tuple[int, ...], execution: Execution
) -> Execution:
    """Choose the batch size, and whether to compile, by how long the forward passes of the run will take."""
    n_images = execution.images
    if n_images < _FEW:
        return execution
    seconds = time_batches(make, images, sizes, enough=lambda each: each * n_images < _WORTH_CALIBRATING)
    best = min(seconds, key=lambda size: seconds[size])
    total = seconds[best] * n_images
    rates = ", ".join(f"{size}: {1 / each:.0f}" for size, each in seconds.items())
    compiled = total >= _WORTH_COMPILING
    notes = (
        f"images/s uncompiled, by batch size: {rates}",
        f"{'' if compiled else 'not '}compiled: without it {n_images} forward passes take {total:.0f} s",
    )
    return replace(execution, batch_size=best, compiled=compiled, notes=notes)


def _as_asked(execution: Execution, *, compiled: bool) -> Execution:
    notes = (*execution.notes[:1], f"{'' if compiled else 'not '}compiled, as asked")
    return execution if execution.compiled == compiled else replace(execution, compiled=compiled, notes=notes)


def _compared(
    make: Callable[..., ForwardPass], first: FirstImages, execution: Execution, *, decode: Decode, insist: bool
) -> Prepared:
    """Make the forward pass, and step back to a slower one where it cannot be had or is too far off."""
    size = execution.batch_size
    if execution.compiled:
        try:
            forward = make(size, compiled=True)
            fidelity = first.compare(forward, decode)
        except CannotCompile as error:
            reason = str(error)
        else:
            if fidelity.accepted or insist:
                return Prepared(forward, execution, fidelity)
            reason = f"its features have a cosine of {fidelity.cosine:.4f} to float32, under {LOWEST_COSINE}"
        execution = replace(execution, compiled=False, notes=(*execution.notes[:1], f"not compiled: {reason}"))
    forward = make(size)
    fidelity = first.compare(forward, decode)
    if fidelity.accepted or insist:
        return Prepared(forward, execution, fidelity)
    note = f"without shortcuts: with them the cosine to float32 is {fidelity.cosine:.4f}, under {LOWEST_COSINE}"
    forward = make(size, plain=True)
    plain = replace(execution, plain=True, notes=(*execution.notes, note))
    return Prepared(forward, plain, first.compare(forward, decode))
