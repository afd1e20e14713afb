from .advice import advise as advise
from .ranking import rank as rank
