from .archives import list_archives as list_archives
