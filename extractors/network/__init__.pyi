from .compilation import CannotCompile as CannotCompile
from .compilation import find_compiler as find_compiler
from .device import DeviceError as DeviceError
from .device import has_fast_bf16 as has_fast_bf16
from .device import resolve_device as resolve_device
from .forward import ForwardPass as ForwardPass
from .forward import Pending as Pending
from .taps import feature_sizes as feature_sizes
