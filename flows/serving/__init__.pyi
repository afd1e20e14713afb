from .schedules import read_when as read_when
from .server import Served as Served
from .server import serve as serve
