"""Device on which torch trains heads: settled, told to the candidates, and held by one job at a time."""

import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from headstart.flows.errors import JobError
from headstart.flows.extraction import device_lock
from headstart.flows.options import FitOptions
from headstart.heads.errors import DataError
from headstart.heads.registry import HEADS, Candidate, find_head, tell_of_device


def settle_device(device: str, dask: str = "") -> str:
    """Return the device that is asked for; ``auto`` is CUDA where there is one.

    Workers of a scheduler at an address have devices of their own: whether theirs is there, their fits will say.

    Raises
    ------
    DeviceError
        It is not there.
    JobError
        ``auto`` would look at another machine than the one that trains.
    """
    if device == "cpu":
        return "cpu"
    from headstart.extractors.network import resolve_device  # noqa: PLC0415 - loads torch

    if "://" in dask:
        if device == "auto":
            raise JobError(f"--device auto looks at this machine, and the workers of {dask} train: say cpu or cuda")
        if re.fullmatch(r"cuda(:[0-9]{1,3})?", device):
            return device
    return str(resolve_device(device))


def place_candidates(candidates: Sequence[Candidate], options: FitOptions) -> tuple[list[Candidate], list[str]]:
    """Return the candidates, those that torch trains with their device, and what to note of it.

    Raises
    ------
    DataError
        A GPU is asked for, and no candidate's head trains on one.
    """
    device = settle_device(options.device, options.dask)
    if device == "cpu":
        where = ["there is no CUDA device here: all heads are fitted on the CPU"] if options.device == "auto" else []
        return list(candidates), where
    able = {one.head: find_head(one.head, one.task).on_device for one in candidates}
    if not any(able.values()) and options.device != "auto":
        trained = ", ".join(name for name, head in HEADS.items() if head.on_device)
        raise DataError(f"{', '.join(able)} cannot train on {device}: leave --device out, or name one of {trained}")
    trains, others = ([name for name, on_device in able.items() if on_device is kind] for kind in (True, False))
    parts = [f"{', '.join(trains)} trained on {device}"] if trains else []
    parts += [f"{', '.join(others)} fitted on the CPU"] if others else []
    return tell_of_device(candidates, device), ["; ".join(parts)]


@contextmanager
def devices_held(candidates: Sequence[Candidate], options: FitOptions) -> Iterator[None]:
    """Let one job at a time use each GPU that candidates train on, where that is one of this machine.

    Raises
    ------
    DeviceError
        A candidate's own grid names one that is not there.
    """
    named = {str(one.params.get("device", "cpu")) for one in candidates}
    with gpus_held([] if "://" in options.dask else sorted(named), show=options.progress):
        yield


@contextmanager
def gpus_held(devices: Sequence[str], *, show: bool) -> Iterator[None]:
    """Let one job at a time use these devices, of which the CPU is free to all."""
    with ExitStack() as held:
        for name in devices:
            if name != "cpu":
                from headstart.extractors.network import resolve_device  # noqa: PLC0415 - loads torch

                held.enter_context(device_lock(resolve_device(name), show=show))
        yield
