from .job import finetune as finetune
from .summary import BlockRow as BlockRow
from .summary import FinetuneSummary as FinetuneSummary
from .summary import verdict as verdict
