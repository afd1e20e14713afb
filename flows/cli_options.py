"""Arguments and options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output, and nothing else there.")]
CacheArgument = Annotated[
    Path, typer.Argument(help="A cache folder that 'headstart extract' wrote.", show_default=False)
]
ImagesArgument = Annotated[
    str,
    typer.Argument(help="Folder per class, flat folder, CSV or Parquet manifest, or tar shards.", show_default=False),
]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
Workers = Annotated[int | None, typer.Option(min=1, help="Decoding threads.", show_default="one a core")]
