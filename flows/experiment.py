"""An experiment file: one TOML page that says what to embed, with what, and which heads to fit."""

import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from extractors.key import StoredDtype
from extractors.settings import Settings
from extractors.tap import PENULTIMATE
from extractors.weights_argument import RESERVED_WEIGHTS
from flows.errors import JobError


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)  # a misspelt option is an error, never ignored


class ExtractTable(_Table):
    """``[[extract]]``: one backbone and its weights."""

    backbone: str
    weights: str = "default"


class FitTable(_Table):
    """``[fit]``, or several ``[[fit]]``: heads, target and splits, named as in ``headstart fit``.

    Each uses what ``[[extract]]`` embedded. Of several, each has a folder of its own below the experiment's ``out``,
    called by its ``name``, or ``fit-1``, ``fit-2``, …
    """

    name: str | None = Field(default=None, pattern=r"^\w[\w .-]*$")
    head: list[str] = []
    sweep: Literal["quick", "standard", "thorough"] | None = None
    labels: Path | None = None
    target: str | None = None
    task: Literal["classify", "regress"] | None = None
    metric: str | None = None
    folds: int = Field(default=5, ge=2)
    test_size: float = Field(default=0.2, gt=0, lt=1)
    seed: int = 0
    few_shot: bool = False
    calibrate: bool = False
    dask: str = "threads"


class Experiment(_Table):
    """A whole experiment; relative paths are relative to the file."""

    name: str
    images: str
    cache: Path
    out: Path
    tap: list[str] = [PENULTIMATE]
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    decode: Literal["auto", "full", "draft"] = "auto"
    compile: Literal["auto", "on", "off"] = "auto"
    device: str = "auto"
    dtype: StoredDtype = "float32"
    batch_size: int | None = Field(default=None, ge=1)
    workers: int | None = Field(default=None, ge=1)
    limit: int | None = Field(default=None, ge=1)
    extract: list[ExtractTable] = Field(min_length=1)
    fit: list[FitTable] = Field(min_length=1)

    @field_validator("fit", mode="before")
    @classmethod
    def _take_one_table(cls, value: Any) -> Any:
        return [value] if isinstance(value, dict) else value

    @field_validator("fit")
    @classmethod
    def _name_tables(cls, tables: list[FitTable]) -> list[FitTable]:
        if len(tables) == 1:
            return tables
        named = [
            table.model_copy(update={"name": table.name or f"fit-{number}"})
            for number, table in enumerate(tables, start=1)
        ]
        names = [str(table.name).casefold() for table in named]  # some file systems tell no capitals
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"the name {twice[0]!r} is given twice; each table needs a results folder of its own")
        return named

    def folder_of(self, table: FitTable) -> Path:
        """Where the results of one of the ``fit`` tables go."""
        return self.out if len(self.fit) == 1 else self.out / str(table.name)

    @property
    def settings(self) -> Settings:
        """What the extraction computes with."""
        return Settings(
            device=self.device,
            precision=self.precision,
            decode=self.decode,
            compile=self.compile,
            dtype=self.dtype,
            batch_size=self.batch_size,
            workers=self.workers,
        )


def read_experiment(path: str | Path) -> Experiment:
    """Read and check an experiment file; cache and results stand beside it unless it says otherwise.

    Raises
    ------
    JobError
        The file is missing, is no TOML, or has unknown or missing fields; the message names each.
    """
    file = Path(path)
    try:
        values = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise JobError(
            f"{file}: cannot be read ({error.strerror}); name an experiment file, see README.md for an example"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise JobError(f"{file}: is no TOML: {error}") from error
    values = {"name": file.stem, "cache": f"{file.stem}.headstart", "out": f"{file.stem}.results"} | values
    try:
        return Experiment(**_anchored(values, file.resolve().parent))
    except ValidationError as error:
        faults = "; ".join(f"{_place(fault['loc'], values)}: {fault['msg']}" for fault in error.errors())
        raise JobError(f"{file}: {faults}") from error


def _anchored(values: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Make the paths absolute, so that a flow finds them wherever it runs."""

    def place(table: dict[str, Any], *names: str) -> dict[str, Any]:
        paths = {name: folder / Path(table[name]).expanduser() for name in names if isinstance(table.get(name), str)}
        return table | {name: str(path) for name, path in paths.items()}

    anchored = place(values, "images", "cache", "out")
    if isinstance(values.get("extract"), list):
        anchored["extract"] = [
            place(table, "weights") if isinstance(table, dict) and _is_file(table.get("weights"), folder) else table
            for table in values["extract"]
        ]
    if isinstance(values.get("fit"), dict):
        anchored["fit"] = place(values["fit"], "labels")
    if isinstance(values.get("fit"), list):
        anchored["fit"] = [place(table, "labels") if isinstance(table, dict) else table for table in values["fit"]]
    return anchored


def _place(location: tuple[int | str, ...], values: dict[str, Any]) -> str:
    """Write where a fault is, as the file has it: ``[fit]`` has no number."""
    alone = location[:1] == ("fit",) and isinstance(values.get("fit"), dict)
    return ".".join(str(part) for part in location if not (alone and part == 0))


def _is_file(weights: Any, folder: Path) -> bool:
    """Tell weights that are a file, perhaps beside the experiment, from names such as ``default``."""
    return (
        isinstance(weights, str) and weights not in RESERVED_WEIGHTS and (folder / Path(weights).expanduser()).is_file()
    )
