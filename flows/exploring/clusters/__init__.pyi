from .layers import LayerRow as LayerRow
from .layers import choose_layer as choose_layer
from .names import NameRow as NameRow
from .names import Naming as Naming
from .names import name_text as name_text
