"""Findings of a look at an installation: one line a thing, and the next step where it is not well."""

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warn", "fail"]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes
    ----------
    name : str
        What it is: ``GPU``, ``disk``, …
    state : {"ok", "warn", "fail"}
        ``warn``: it works, though slower or not as it might be meant. ``fail``: a run will not get through.
    found : str
        How it is.
    advice : str
        What to do about it; empty where it is well.
    """

    name: str
    state: State
    found: str
    advice: str = ""
