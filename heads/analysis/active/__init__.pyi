from .choosing import Choice as Choice
from .choosing import choose as choose
from .images import PartlyLabelled as PartlyLabelled
from .strategies import STRATEGIES as STRATEGIES
from .strategies import Strategy as Strategy
from .strategies import find_strategy as find_strategy
from .strategies import usual_strategy as usual_strategy
