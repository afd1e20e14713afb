from .job import guide as guide
from .options import GuideKeywords as GuideKeywords
from .options import GuideOptions as GuideOptions
from .summary import GuideSummary as GuideSummary
