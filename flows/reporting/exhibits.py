"""Pictures that a report shows: only here do scores meet image files, as thumbnails."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from headstart.flows.problem import Problem
from headstart.flows.reporting.analysis import Analysis, CopiesAcross
from headstart.flows.reporting.thumbnails import read_thumbnails
from headstart.heads.report import CopyPair, CopyPairs, Mistake, OutlierRow, RightAnswer, SuspectRow
from headstart.heads.sweep import FinalScore

_MOST_MISTAKES = 600  # with a picture; those beyond stand in a list
_MOST_SUSPECTS = 240  # with a picture; the others can be judged, too
_MOST_RIGHT = 120  # right answers of all classes together
_MOST_OF_A_CLASS = 5  # surest, and as many least sure
_GALLERY, _SMALL = 128, 96  # pixels: of the gallery and of the map


def show_mistakes(problem: Problem, test_score: FinalScore) -> list[Mistake]:
    """Show all mistakes, the most confident first; of very many the rest has no picture."""
    true, predicted, probability = problem.y[test_score.rows], test_score.predictions, test_score.probability
    wrong = np.flatnonzero(true != predicted)
    if probability is not None:
        wrong = wrong[np.argsort(-probability[wrong, predicted[wrong]], kind="stable")]
    pictures: list[bytes | None] = [None] * len(wrong)
    pictures[:_MOST_MISTAKES] = _pictures(problem, test_score.rows[wrong[:_MOST_MISTAKES]])
    return [
        Mistake(
            path=path,
            true=problem.class_names[true[at]],
            predicted=problem.class_names[predicted[at]],
            probability=None if probability is None else float(probability[at, predicted[at]]),
            thumbnail=picture,
        )
        for at, path, picture in zip(wrong, problem.images.paths(test_score.rows[wrong]), pictures, strict=True)
    ]


def show_right(problem: Problem, test_score: FinalScore, classes: Sequence[str]) -> list[RightAnswer]:
    """Show right answers, of each class the surest and the least sure; of very many classes, of the first of these."""
    predicted, probability = test_score.predictions, test_score.probability
    right = predicted == problem.y[test_score.rows]
    n_each = max(1, min(_MOST_OF_A_CLASS, _MOST_RIGHT // (2 * max(1, len(classes)))))
    found: list[tuple[int, str]] = []
    for name in classes[: _MOST_RIGHT // (2 * n_each)]:
        at = np.flatnonzero(right & (predicted == problem.class_names.index(name)))
        if probability is None:
            found += [(one, "") for one in at[: 2 * n_each].tolist()]
            continue
        at = at[np.argsort(-probability[at, predicted[at]], kind="stable")]
        surest, rest = at[:n_each], at[n_each:]
        found += [(one, "surest") for one in surest.tolist()]
        found += [(one, "least sure") for one in rest[-n_each:].tolist()]
    places = np.array([at for at, _ in found], dtype=np.intp)
    return [
        RightAnswer(
            path=path,
            true=problem.class_names[predicted[at]],
            kind=kind,
            probability=None if probability is None else float(probability[at, predicted[at]]),
            thumbnail=picture,
        )
        for (at, kind), (path, picture) in zip(found, _pictured(problem, test_score.rows[places]), strict=True)
    ]


def show_suspects(problem: Problem, found: Analysis) -> list[SuspectRow]:
    """Show the labels that look wrong, the worst first."""
    rows = np.array([one.row for one in found.suspects], dtype=np.intp)
    pictures = [*_pictures(problem, rows[:_MOST_SUSPECTS]), *[None] * len(rows[_MOST_SUSPECTS:])]
    return [
        SuspectRow(
            path=path,
            given=problem.class_names[one.given],
            likely=problem.class_names[one.suggested],
            probability=one.probability,
            thumbnail=picture,
        )
        for one, path, picture in zip(found.suspects, problem.images.paths(rows), pictures, strict=True)
    ]


def show_outliers(problem: Problem, found: Analysis) -> list[OutlierRow]:
    """Show the images unlike all others."""
    pictured = _pictured(problem, [one.row for one in found.outliers])
    return [
        OutlierRow(path=path, label=problem.class_names[problem.y[one.row]], score=one.score, thumbnail=picture)
        for one, (path, picture) in zip(found.outliers, pictured, strict=True)
    ]


def show_copies(problem: Problem, across: CopiesAcross | None) -> CopyPairs | None:
    """Show near copies on different sides, pair by pair."""
    if across is None or not across.found.n_found:
        return None
    rows, names, of_image = across.found.rows, across.sides.names, across.sides.of_image
    pairs = [
        CopyPair(
            left=left[0],
            right=right[0],
            left_side=names[of_image[left_row]],
            right_side=names[of_image[right_row]],
            cosine=float(cosine),
            left_thumbnail=left[1],
            right_thumbnail=right[1],
        )
        for (left_row, right_row), cosine, left, right in zip(
            rows, across.found.cosine, _pictured(problem, rows[:, 0]), _pictured(problem, rows[:, 1]), strict=True
        )
    ]
    return CopyPairs(n_found=across.found.n_found, threshold=across.threshold, pairs=pairs)


def show_points(problem: Problem, rows: npt.NDArray[np.intp]) -> list[bytes | None]:
    """Return small pictures of images on the map."""
    return _pictures(problem, rows, _SMALL)


def _pictured(problem: Problem, rows: Sequence[int] | npt.NDArray[np.intp]) -> list[tuple[str, bytes | None]]:
    """Return path and picture of images."""
    at = np.asarray(rows, dtype=np.intp)
    return list(zip(problem.images.paths(at), _pictures(problem, at), strict=True))


def _pictures(problem: Problem, rows: npt.NDArray[np.intp], size: int = _GALLERY) -> list[bytes | None]:
    ends = problem.embedded[0].store.key.range
    return read_thumbnails(problem.root, problem.images.sources(rows), size, ends)
