from .job import advise as advise
from .options import AdviceKeywords as AdviceKeywords
from .options import AdviceOptions as AdviceOptions
from .summary import AdviceSummary as AdviceSummary
