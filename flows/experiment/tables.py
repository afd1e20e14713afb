"""An experiment file: one TOML page that says what to embed, with what, and which heads to fit."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Self, TypeVar, get_args, get_origin

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    create_model,
    field_validator,
    model_validator,
)

from headstart.extractors.images import Layout
from headstart.extractors.spec import (
    PENULTIMATE,
    OptionField,
    Settings,
    View,
    ViewOptions,
    options_of,
    shared_values,
)
from headstart.flows.options import FinetuneOptions, FitOptions


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)  # a misspelt option is an error, never ignored


_AnyTable = TypeVar("_AnyTable", bound=_Table)


def _with_options(holder: type) -> Callable[[type[_AnyTable]], type[_AnyTable]]:
    """Give a table a field for each option of a job that an experiment file has."""

    def completed(table: type[_AnyTable]) -> type[_AnyTable]:
        options: dict[str, Any] = {one.name: _field(one) for one in options_of(holder) if one.option.table}
        return create_model(
            table.__name__, __base__=table, __module__=table.__module__, __doc__=table.__doc__, **options
        )

    return completed


def _field(one: OptionField) -> tuple[Any, Any]:
    """Return type and default of an option; where it takes several values, one may stand without brackets."""
    bounds: dict[str, Any] = {"ge": one.option.least, "gt": one.option.above, "lt": one.option.below}
    if get_origin(one.kind) is not list:
        return one.kind, Field(default=one.default, **bounds)
    each: Any = Annotated[get_args(one.kind)[0], Field(**bounds)]
    return Annotated[list[each], BeforeValidator(_as_list), Field(min_length=1)], one.default


def _as_list(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


DASK_PATTERN = r"^(local|cuda|[a-z]+://.+)$"


class ScaleTable(_Table):
    """``[scale]``: shards are embedded by Dask workers, which see cache and images under the same paths.

    `dask` is ``local`` (processes on this machine), ``cuda`` (one for each of its GPUs), or a scheduler's address; the
    sweeps use that scheduler, too, unless their table says otherwise. `workers` counts processes on this machine; by
    default there is one for four cores, or for each GPU. A shard has `shard_images` images at most, and a worker that
    dies loses one shard.
    """

    dask: str = Field(pattern=DASK_PATTERN)
    workers: int | None = Field(default=None, ge=1)
    shard_images: int = Field(default=4096, ge=1)


class ExtractTable(_Table):
    """``[[extract]]``: one backbone and its weights."""

    backbone: str
    weights: str = "default"


@_with_options(FitOptions)
class FitTable(_Table):
    """``[fit]``, or several ``[[fit]]``: heads, target and splits, named as in ``headstart fit``.

    Each uses what ``[[extract]]`` embedded. Of several, each has a folder of its own below the experiment's ``out``,
    called by its ``name``, or ``fit-1``, ``fit-2``, …
    """

    name: str | None = Field(default=None, pattern=r"^\w[\w .-]*$")
    head: list[str] = []

    @property
    def options(self) -> FitOptions:
        """Options of the fit; the rest is the experiment's."""
        return FitOptions(**shared_values(FitOptions, self))


@_with_options(FinetuneOptions)
class FinetuneTable(_Table):
    """``[[finetune]]``: a tail of one of the networks that ``[[extract]]`` names, as in ``headstart finetune``.

    `backbone` and `weights` say which, where there are several. The results lie in ``finetune`` below the experiment's
    ``out``; of several tables, each has a folder in it, called by its ``name``, or ``finetune-1``, ``finetune-2``, …
    """

    model_config = ConfigDict(populate_by_name=True)

    name: str | None = Field(default=None, pattern=r"^\w[\w .-]*$")
    from_layer: Annotated[list[str], BeforeValidator(_as_list)] = Field(alias="from", min_length=1)

    @property
    def options(self) -> FinetuneOptions:
        """Options of the job; the rest is the experiment's."""
        return FinetuneOptions(**shared_values(FinetuneOptions, self))


