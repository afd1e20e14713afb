from .adaptation import adapt as adapt
from .advice import advise as advise
from .few_shot import episodes as episodes
from .multitasking import multitask as multitask
from .pretraining import pretrain as pretrain
from .ranking import rank as rank
from .reducing import reduce as reduce
from .zero_shot import zeroshot as zeroshot
