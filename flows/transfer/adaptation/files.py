"""Files of an adaptation: the model, predictions of the target, the table of methods, and the page."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict

import numpy as np
import numpy.typing as npt
import pandas as pd

from headstart.extractors.atomic import write_atomically
from headstart.flows.output import RunPlace, plain
from headstart.flows.transfer.adaptation.scoring import METRIC
from headstart.flows.transfer.adaptation.sides import Sides
from headstart.flows.transfer.adaptation.summary import AdaptSummary
from headstart.heads.report.transfer import AdaptMap, AdaptPage, AdaptRow, render_adaptation
from headstart.heads.saving import Card, save_model
from headstart.heads.transfer.adaptation import Chosen, Domains

MODEL, PREDICTIONS, TABLE, PAGE = "model", "predictions.csv", "methods.csv", "adapted.html"
_ON_MAP = 300  # images of each domain


def draw_maps(domains: Domains, saved: Chosen, seed: int) -> list[AdaptMap]:
    """Return a few images of both domains as they were, and as the saved model sees them."""
    generator = np.random.default_rng(seed)
    shown = []
    for source, target in ((domains.source, domains.target), (saved.adapted.source, saved.adapted.target)):
        shown.append([one[np.sort(generator.permutation(len(one))[:_ON_MAP])] for one in (source, target)])
    return [
        AdaptMap(name=name, title=title, source=source, target=target)
        for (name, title), (source, target) in zip(
            (("before", "Before"), ("after", f"After: {saved.method.title}")), shown, strict=True
        )
    ]


def write_files(
    place: RunPlace,
    summary: AdaptSummary,
    sides: Sides,
    saved: Chosen,
    answers: Mapping[str, npt.NDArray[np.intp]],
    scores: npt.NDArray[np.float64],
    maps: Sequence[AdaptMap],
) -> None:
    """Write all of them into the run's folder.

    Parameters
    ----------
    place : RunPlace
    summary : AdaptSummary
    sides : Sides
    saved : Chosen
    answers : mapping of str to int array (n_target,)
        Classes by method.
    scores : float64 array (n_target, n_classes)
        Probabilities of the saved one.
    maps : sequence of AdaptMap
    """
    names = np.array(sides.class_names, dtype=object)
    table = pd.DataFrame({"path": sides.target.images.files["path"].to_pylist()})
    table["label"], table["probability"] = names[answers[saved.method.name]], scores.max(axis=1)
    table = table.assign(**{name: names[of_name] for name, of_name in answers.items()})
    if summary.n_labelled:
        table["true"] = sides.target.rows[sides.column].to_numpy()
    write_atomically(place.part / PREDICTIONS, table.to_csv(index=False).encode())
    rows = pd.DataFrame([_flat(row) for row in summary.rows])
    write_atomically(place.part / TABLE, rows.to_csv(index=False).encode())
    write_atomically(place.part / PAGE, render_adaptation(_page(summary, maps)).encode())
    save_model(place.part / MODEL, saved.adapted.model, _card(summary, sides, saved))


def _flat(row: AdaptRow) -> dict[str, str | float | None]:
    score, difference = row.scores.get(METRIC), row.difference
    flat = {name: value for name, value in asdict(row).items() if name not in ("scores", "difference", "params")}
    flat |= {"params": ", ".join(f"{name}={value}" for name, value in row.params.items())}
    if score:
        flat |= {METRIC: score.value, f"{METRIC}_low": score.low, f"{METRIC}_high": score.high}
    if difference:
        flat |= {"difference": difference.value, "difference_low": difference.low, "difference_high": difference.high}
    return flat


def _card(summary: AdaptSummary, sides: Sides, saved: Chosen) -> Card:
    """Gather what `predict` needs beside the head, and where it comes from."""
    store, row = sides.embedded.store, next(row for row in summary.rows if row.name == saved.method.name)
    params = {"C": saved.params["C"]} if "C" in saved.params else {"hidden_sizes": [128]}
    return {
        "run": summary.run,
        "task": "classify",
        "class_names": sides.class_names,
        "target": sides.column,
        "head": saved.method.head,
        "params": params,
        "tap": sides.embedded.tap,
        "embedding": store.key.as_dict(),
        "weights_name": store.about["weights_name"],
        "weights_source": store.about["weights_source"],
        "scores": {
            "selection": {"metric": METRIC, "score": row.validation, "split": f"{summary.validation} validation"},
            "test": plain(row.scores),
        },
        "adaptation": {
            "method": saved.method.name,
            "params": plain(dict(saved.params)),
            "source": summary.source,
            "target": summary.target,
            "n_source": summary.n_source,
            "n_target": summary.n_target,
        },
    }


def _page(summary: AdaptSummary, maps: Sequence[AdaptMap]) -> AdaptPage:
    return AdaptPage(
        title=f"From {summary.source} to {summary.target}",
        rows=summary.rows,
        maps=maps,
        **{name: getattr(summary, name) for name in _ON_PAGE},
    )


_ON_PAGE = (
    *("source", "target", "n_source", "n_target", "n_labelled", "validation", "apart", "effective_size"),
    *("saved", "conclusion", "notes"),
)
