"""What two extractions of one set have to agree in."""

from typing import Any

from headstart.flows.output.json_values import plain

LONG_AGO = 1_600_000_000
OF_THE_KEY = ("id", "backbone", "weights", "taps", "precision", "decode", "dtype", "fidelity")


def of_the_key(key: Any) -> list[Any]:
    return [plain(key)[name] for name in OF_THE_KEY]
