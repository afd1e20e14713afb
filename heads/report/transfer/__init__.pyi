from .rank_page import RankPage as RankPage
from .rank_page import RankRow as RankRow
from .rank_page import curves_of as curves_of
from .rank_page import render_ranking as render_ranking
from .zero_shot_page import ZeroShotPage as ZeroShotPage
from .zero_shot_page import ZeroShotRow as ZeroShotRow
from .zero_shot_page import render_zero_shot as render_zero_shot
