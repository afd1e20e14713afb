"""Make the forward pass of a run: as fast as it pays for so many images, and checked against the plain network.

By counts alone, never by a clock: two runs over the same images on machines of one kind decide alike.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

import torch

from headstart.extractors.arrays import Array
from headstart.extractors.errors import BatchTooLargeError
from headstart.extractors.network import CannotCompile, ForwardPass
from headstart.extractors.spec import Decode, EmbeddingKey, Settings
from headstart.extractors.stages import StageTimes
from headstart.extractors.tuning.execution import Execution
from headstart.extractors.tuning.fidelity import LOWEST_COSINE, Fidelity
from headstart.extractors.tuning.first_images import FirstImages
from headstart.extractors.tuning.work import seconds_of

# Of batches of 8, 16 and 32, small ones are the fastest on most processors; compiled programs write less to memory, and
# batches of 16 gain 2–11 % on 8 in five networks of five.
_USUAL = {"cpu": 8, "cuda": 128}
_SMALLEST_COMPILED = 16
_FEW = 256  # so few images are embedded before anything is found out about them
_WORTH_COMPILING = 60.0  # seconds of forward passes: compiling takes 5–20 s, and makes up for half of the rest

_Found = TypeVar("_Found")


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
    known = recorded if recorded and recorded.device == kind and _is_for(recorded, n_missing) else None

    def make(batch_size: int, *, compiled: bool = False, plain: bool = False) -> ForwardPass:
        return ForwardPass(
            first.backbone,
            first.taps,
            device=first.device,
            precision=key.arithmetic,
            batch_size=batch_size,
            compiled=compiled,
            plain=plain,
            times=times,
        )

    if key.exact:
        alone = Execution(batch_size=1, plain=True, device=kind, threads=1, in_float32=key.in_float32, images=n_missing)
        return Prepared(make(1, plain=True), alone, None)
    threads = torch.get_num_threads()
    execution = known or Execution(batch_size=_USUAL[kind], device=kind, threads=threads, images=n_missing)
    execution = replace(execution, in_float32=key.in_float32)
    execution = replace(execution, batch_size=settings.batch_size or execution.batch_size)
    before = dict(times.seconds)
    with times.measure("set up"), execution.threads_set():
        prepared = _decided(make, first, key.decode, settings, execution, known)
    times.restore(before, keep="set up")  # the passes above were no part of the run
    return prepared


def _decided(
    make: Callable[..., ForwardPass],
    first: FirstImages,
    decode: Decode,
    settings: Settings,
    execution: Execution,
    known: Execution | None,
) -> Prepared:
    """Compile where that pays, and compare with the plain network what no run before has compared."""
    fixed = settings.batch_size is not None
    if not known and execution.images >= _FEW and len(images := first.decoded(decode)):
        execution = _fitting(
            execution, lambda one: _compiled_where_it_pays(one, make(one.batch_size), images), fixed=fixed
        )
    whole = _as_asked(execution, settings, anew=not known)
    forward = make(whole.batch_size, compiled=whole.compiled, plain=whole.plain)
    if known == whole and (forward.is_kept or not whole.compiled):  # compared by the run that recorded it
        return Prepared(forward, whole, None)
    if not len(first.decoded(decode)):  # none can be read: nothing will be embedded
        return Prepared(make(whole.batch_size), whole, None)

    def compare(one: Execution) -> Prepared:
        own = forward if one == whole else make(one.batch_size, compiled=one.compiled)
        return _compared(make, own, first, one, decode=decode, insist=settings.precision == "bf16")

    return _fitting(whole, compare, fixed=fixed)


def _fitting(execution: Execution, attempt: Callable[[Execution], _Found], *, fixed: bool) -> _Found:
    """Attempt it in batches half as large, and half of that, until one fits into the memory of a GPU.

    Raises
    ------
    BatchTooLargeError
        Not even one image does, or the size is `fixed`.
    """
    while True:
        try:
            return attempt(execution)
        except BatchTooLargeError:
            if fixed or execution.batch_size == 1:
                raise
            size = execution.batch_size // 2
            note = f"batches of {size}: {execution.batch_size} images do not fit into the memory of the GPU"
            execution = replace(execution, batch_size=size, notes=(*execution.notes, note))


def _is_for(recorded: Execution, n_missing: int) -> bool:
    """Tell whether what was decided holds for so many images: one that was compiled is for more, and for fewer."""
    return recorded.compiled or n_missing <= recorded.images


def _compiled_where_it_pays(execution: Execution, forward: ForwardPass, images: Array) -> Execution:
    seconds = seconds_of(forward, images) * execution.images
    compiled = seconds >= _WORTH_COMPILING
    many = "enough for that to pay" if compiled else "too few for that to pay"  # counted, so no seconds are promised
    note = f"{'' if compiled else 'not '}compiled: {execution.images} images are {many}"
    return replace(execution, compiled=compiled, notes=(*execution.notes, note))


def _as_asked(execution: Execution, settings: Settings, *, anew: bool) -> Execution:
    """Compile as the person says, and take larger batches for a compiled network unless the person says otherwise."""
    compiled = settings.compile == "on"
    if settings.compile != "auto" and execution.compiled != compiled:
        notes = (f"{'' if compiled else 'not '}compiled, as asked",)
        execution = replace(execution, compiled=compiled, notes=notes)
    if execution.compiled and anew and not settings.batch_size:
        execution = replace(execution, batch_size=max(execution.batch_size, _SMALLEST_COMPILED))
    return execution


def _compared(
    make: Callable[..., ForwardPass],
    forward: ForwardPass,
    first: FirstImages,
    execution: Execution,
    *,
    decode: Decode,
    insist: bool,
) -> Prepared:
    """Compare the forward pass, and step back to a slower one where it cannot be had or is too far off."""
    size = execution.batch_size
    if execution.compiled:
        try:
            fidelity = first.compare(forward, decode)
        except CannotCompile as error:
            reason = str(error)
        else:
            if fidelity.accepted or insist:
                return Prepared(forward, execution, fidelity)
            reason = f"its features have a cosine of {fidelity.cosine:.4f} to float32, under {LOWEST_COSINE}"
        execution = replace(execution, compiled=False, notes=(f"not compiled: {reason}",))
        forward = make(size)
    fidelity = first.compare(forward, decode)
    if fidelity.accepted or insist:
        return Prepared(forward, execution, fidelity)
    note = f"without shortcuts: with them the cosine to float32 is {fidelity.cosine:.4f}, under {LOWEST_COSINE}"
    forward = make(size, plain=True)
    plain = replace(execution, plain=True, notes=(*execution.notes, note))
    return Prepared(forward, plain, first.compare(forward, decode))
