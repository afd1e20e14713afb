from .measured import Likeness as Likeness
from .measured import Measure as Measure
from .measured import measure_likeness as measure_likeness
