from .job import finetune as finetune
from .options import FinetuneKeywords as FinetuneKeywords
from .options import FinetuneOptions as FinetuneOptions
from .summary import BlockRow as BlockRow
from .summary import FinetuneSummary as FinetuneSummary
from .summary import verdict as verdict
