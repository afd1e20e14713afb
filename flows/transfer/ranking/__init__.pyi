from .job import rank as rank
from .options import RankKeywords as RankKeywords
from .options import RankOptions as RankOptions
from .summary import RankSummary as RankSummary
