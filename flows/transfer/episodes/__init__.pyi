from .job import episodes as episodes
from .options import EpisodesKeywords as EpisodesKeywords
from .options import EpisodesOptions as EpisodesOptions
from .summary import EpisodesSummary as EpisodesSummary
