from .flows import (
    Model as Model,
)
from .flows import (
    compact as compact,
)
from .flows import (
    export as export,
)
from .flows import (
    extract as extract,
)
from .flows import (
    finetune as finetune,
)
from .flows import (
    fit as fit,
)
from .flows import (
    graft as graft,
)
from .flows import (
    inspect as inspect,
)
from .flows import (
    load as load,
)
from .flows import (
    predict as predict,
)
from .flows import (
    run as run,
)
from .flows import (
    summarize as summarize,
)
from .flows import (
    verify as verify,
)

__version__: str