class SecurityTable(_Table):
    """``[security]``: where a run may read and write, and what it may import or connect to.

    Without `roots` nothing is limited. With them, images, cache, results, labels and weights must lie below one of
    these folders or URL prefixes, and code of one's own (``module:name``) and Dask schedulers must be named here.
    """

    roots: list[Annotated[str, Field(min_length=1)]] | None = None
    code: list[str] = []
    dask: list[str] = []

    @model_validator(mode="after")
    def _refuse_lists_without_roots(self) -> Self:
        if self.roots is None and (self.code or self.dask):
            raise ValueError("code and dask are limits beside roots; name the roots too, or leave both out")
        return self


TAILS = "finetune"
"""Folder of tails below an experiment's results."""


@_with_options(ViewOptions)
@_with_options(Settings)
class Experiment(_Table):
    """A whole experiment; relative paths are relative to the file."""

    name: str
    images: str
    cache: Path
    out: Path
    tap: list[str] = [PENULTIMATE]
    limit: int | None = Field(default=None, ge=1)
    layout: Layout | None = None
    extract: list[ExtractTable] = Field(min_length=1)
    scale: ScaleTable | None = None  # before fit, whose tables take it up
    fit: list[FitTable] = Field(min_length=1)
    finetune: list[FinetuneTable] = []
    security: SecurityTable = SecurityTable()

    @field_validator("fit", "finetune", mode="before")
    @classmethod
    def _take_one_table(cls, value: Any) -> Any:
        return [value] if isinstance(value, dict) else value

    @field_validator("fit", "finetune")
    @classmethod
    def _take_up_cluster(cls, tables: list[_AnyTable], info: ValidationInfo) -> list[_AnyTable]:
        scale = info.data.get("scale")
        if scale is None or "://" not in scale.dask:  # threads of this machine serve a sweep best
            return tables
        taken = {"dask": scale.dask}
        return [table if "dask" in table.model_fields_set else table.model_copy(update=taken) for table in tables]

    @field_validator("fit", "finetune")
    @classmethod
    def _name_tables(cls, tables: list[_AnyTable], info: ValidationInfo) -> list[_AnyTable]:
        if len(tables) < 2:
            return tables
        named: list[Any] = [
            table.model_copy(update={"name": getattr(table, "name", None) or f"{info.field_name}-{number}"})
            for number, table in enumerate(tables, start=1)
        ]
        names = [str(table.name).casefold() for table in named]  # some file systems tell no capitals
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"the name {twice[0]!r} is given twice; each table needs a results folder of its own")
        return named

    @model_validator(mode="after")
    def _check_tails(self) -> Self:
        for table in self.finetune:
            self.network_of(table)
        if self.finetune and any(str(table.name).casefold() == TAILS for table in self.fit):
            raise ValueError(f"a fit is called {TAILS!r}, where the results of [[finetune]] go; name it otherwise")
        return self

    def network_of(self, table: FinetuneTable) -> ExtractTable:
        """Return the ``extract`` table with the network of one of the ``finetune`` tables.

        Raises
        ------
        ValueError
            None fits, or several do.
        """
        backbone, weights = table.options.backbone, table.options.weights
        found = [one for one in self.extract if backbone in (None, one.backbone) and weights in (None, one.weights)]
        if len(found) == 1:
            return found[0]
        there = ", ".join(f"{one.backbone} with weights {one.weights}" for one in self.extract)
        asked = f"{backbone or 'any backbone'} with weights {weights or 'of any kind'}"
        raise ValueError(
            f"finetune from {', '.join(table.from_layer)}: {len(found)} [[extract]] tables are {asked} ({there}); "
            "name one by backbone and weights"
        )

    def folder_of(self, table: FitTable | FinetuneTable) -> Path:
        """Where the results of one of the ``fit`` or ``finetune`` tables go."""
        if isinstance(table, FinetuneTable):
            return self.out / TAILS if len(self.finetune) == 1 else self.out / TAILS / str(table.name)
        return self.out if len(self.fit) == 1 else self.out / str(table.name)

    @property
    def settings(self) -> Settings:
        """Settings that the extraction computes with."""
        return Settings(**shared_values(Settings, self))

    @property
    def drawn(self) -> list[View]:
        """The views that it embeds beside the plain images."""
        return ViewOptions(**shared_values(ViewOptions, self)).drawn
