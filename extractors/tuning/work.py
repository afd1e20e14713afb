"""How much a forward pass has to compute: counted, for what a clock says differs from run to run."""

from typing import Any

import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_hook
from torch.utils.flop_counter import FlopCounterMode

from headstart.extractors.arrays import Array
from headstart.extractors.network import ForwardPass

# In float32 and uncompiled, a core of a server's processor does about 80 operations a nanosecond, and takes 0.6 ns to
# write a number that a layer puts out: by both, twelve networks from mobilenet_v3_small to vgg16 took 0.6 to 1.1 times
# the time that was measured (an AMD EPYC, one thread, batches of 8).
OPERATIONS_A_NUMBER = 48
_OPERATIONS_A_SECOND = {"cpu": 80e9, "cuda": 20e12}  # of a thread, of a device


def seconds_of(forward: ForwardPass, images: Array) -> float:
    """Seconds that an image takes on a usual processor of this kind, with as many threads as there are now.

    Parameters
    ----------
    forward : ForwardPass
        Uncompiled.
    images : uint8 array (n_images, height, width, 3)
        A batch; what they show changes nothing.
    """
    numbers = 0

    def count(module: nn.Module, _given: Any, found: Any) -> None:
        nonlocal numbers
        if isinstance(found, torch.Tensor) and next(module.children(), None) is None:
            numbers += found.numel()

    hook = register_module_forward_hook(count)
    try:
        with FlopCounterMode(display=False) as counter:
            forward(images[: forward.batch_size])
    finally:
        hook.remove()
    operations = counter.get_total_flops() + numbers * OPERATIONS_A_NUMBER
    kind = forward.device.type
    at_once = torch.get_num_threads() if kind == "cpu" else 1
    return float(operations / forward.batch_size / (_OPERATIONS_A_SECOND[kind] * at_once))
