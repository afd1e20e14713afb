"""Errors of a job as a whole; the packages below have their own trees."""

from headstart.extractors.errors import ExtractorError
from headstart.heads.errors import HeadError


class FlowError(Exception):
    """Anything that `flows` raises on purpose; the message says what, where, found, expected and the next step."""


class JobError(FlowError, ValueError):
    """The inputs of a job do not fit together: labels are absent, no key covers the images, a model's key differs."""


# What the command line shows as one line; anything else is a defect of Headstart and says so.
EXPECTED_ERRORS = (FlowError, ExtractorError, HeadError)
