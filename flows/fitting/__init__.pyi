from .choices import refuse_unusable as refuse_unusable
from .job import fit as fit
from .leaderboard import write_leaderboard as write_leaderboard
from .nested import NestedFit as NestedFit
from .several import SeveralFits as SeveralFits
from .several import fit_targets as fit_targets
from .streamed import Streaming as Streaming
from .winner import Scored as Scored
