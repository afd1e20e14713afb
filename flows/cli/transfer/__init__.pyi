from .ranking import rank as rank
