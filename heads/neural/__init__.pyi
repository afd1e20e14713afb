from .training import hold_out as hold_out
