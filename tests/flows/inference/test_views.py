"""Models that were fitted on views: their answers are those that were scored, averaged where that was asked."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from headstart.flows.errors import JobError
from headstart.flows.fitting import fit
from headstart.flows.inference import graft, load

Embed = Callable[..., Any]
Embedded = Callable[..., Path]
K = 3


@pytest.mark.parametrize("head", ["logreg", "linear-svm"])
@pytest.mark.parametrize("average", [False, True])
def test_a_saved_model_answers_as_it_was_scored(
    embedded: Embedded, photos: Path, tmp_path: Path, elsewhere: Path, head: str, average: bool
) -> None:
    cache = embedded(views=K, view_crop=0.1, view_jitter=0.9, exact=True)
    found = fit(cache, head, views=True, average_views=average, no_report=True)
    scored = pd.read_csv(found.predictions)
    model = load(Path(found.model))
    answers, notes = model.predict_noted([photos / path for path in scored["path"]])
    assert answers["label"].tolist() == scored["predicted"].tolist()
    if head == "logreg":
        np.testing.assert_allclose(answers["probability"], scored["probability"], atol=2e-4)
    mean = "each answer is the mean over 3 views of the image, as the model was scored"
    assert (mean in notes) is average
    again = load(Path(found.model), cache=tmp_path / "kept").predict([photos / path for path in scored["path"]])
    assert again["label"].tolist() == scored["predicted"].tolist()


def test_weights_alone_cannot_average_views_so_that_is_refused(embedded: Embedded, elsewhere: Path) -> None:
    found = fit(embedded(views=K), "logreg", views=True, average_views=True, no_report=True)
    with pytest.raises(JobError, match=r"means over views of an image, .* without --average-views"):
        graft(Path(found.model), "out.pth")


def test_a_model_whose_card_claims_odd_views_is_refused(embed: Embed, photos: Path, elsewhere: Path) -> None:
    model = load(Path(fit(embed(views=2).cache, "centroid", views=True, average_views=True, no_report=True).model))
    for wrong in ({"average": True}, {"average": True, "drawn": [{"number": 0}]}, {"average": True, "drawn": 3}, [1]):
        broken = load(model.folder)
        broken.card["views"] = wrong
        with pytest.raises(JobError, match="its views cannot be read"):
            broken.predict(photos / "cat" / "00.png")
