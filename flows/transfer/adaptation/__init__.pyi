from .job import adapt as adapt
from .options import AdaptKeywords as AdaptKeywords
from .options import AdaptOptions as AdaptOptions
from .summary import AdaptSummary as AdaptSummary
