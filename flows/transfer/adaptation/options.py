"""Options of an adaptation."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, TypedDict

from headstart.extractors.spec import Option
from headstart.flows.options import Progress

Validation = Literal["source", "weighted"]


@dataclass(frozen=True, kw_only=True)
class AdaptOptions:
    """Options of an adaptation, beside the source and the target.

    Parameters
    ----------
    domain : str, optional
        Column that says which domain an image is of, where one cache holds both.
    to : str, optional
        Value of it that is the target; all other images that have one are the source.
    labels : path-like, optional
        CSV or Parquet with ``path`` and label columns, in place of the source's own; of one cache of both domains.
    target : str, optional
        Label column; by default the only one, or ``label``. The target's own, if it has it, is looked at once, at the
        end.
    method : str or sequence of str, optional
        Methods to try, see `heads.transfer.adaptation.METHODS`; their controls come along. Of those named, the one that
        validates best is saved; by default, of all that adapt.
    validation : {"source", "weighted"}
        What chooses hyper-parameters: accuracy on left-out images of the source, as they are, or weighed as if they
        were of the target.
    backbone, tap, key
        Which embeddings are meant, where both caches have several in common.
    images : int
        Most images of each domain that are adapted on, drawn at random; all of the target are predicted.
    folds : int
        Folds of the source.
    seed : int
        Of folds, draws and networks.
    out : path-like, optional
        Folder for model, predictions, table and page; by default ``TARGET.adapted`` in the current folder.
    progress : bool
        Show a bar on standard error.
    """

    domain: Annotated[str | None, Option("Column that tells the domains of one cache apart.", unset="none")] = None
    to: Annotated[str | None, Option("With --domain, the value that is the target.", unset="none")] = None
    labels: Annotated[str | Path | None, Option("CSV or Parquet file with 'path' and label columns.")] = None
    target: Annotated[str | None, Option("Label column.", unset="the only one, or 'label'")] = None
    method: Annotated[
        str | Sequence[str] | None, Option("What to try; the best of these on the source is saved.", unset="all")
    ] = None
    validation: Annotated[Validation, Option("How the source's left-out images choose: as they are, or weighed.")] = (
        "source"
    )
    backbone: Annotated[str | None, Option("Embeddings of this backbone.", unset="the only one")] = None
    tap: Annotated[str | None, Option("Of this layer.", unset="the only one")] = None
    key: Annotated[str | None, Option("Embeddings of this key.", unset="the only one")] = None
    images: Annotated[int, Option("Most images of each domain that are adapted on.", least=20)] = 5_000
    folds: Annotated[int, Option("Folds of the source.", least=2)] = 3
    seed: Annotated[int, Option("Of folds, draws and networks.", least=0, below=2**32)] = 0
    out: Annotated[str | Path | None, Option("Folder for what is made.", unset="TARGET.adapted")] = None
    progress: Progress = False


class AdaptKeywords(TypedDict, total=False):
    """`AdaptOptions`, as the keywords of a function."""

    domain: str | None
    to: str | None
    labels: str | Path | None
    target: str | None
    method: str | Sequence[str] | None
    validation: Validation
    backbone: str | None
    tap: str | None
    key: str | None
    images: int
    folds: int
    seed: int
    out: str | Path | None
    progress: bool
