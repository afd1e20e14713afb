from .few_shot import episodes as episodes
from .ranking import rank as rank
from .reducing import reduce as reduce
