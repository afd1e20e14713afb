from .drawing import Episodes as Episodes
from .drawing import draw_episodes as draw_episodes
from .drawing import one_class_a_group as one_class_a_group
from .methods import METHODS as METHODS
from .methods import Method as Method
from .scoring import Accuracies as Accuracies
from .scoring import score_episodes as score_episodes
