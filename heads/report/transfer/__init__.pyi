from .pretrain_page import ComparedRow as ComparedRow
from .pretrain_page import PretrainPage as PretrainPage
from .pretrain_page import render_pretraining as render_pretraining
from .rank_page import RankPage as RankPage
from .rank_page import RankRow as RankRow
from .rank_page import curves_of as curves_of
from .rank_page import render_ranking as render_ranking
