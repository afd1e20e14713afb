from .few_labels import Draws as Draws
from .few_labels import Measured as Measured
from .few_labels import draw_few as draw_few
from .few_labels import measured as measured
from .few_labels import right_of as right_of
