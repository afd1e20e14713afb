from .job import reduce as reduce
from .options import ReduceKeywords as ReduceKeywords
from .options import ReduceOptions as ReduceOptions
from .summary import ReduceSummary as ReduceSummary
