"""When a served experiment runs: by a cron expression, at an interval, or when its image folder has grown."""

import re
from datetime import timedelta
from typing import Any

from prefect.client.schemas.schedules import CronSchedule, IntervalSchedule
from pydantic import BaseModel, ConfigDict, ValidationError

from headstart.flows.errors import JobError

_UNITS = {"": "seconds", "s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_LONGEST = timedelta(days=366)


class When(BaseModel):
    """At most one of three ways to start runs; without any, they start on demand.

    Attributes
    ----------
    cron : str or None
        Five fields: minute, hour, day, month, weekday; in `timezone`.
    interval : timedelta or None
        Between the starts of two runs.
    watch : bool
        Whenever the images changed, and have been still since the look before.
    timezone : str
        Of the cron expression, such as ``Europe/Berlin``.
    """

    model_config = ConfigDict(frozen=True)

    cron: str | None = None
    interval: timedelta | None = None
    watch: bool = False
    timezone: str = "UTC"

    @property
    def text(self) -> str:
        """Schedule in words, for a person."""
        if self.cron:
            return f"by cron {self.cron!r}, {self.timezone}"
        if self.interval:
            return f"every {self.interval}"
        return "whenever its images change" if self.watch else "on demand"

    def schedules(self) -> list[Any]:
        """Return the schedules that Prefect is to keep: one, or none."""
        if self.cron:
            return [CronSchedule(cron=self.cron, timezone=self.timezone)]
        return [IntervalSchedule(interval=self.interval)] if self.interval else []


def read_when(cron: str | None, interval: str | float | None, *, watch: bool, timezone: str = "UTC") -> When:
    """Check what a person asked for.

    Parameters
    ----------
    cron : str or None
    interval : str or float or None
        Seconds, or a number with its unit: ``90s``, ``30m``, ``1h``, ``1d``.
    watch : bool
    timezone : str

    Raises
    ------
    JobError
        More than one is asked for, or one cannot be understood.
    """
    asked = [name for name, given in (("--cron", cron), ("--interval", interval), ("--watch", watch)) if given]
    if len(asked) > 1:
        raise JobError(f"{' and '.join(asked)}: give one of them; serve twice, under two names, for two schedules")
    if timezone != "UTC" and not cron:
        raise JobError(f"--timezone {timezone} is that of a --cron expression; give one, or leave it out")
    when = When(cron=cron, interval=read_interval(interval) if interval else None, watch=watch, timezone=timezone)
    try:
        when.schedules()
    except ValidationError as error:
        fault = error.errors()[0]
        option = "--timezone" if fault["loc"] == ("timezone",) else "--cron"
        given = timezone if option == "--timezone" else cron
        text = fault["msg"].removeprefix("Value error, ")
        raise JobError(
            f"{option} {given!r}: {text}; five fields are expected, minute hour day month weekday, such as '0 2 * * *' "
            "for two every night, and a time zone such as Europe/Berlin"
        ) from error
    return when


def read_interval(text: str | float) -> timedelta:
    """Read ``3600``, ``90s``, ``30m``, ``1h`` or ``1d``.

    Raises
    ------
    JobError
        It is none of these, or no longer than no time at all.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?) ?([smhd]?)", str(text).strip())
    seconds = timedelta(**{_UNITS[match[2]]: min(float(match[1]), 1e9)}) if match else timedelta(0)
    if not timedelta(0) < seconds <= _LONGEST:
        raise JobError(
            f"--interval {text!r}: a time between two starts is expected, at most a year: seconds, or a number with "
            "its unit, such as 30m, 1h or 1d"
        )
    return seconds
