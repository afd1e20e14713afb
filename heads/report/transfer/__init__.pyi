from .advice_page import AdviceLayer as AdviceLayer
from .advice_page import AdvicePage as AdvicePage
from .advice_page import Finding as Finding
from .advice_page import render_advice as render_advice
from .rank_page import RankPage as RankPage
from .rank_page import RankRow as RankRow
from .rank_page import curves_of as curves_of
from .rank_page import render_ranking as render_ranking
