"""Where the time of an extraction goes."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

STAGES = ("read", "decode", "transfer", "forward", "write")


class StageTimes:
    """Seconds of work by stage; threads that work at the same time add up.

    Attributes
    ----------
    seconds : dict of str to float
        For each of `STAGES`, and ``set up`` for calibrating, compiling and comparing before the first batch.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._lock = threading.Lock()

    def restore(self, seconds: dict[str, float], *, keep: str) -> None:
        """Go back to earlier sums, except for one stage."""
        with self._lock:
            self.seconds = seconds | {keep: self.seconds.get(keep, 0.0)}

    def add(self, seconds: dict[str, float]) -> None:
        """Add what was measured elsewhere."""
        with self._lock:
            self.seconds |= {stage: self.seconds.get(stage, 0.0) + more for stage, more in seconds.items()}

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        """Add the time that the block takes to a stage."""
        begun = time.perf_counter()
        try:
            yield
        finally:
            with self._lock:
                self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - begun
