from .job import finetune as finetune
from .linear import LINEAR_HEADS as LINEAR_HEADS
from .linear import linear_options as linear_options
from .summary import BlockRow as BlockRow
from .summary import FinetuneSummary as FinetuneSummary
from .summary import verdict as verdict
