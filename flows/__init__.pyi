from .extraction.job import extract as extract
from .fitting.job import fit as fit
from .inference.prediction import predict as predict
from .orchestration.pipeline import run as run
from .upkeep.compaction import compact as compact
from .upkeep.exporting import export as export
from .upkeep.inspection import inspect as inspect
from .upkeep.verification import verify as verify
