from .job import zeroshot as zeroshot
from .options import ZeroShotKeywords as ZeroShotKeywords
from .options import ZeroShotOptions as ZeroShotOptions
from .summary import ZeroShotSummary as ZeroShotSummary
