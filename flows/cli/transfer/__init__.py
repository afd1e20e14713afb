"""The commands of transfer learning beyond a head; `flows.cli.app` adds them to the others.

adaptation    Command `adapt`.
advice        Command `advise`.
few_shot      Command `episodes`.
guidance      Command `guide`.
multitasking  Command `multitask`.
pretraining   Command `pretrain`.
ranking       Command `rank`.
reducing      Command `reduce`.
zero_shot     Command `zeroshot`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
