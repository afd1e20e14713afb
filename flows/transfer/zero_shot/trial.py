"""Methods tried on every embedding; the best of each fitted and scored, and rivals beside the best of all."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from headstart.flows.errors import JobError
from headstart.flows.output import progress_bar
from headstart.flows.problem import Embedded
from headstart.flows.transfer.zero_shot.class_file import ClassVectors
from headstart.flows.transfer.zero_shot.images import TEXTS, Rows, Sorted, features_of
from headstart.flows.transfer.zero_shot.options import ZeroShotOptions
from headstart.heads.report import p_phrase
from headstart.heads.report.transfer import ZeroShotRow
from headstart.heads.scoring import SIGNIFICANCE, Predictions, Score, compare_paired
from headstart.heads.transfer.zero_shot import (
    FEWEST_SEEN,
    METHODS,
    Chosen,
    Outcome,
    ZeroShotClassifier,
    choose_methods,
    nearest_seen,
    score_by_class,
    score_outcome,
    shuffle_vectors,
)

LEARNED = tuple(name for name in METHODS if name != TEXTS)
MOST_CHOOSING = 10_000
"""Images that method and hyper-parameters are chosen on; the model is fitted on all."""

_Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Trial:
    """One method on the embedding that suits it best, fitted.

    Attributes
    ----------
    embedded : Embedded
    chosen : Chosen or None
        None where there are too few classes to choose by: then it is `TEXTS`, and nothing was to be chosen.
    model : ZeroShotClassifier
    scores : float64 array of shape (n_test, n_classes)
        Of the test images.
    outcome : Outcome
    """

    embedded: Embedded
    chosen: Chosen | None
    model: ZeroShotClassifier
    scores: npt.NDArray[np.float64]
    outcome: Outcome


def try_methods(images: Sorted, classes: ClassVectors, options: ZeroShotOptions) -> list[Trial]:
    """Return each method that can be tried, on its best embedding, the best on held-out classes first.

    Raises
    ------
    JobError
        No method can be tried.
    HeadError
        There are too few classes to choose by.
    """
    asked = list(options.method or METHODS)
    for name in asked:
        if name not in METHODS:
            raise JobError(f"--method {name}: there is no such method; give one or more of {', '.join(METHODS)}")
    vectors = classes.vectors
    best: dict[str, tuple[Embedded, Chosen]] = {}
    alone: list[Embedded] = []
    few = len(images.seen) < FEWEST_SEEN  # to choose by: text embeddings alone need no choice
    learns = [name for name in asked if name in LEARNED]
    with progress_bar("choosing", len(images.embedded), unit="layers", show=options.progress) as advance:
        for one in images.embedded:
            fits = one.features.shape[1] == vectors.shape[1]
            methods = [*learns, *([TEXTS] if TEXTS in asked and fits else [])]
            if few and TEXTS in methods:
                alone.append(one)
            elif methods:
                for chosen in _choose(one, images, vectors, methods, options.seed):
                    known = best.get(chosen.method)
                    if known is None or chosen.accuracy > known[1].accuracy:
                        best[chosen.method] = one, chosen
            advance(1)
    if not best and not alone:
        widths = ", ".join(map(str, sorted({one.features.shape[1] for one in images.embedded})))
        raise JobError(
            f"{classes.where}: vectors of {vectors.shape[1]} numbers and features of {widths}: cosines need as many "
            "of both; give vectors of the CLIP whose image tower the cache holds, or leave --method out"
        )
    if len(alone) > 1:
        names = ", ".join(f"--backbone {one.label} --tap {one.tap}" for one in alone)
        raise JobError(f"no seen classes to choose an embedding by; say which is meant: {names}")
    order = sorted(best.values(), key=lambda pair: -pair[1].accuracy)
    pairs: list[tuple[Embedded, Chosen | None]] = [(one, None) for one in alone] + list(order)
    return [_fitted(one, chosen, images, vectors, options.seed) for one, chosen in pairs]


def _choose(one: Embedded, images: Sorted, vectors: _Array, methods: Sequence[str], seed: int) -> list[Chosen]:
    rows = _by_class(images, seed)
    given = features_of(one, rows), images.codes[rows], images.groups[rows], vectors
    return choose_methods(*given, methods=methods, n_unseen=len(images.unseen), seed=seed)


def _by_class(images: Sorted, seed: int) -> Rows:
    """Return the images that choose: all that are fitted on, or of very many as many of each class."""
    if len(images.fit) <= MOST_CHOOSING:
        return images.fit
    drawn = np.random.default_rng(seed).permutation(images.fit)
    order = np.argsort(images.codes[drawn], kind="stable")
    counts = np.bincount(images.codes[drawn])[images.seen]
    within = np.concatenate([np.arange(count) for count in counts])
    return np.sort(drawn[order][np.argsort(within, kind="stable")][:MOST_CHOOSING])


def _fitted(one: Embedded, chosen: Chosen | None, images: Sorted, vectors: _Array, seed: int) -> Trial:
    if chosen is None:
        model = ZeroShotClassifier(vectors, method=TEXTS).of_texts()
    else:
        model = ZeroShotClassifier(
            vectors,
            method=chosen.method,
            gamma=chosen.gamma or 1.0,
            lam=chosen.lam or 1.0,
            constant=chosen.constant,
            temperature=chosen.temperature,
        ).fit(features_of(one, images.fit), images.codes[images.fit])
    rows = images.test
    scores = model.class_scores(features_of(one, rows)) if len(rows) else np.empty((0, len(vectors)))
    outcome = score_outcome(scores, images.codes[rows], images.unseen, images.groups[rows], seed=seed)
    return Trial(one, chosen, model, scores, outcome)


def describe(trial: Trial) -> ZeroShotRow:
    """Return a method's row."""
    chosen, outcome = trial.chosen, trial.outcome
    params = {} if chosen is None else {"gamma": chosen.gamma, "lambda": chosen.lam, "constant": chosen.constant}
    return ZeroShotRow(
        name=METHODS[trial.model.method],
        embedding=name_of(trial.embedded),
        detail=", ".join(f"{name} {value:.4g}" for name, value in params.items() if value is not None),
        held_out=None if chosen is None else chosen.accuracy,
        zero_shot=outcome.zero_shot,
        unseen=outcome.unseen,
        seen=outcome.seen,
        harmonic=outcome.harmonic,
    )


