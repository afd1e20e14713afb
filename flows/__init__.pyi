from .extraction import extract as extract
from .fitting import fit as fit
from .inference import predict as predict
from .orchestration import run as run
from .upkeep import compact as compact
from .upkeep import export as export
from .upkeep import inspect as inspect
from .upkeep import verify as verify
