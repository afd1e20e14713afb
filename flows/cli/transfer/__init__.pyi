from .guidance import guide as guide
from .ranking import rank as rank
