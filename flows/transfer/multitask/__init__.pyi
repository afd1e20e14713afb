from .job import multitask as multitask
from .options import MultitaskKeywords as MultitaskKeywords
from .options import MultitaskOptions as MultitaskOptions
from .summary import MultitaskSummary as MultitaskSummary
