from .compaction import CompactionSummary as CompactionSummary
from .compaction import compact as compact
from .exporting import ExportSummary as ExportSummary
from .exporting import export as export
from .inspection import CacheSummary as CacheSummary
from .inspection import inspect as inspect
from .verification import VerificationSummary as VerificationSummary
from .verification import verify as verify
