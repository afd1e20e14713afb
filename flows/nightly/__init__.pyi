from .flow import ALERT as ALERT
from .flow import hold_night as hold_night
from .flow import nightly as nightly
from .summary import NightSummary as NightSummary
from .text import night_lines as night_lines
