from .columns import Column as Column
from .comparison import Compared as Compared
from .comparison import Images as Images
from .comparison import Shared as Shared
from .comparison import compare_columns as compare_columns
from .estimator import History as History
from .estimator import SharedColumns as SharedColumns
from .verdicts import Verdict as Verdict
