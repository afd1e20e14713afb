from .images import choose_images as choose_images
from .job import rank as rank
from .options import RankKeywords as RankKeywords
from .options import RankOptions as RankOptions
from .order import is_random as is_random
from .summary import RankSummary as RankSummary
