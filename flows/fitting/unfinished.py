"""Results of an unfinished sweep so far, kept so that the same command goes on from there.

One line of JSON a result, in the results folder. A line counts once its end is there, so whatever ends the process
costs at most the result that was being written. Lines are found by a digest of all that decides a result: where labels,
folds or versions changed, nothing is found.
"""

import base64
import hashlib
import json
import math
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from headstart.extractors.atomic import append_line, errors_explained
from headstart.extractors.cache import PIECE_ROWS, UNREADABLE, as_hex
from headstart.flows.output import plain, show_notes
from headstart.flows.problem import Problem
from headstart.heads import HEADS
from headstart.heads.registry import Candidate
from headstart.heads.scoring import Predictions, Score
from headstart.heads.splits import SplitPlan
from headstart.heads.sweep import Result

UNFINISHED = "unfinished-sweep.jsonl"
UNFINISHED_TAIL = "unfinished-tail.npz"
"""Of a tail that is being trained, see `flows.fitting.finetuning.kept`."""

_FORMAT_VERSION = 1
_LIBRARIES = ("headstart", "scikit-learn", "numpy", "scipy", "torch")
_FIELDS = [field.name for field in fields(Result) if field.name not in ("candidate", "held")]
_Values = dict[str, Any]  # a line of the file, as JSON reads it


class KeptResults:
    """The finished results of a sweep that may not end.

    Parameters
    ----------
    folder : Path
        The results folder.
    problem, plan, seed
        Of the sweep.
    streamed : bool
        Whether features are read in blocks, which changes results within the solvers' tolerance.

    Attributes
    ----------
    n_kept, n_candidates : int
        Results that are safe, and how many there will be; known once `find` was asked.
    """

    def __init__(self, folder: Path, problem: Problem, plan: SplitPlan, seed: int, *, streamed: bool = False) -> None:
        self._file = folder / UNFINISHED
        self._common = _digest_common(problem, plan, seed, streamed=streamed)
        self._lines = _read_lines(self._file)
        self.n_kept = self.n_candidates = 0

    def find(self, candidates: Sequence[Candidate]) -> list[Result]:
        """Return the results of an earlier sweep for these candidates."""
        wanted = {self._digest(candidate): candidate for candidate in candidates}
        kept = [_result(self._lines[digest], one) for digest, one in wanted.items() if digest in self._lines]
        found = [result for result in kept if result]
        self.n_kept, self.n_candidates = len(found), len(candidates)
        return found

    def keep(self, result: Result) -> None:
        """Write a result down; one that failed is tried again, and so is a head of the user's own: its code may change.

        Raises
        ------
        CacheError
            The folder cannot be written.
        """
        if result.error or result.candidate.head not in HEADS:
            return
        values = plain({"digest": self._digest(result.candidate), **_described(result)}, finite=False)
        append_line(self._file, json.dumps(values), synced=False)  # what a power cut costs is fitted again
        self.n_kept += 1

    def _digest(self, candidate: Candidate) -> str:
        what = [self._common, candidate.key, candidate.tap, candidate.task, candidate.head, candidate.params]
        return hashlib.sha256(json.dumps(what, sort_keys=True, default=repr).encode()).hexdigest()[:32]


@contextmanager
def kept_until_done(
    folder: Path, problem: Problem, seed: int, *, tell: bool, streamed: bool = False
) -> Iterator[Callable[[SplitPlan], KeptResults]]:
    """Keep results, which whoever finishes the run removes; with `tell`, an interruption says how many there are.

    Yields a function that is called with the plan of each sweep in turn, and returns where its results are kept.

    Parameters
    ----------
    folder, problem, seed, streamed
        As for `KeptResults`.
    """
    begun: list[KeptResults] = []

    def keep(plan: SplitPlan) -> KeptResults:
        begun.append(KeptResults(folder, problem, plan, seed, streamed=streamed))
        return begun[-1]

    try:
        yield keep
    except KeyboardInterrupt:
        if tell:
            n_kept, n_candidates = (begun[-1].n_kept, begun[-1].n_candidates) if begun else (0, 0)
            say_kept(n_kept, n_candidates, n_sweeps=max(0, len(begun) - 1))
        raise