def name_of(embedded: Embedded) -> str:
    """Name an embedding."""
    return f"{embedded.label} · {embedded.tap}"


def describe_rivals(trial: Trial, images: Sorted, vectors: _Array, seed: int) -> tuple[list[ZeroShotRow], str]:
    """Return the rows of rivals of a model, and in a sentence whether it beats them.

    Its rivals are the same without calibration, the same with shuffled class vectors, the unseen class that is most
    like the nearest seen one, and chance.
    """
    rows = [*_without_calibration(trial, images, seed)]
    of_unseen = images.test[np.isin(images.codes[images.test], images.unseen)]
    if not len(of_unseen):
        return rows, (
            "No image of an unseen class has a label: what is known of them is the accuracy on held-out classes, which "
            "also chose the model."
        )
    if len(images.unseen) < 2:
        return rows, "There is one unseen class: among the unseen nothing is to be told apart."
    chance = 1 / len(images.unseen)
    rows.append(ZeroShotRow(name="chance", control=True, zero_shot=Score(chance, chance, chance)))
    shuffled, p_shuffled = _shuffled(trial, images, vectors, of_unseen, seed)
    rivals, verdicts = [shuffled], [f"shuffled class vectors ({p_phrase(p_shuffled)})"]
    beaten = [p_shuffled <= SIGNIFICANCE]
    if len(images.seen) > 1:
        nearest, difference, p_nearest = _nearest(trial, images, vectors, of_unseen, seed)
        rivals.append(nearest)
        verdicts.append(
            f"the class most like the nearest seen one ({100 * difference:+.1f} points, {p_phrase(p_nearest)})"
        )
        beaten.append(difference > 0 and p_nearest <= SIGNIFICANCE)
    return [*rows, *rivals], _verdict(verdicts, beaten)


def _verdict(rivals: Sequence[str], beaten: Sequence[bool]) -> str:
    won = [one for one, is_beaten in zip(rivals, beaten, strict=True) if is_beaten]
    lost = [one for one, is_beaten in zip(rivals, beaten, strict=True) if not is_beaten]
    parts = [f"better than {' and '.join(won)}"] * bool(won) + [f"no better than {' and '.join(lost)}"] * bool(lost)
    return f"Unseen classes are told {', but '.join(parts)}."


def _without_calibration(trial: Trial, images: Sorted, seed: int) -> list[ZeroShotRow]:
    if trial.chosen is None or not trial.chosen.constant or trial.outcome.harmonic is None:
        return []
    plain = trial.scores + trial.model.offsets_
    rows = images.test
    outcome = score_outcome(plain, images.codes[rows], images.unseen, images.groups[rows], seed=seed)
    return [
        ZeroShotRow(
            name="without calibration",
            embedding=name_of(trial.embedded),
            detail="constant 0",
            control=True,
            unseen=outcome.unseen,
            seen=outcome.seen,
            harmonic=outcome.harmonic,
        )
    ]


def _shuffled(trial: Trial, images: Sorted, vectors: _Array, rows: Rows, seed: int) -> tuple[ZeroShotRow, float]:
    fitted = features_of(trial.embedded, images.fit), images.codes[images.fit]
    tested = features_of(trial.embedded, rows), images.codes[rows]
    chosen = trial.chosen
    gamma, lam = (None, None) if chosen is None else (chosen.gamma, chosen.lam)
    found = shuffle_vectors(fitted, tested, vectors, gamma=gamma, lam=lam, unseen=images.unseen, seed=seed)
    row = ZeroShotRow(
        name="shuffled class vectors",
        embedding=name_of(trial.embedded),
        detail="mean and middle 95 % of 200 shuffles",
        control=True,
        zero_shot=Score(found.mean, found.low, found.high),
    )
    return row, found.p_value


def _nearest(trial: Trial, images: Sorted, vectors: _Array, rows: Rows, seed: int) -> tuple[ZeroShotRow, float, float]:
    fitted = features_of(trial.embedded, images.fit), images.codes[images.fit]
    seen, alike = nearest_seen(fitted, features_of(trial.embedded, images.test), vectors, images.unseen)
    true, groups = images.codes[images.test], images.groups[images.test]
    of_unseen = np.isin(images.test, rows)
    own = images.unseen[trial.scores[of_unseen][:, images.unseen].argmax(axis=1)]
    pair = Predictions(classes=own), Predictions(classes=alike[of_unseen])
    together = groups[of_unseen]
    difference = compare_paired("balanced_accuracy", true[of_unseen], *pair, groups=together, seed=seed)
    n_classes = len(vectors)
    row = ZeroShotRow(
        name="nearest seen class",
        embedding=name_of(trial.embedded),
        detail="nearest class mean, then the unseen class whose vector is nearest",
        control=True,
        zero_shot=score_by_class(true[of_unseen], alike[of_unseen], n_classes, together, seed=seed),
        unseen=score_by_class(true[of_unseen], seen[of_unseen], n_classes, together, seed=seed),
        seen=score_by_class(true[~of_unseen], seen[~of_unseen], n_classes, groups[~of_unseen], seed=seed),
    )
    return row, difference.value, difference.p_value
