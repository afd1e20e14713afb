from .multitasking import multitask as multitask
from .ranking import rank as rank
