from .adaptation import adapt as adapt
from .multitasking import multitask as multitask
from .ranking import rank as rank
from .zero_shot import zeroshot as zeroshot