def _read_lines(file: Path) -> dict[str, _Values]:
    """Return the values on the lines of a file, by digest; a line that was cut short has none."""
    with errors_explained(file):
        content = file.read_bytes() if file.exists() else b""
    lines = {}
    for line in content.splitlines():
        try:
            values = json.loads(line)
            lines[values.pop("digest")] = values
        except UNREADABLE:  # after a power cut blocks may hold anything
            continue
    return lines


def _digest_common(problem: Problem, plan: SplitPlan, seed: int, *, streamed: bool) -> str:
    """Digest what decides the results of all candidates."""
    digest = hashlib.sha256()
    about = {name: version(name) for name in _LIBRARIES} | {"format": _FORMAT_VERSION, "seed": seed}
    about["streamed"] = streamed
    digest.update(json.dumps(about).encode())
    if problem.n_views > 1:
        drawn = {one.store.key.id: [asdict(view) for view in one.drawn] for one in problem.embedded}
        digest.update(json.dumps([drawn, plan.views.average]).encode())
    for start in range(0, len(problem.images), PIECE_ROWS):
        text = "\n".join(as_hex(problem.images.digest[start : start + PIECE_ROWS]))
        digest.update(f"\n{text}".encode() if start else text.encode())
    folds = [rows for fold in plan.folds for rows in fold]
    for array in (problem.y, problem.groups, *folds):
        values = np.ascontiguousarray(array)
        digest.update(f"{values.dtype.str}{values.shape}".encode())
        digest.update(values.tobytes())
    return digest.hexdigest()


def _described(result: Result) -> _Values:
    values: _Values = {name: getattr(result, name) for name in _FIELDS}
    if (predictions := result.predictions) is not None:
        arrays = {name: getattr(predictions, name) for name in ("classes", "probability")}
        values["predictions"] = {name: _packed(array) for name, array in arrays.items()}
        values["predictions"]["added"] = {name: _packed(array) for name, array in predictions.added.items()}
    return values


def _result(values: _Values, candidate: Candidate) -> Result | None:
    """Rebuild a result; None of values that `keep` did not write, whose candidate is fitted again."""
    try:
        given = dict(values)
        scores, predictions = given.pop("scores"), given.pop("predictions")
        return Result(
            candidate=candidate,
            scores={metric: score and Score(**score) for metric, score in scores.items()},
            predictions=predictions and _read_predictions(**predictions),
            **given,
        )
    except (*UNREADABLE, zlib.error):
        return None


def _read_predictions(classes: _Values, probability: _Values | None, added: _Values) -> Predictions:
    return Predictions(
        classes=_unpacked(classes),
        probability=_unpacked(probability),
        added={name: _unpacked(array) for name, array in added.items()},
    )


def _packed(array: npt.NDArray[Any] | None) -> _Values | None:
    if array is None:
        return None
    content = base64.b64encode(zlib.compress(np.ascontiguousarray(array).tobytes(), level=1)).decode()
    return {"dtype": array.dtype.str, "shape": array.shape, "content": content}


def _unpacked(packed: _Values | None) -> Any:
    if packed is None:
        return None
    n_bytes = np.dtype(packed["dtype"]).itemsize * math.prod(packed["shape"])
    content = zlib.decompressobj().decompress(base64.b64decode(packed["content"]), n_bytes + 1)
    return np.frombuffer(content, packed["dtype"]).reshape(packed["shape"])


def say_kept(n_kept: int, n_candidates: int, *, n_sweeps: int = 0) -> None:
    """Say what an interruption leaves of a sweep, and of so many whole ones before it."""
    found = [f"{n_kept} of {n_candidates} candidates"] if n_kept else []
    found += [f"those of {n_sweeps} whole outer {'fold' if n_sweeps == 1 else 'folds'}"] if n_sweeps else []
    goes_on = "are fitted and kept; the same command goes on from there"
    show_notes([f"{' and '.join(found)} {goes_on}" if found else "no candidate was fitted yet"])
