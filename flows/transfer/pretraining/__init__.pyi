from .job import pretrain as pretrain
from .options import PretrainKeywords as PretrainKeywords
from .options import PretrainOptions as PretrainOptions
from .summary import PretrainSummary as PretrainSummary
