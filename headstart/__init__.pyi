from .flows import Model as Model
from .flows import compact as compact
from .flows import export as export
from .flows import extract as extract
from .flows import finetune as finetune
from .flows import fit as fit
from .flows import graft as graft
from .flows import inspect as inspect
from .flows import load as load
from .flows import predict as predict
from .flows import run as run
from .flows import summarize as summarize
from .flows import verify as verify
from .flows.demo import demo as demo
from .flows.doctor import doctor as doctor
from .flows.exploring import choose_next as choose_next
from .flows.exploring import cluster as cluster
from .flows.exploring import list_backbones as list_backbones
from .flows.exploring import list_heads as list_heads
from .flows.exploring import list_layers as list_layers
from .flows.exploring import open as open  # noqa: A004 - like `gzip.open`
from .flows.exploring import similar as similar
from .flows.exploring.reduction import reduce as reduce
from .flows.fitting import fit_targets as fit_targets
from .flows.history import compare as compare
from .flows.history import results as results
from .flows.nightly.job import nightly as nightly
from .flows.serving import serve as serve
from .flows.transfer.episodes import episodes as episodes
from .flows.transfer.ranking import rank as rank

__version__: str
