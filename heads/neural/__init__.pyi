from .training import CountedClasses as CountedClasses
from .training import hold_out as hold_out
