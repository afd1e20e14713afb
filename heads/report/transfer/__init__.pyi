from .adapt_page import AdaptMap as AdaptMap
from .adapt_page import AdaptPage as AdaptPage
from .adapt_page import AdaptRow as AdaptRow
from .adapt_page import render_adaptation as render_adaptation
from .rank_page import RankPage as RankPage
from .rank_page import RankRow as RankRow
from .rank_page import curves_of as curves_of
from .rank_page import render_ranking as render_ranking
