from .adaptation import adapt as adapt
from .ranking import rank as rank
