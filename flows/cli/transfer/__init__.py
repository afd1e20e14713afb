"""The commands of transfer learning beyond a head; `flows.cli.app` adds them to the others.

few_shot  Command `episodes`.
ranking   Command `rank`.
reducing  Command `reduce`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
