from .app import main as main
from .options import CacheArgument as CacheArgument
from .options import ImagesArgument as ImagesArgument
from .options import Json as Json
from .options import with_options as with_options
