from .episodes_page import EpisodeRow as EpisodeRow
from .episodes_page import EpisodesPage as EpisodesPage
from .episodes_page import assumptions as assumptions
from .episodes_page import render_episodes as render_episodes
from .rank_page import RankPage as RankPage
from .rank_page import RankRow as RankRow
from .rank_page import curves_of as curves_of
from .rank_page import render_ranking as render_ranking
