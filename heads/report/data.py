"""Data of a report, checked: everything that the page shows, as plain values and arrays."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from headstart.heads.errors import DataError
from headstart.heads.report.exhibits import (
    CopyPairs,
    Curve,
    Labelling,
    Mistake,
    OutlierRow,
    Reliability,
    RightAnswer,
    SuspectRow,
)
from headstart.heads.report.rows import CandidateRow, TestResult
from headstart.heads.scoring import ClassScore

if TYPE_CHECKING:  # loads scikit-learn, for which a page need not wait
    from headstart.heads.analysis import FewShotPoint
    from headstart.heads.coverage import MeasuredDoubt


@dataclass(frozen=True, kw_only=True)
class ReportData:
    """Everything that the page shows; names, paths and notes may hold anything and are written as text.

    Parameters
    ----------
    title : str
        What was learned, as in ``hymenoptera``.
    created : str
        ISO 8601 time.
    class_names : sequence of str
        (n_classes,); the integers below index it.
    metric : str
        What chose the winner; one of ``test["scores"]``.
    selection : {"cv", "val"}
        Where the leaderboard's scores come from: cross-validation inside train, or the validation split.
    test_name : str
        What the winner was scored on, as in ``test``, ``val`` or ``held-out 20 %``.
    notes : sequence of str
        What a reader must know, as in ``3 duplicates of test images were dropped from train``.
    leaderboard : sequence of CandidateRow
        Best first.
    winner : CandidateRow
        One of its rows.
    test : TestResult
    y_test, predicted : (n_test,) int
        True and predicted classes of the test images.
    probability : (n_test, n_classes) float or None
        What the winner gave each class of each test image.
    embedding : (n_images, n_features) float
        For the map: at most about 10 000 images, train and test.
    embedding_labels : (n_images,) int
    embedding_is_test : (n_images,) bool
    mistakes : sequence of Mistake
        All of them, the most confident first where there are probabilities; the first ones with thumbnails, of which
        600 of 3 kB make 2.4 megabytes.
    curves : sequence of Curve
    provenance : sequence of (str, str)
        What was run: key, backbone, digest of the weights, preprocessing, versions, times, command.
    controls : sequence of CandidateRow
        Rows whose `scores` are of the test images, for comparison with the winner's.
    few_shot : sequence of FewShotPoint
        The winner's accuracy by number of labels, fewest first.
    few_shot_others : mapping of str to sequence of FewShotPoint
        That of other heads, by name, at the same numbers.
    reliability : Reliability or None
    doubt : MeasuredDoubt or None
    suspects : sequence of SuspectRow
        Worst first.
    outliers : sequence of OutlierRow
        Farthest first.
    near_copies : CopyPairs or None
    embedding_paths : sequence of str
        (n_images,) paths of the points on the map, or none at all.
    embedding_thumbnails : sequence of bytes or None
        (n_images,) JPEGs of the points on the map, None for those without; or none at all. 1000 of 2 kB make 2.7
        megabytes.
    embedding_right : (n_images,) int, or None
        1 for images of the map that the winner has right, 0 for those that it has wrong, -1 for those not scored.
    classes : sequence of ClassScore
        Of the test images, the worst first.
    right : sequence of RightAnswer
        By class, the surest first.
    command : str
        That makes the fit again.
    files : mapping of str to str
        By what they are called, the names of files and folders beside the page.
    points : (n_images, 2) float, or None
        Places of the map's images, where they are known; otherwise they are those of `project`.
    labelling : Labelling or None
        What a reader may label on the page; its images begin with those of the map.

    Raises
    ------
    DataError
        Lengths, shapes or class numbers do not fit together, or the metric was not scored on the test images.
    """

    title: str
    created: str
    class_names: Sequence[str]
    metric: str
    selection: str
    test_name: str
    notes: Sequence[str]
    leaderboard: Sequence[CandidateRow]
    winner: CandidateRow
    test: TestResult
    y_test: NDArray[np.integer]
    predicted: NDArray[np.integer]
    probability: NDArray[np.floating] | None
    embedding: NDArray[np.floating]
    embedding_labels: NDArray[np.integer]
    embedding_is_test: NDArray[np.bool_]
    mistakes: Sequence[Mistake]
    curves: Sequence[Curve]
    provenance: Sequence[tuple[str, str]]
    controls: Sequence[CandidateRow] = ()
    few_shot: "Sequence[FewShotPoint]" = ()
    few_shot_others: "Mapping[str, Sequence[FewShotPoint]]" = field(default_factory=dict)
    reliability: Reliability | None = None
    doubt: "MeasuredDoubt | None" = None
    suspects: Sequence[SuspectRow] = ()
    outliers: Sequence[OutlierRow] = ()
    near_copies: CopyPairs | None = None
    embedding_paths: Sequence[str] = ()
    embedding_thumbnails: Sequence[bytes | None] = ()
    embedding_right: NDArray[np.integer] | None = None
    classes: Sequence[ClassScore] = ()
    right: Sequence[RightAnswer] = ()
    command: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    points: NDArray[np.float64] | None = None
    labelling: Labelling | None = None

    def __post_init__(self) -> None:
        self._check_shapes()
        self._check_classes()
        self._check_scores()

    def _check_shapes(self) -> None:
        n_test, n_images, n_classes = len(self.y_test), len(self.embedding), len(self.class_names)
        for name, shape in (
            ("y_test", (n_test,)),
            ("predicted", (n_test,)),
            ("embedding_labels", (n_images,)),
            ("embedding_is_test", (n_images,)),
            ("embedding_right", (n_images,)),
            ("points", (n_images, 2)),
            ("probability", (n_test, n_classes)),
        ):
            values = getattr(self, name)
            if values is not None and np.shape(values) != shape:
                raise DataError(
                    f"report: {name} has shape {np.shape(values)}, expected {shape}; pass one entry per image"
                )
        for name in ("embedding_paths", "embedding_thumbnails"):
            n_given = len(getattr(self, name))
            if n_given not in (0, n_images):
                raise DataError(f"report: {name} holds {n_given} entries, expected {n_images}, one per image, or none")

    def _check_classes(self) -> None:
        n_classes = len(self.class_names)
        for name in ("y_test", "predicted", "embedding_labels"):
            values = np.asarray(getattr(self, name))
            if values.size and (values.min() < 0 or values.max() >= n_classes):
                raise DataError(
                    f"report: {name} holds classes {values.min()}…{values.max()}, expected 0…{n_classes - 1} "
                    f"for {n_classes} class names; pass numbers that index class_names"
                )

    def _check_scores(self) -> None:
        n_test = len(self.y_test)
        if self.test.n_images != n_test:
            raise DataError(
                f"report: test counts {self.test.n_images} images, y_test holds {n_test}; pass those that it scored"
            )
        if self.metric not in self.test.scores:
            raise DataError(
                f"report: the winner was chosen by {self.metric!r}, but the test images were scored by "
                f"{', '.join(self.test.scores) or 'nothing'}; score them by {self.metric!r} too"
            )
