from .pretraining import pretrain as pretrain
from .ranking import rank as rank
