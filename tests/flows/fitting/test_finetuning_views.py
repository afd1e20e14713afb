"""`finetune --views`: the tail sees the cached views of each image, opens none, and answers as it was scored."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from headstart.flows.cli.app import main
from headstart.flows.errors import JobError
from headstart.flows.fitting.finetuning import finetune
from headstart.flows.fitting.finetuning.kept import KeptTraining
from headstart.flows.inference import graft, load
from headstart.flows.options import FinetuneOptions
from headstart.heads.saving import load_model

Embed = Callable[..., Any]
pytestmark = pytest.mark.usefixtures("ridge_alone")
QUICK = FinetuneOptions(epochs=6, batch_size=8, optimizer="adamw", learning_rate=0.01, schedule="constant", views=True)
MAP = "features.7:map"


@pytest.fixture
def cache(embedded: Callable[..., Path], elsewhere: Path) -> Path:
    return embedded(tap=MAP, views=3, view_jitter=0.5)


def test_a_tail_is_trained_on_cached_views_without_an_image_being_opened(
    embed: Embed, photos: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = embed(tap=MAP, views=3, view_jitter=0.5).cache
    photos.rename(photos.with_name("away"))
    monkeypatch.setattr(Image, "open", lambda *_: pytest.fail("an image was opened"))
    found = finetune(cache, "features.8", options=QUICK)
    plain = finetune(cache, "features.8", options=QUICK, views=False)
    assert found.test.n_images == plain.test.n_images == 8
    assert found.test.scores["accuracy"].value == 1.0
    assert found.history != plain.history
    assert (found.winner.views, found.winner.params["views"], found.linear.views, plain.winner.views) == (3, 3, 1, 1)
    assert found.linear.scores == plain.linear.scores
    note = "fitted on 3 views of each training image (seed 0, crop 0.35, flip 0.5, jitter 0.5); scored by view 0"
    assert any(one.startswith(note) for one in found.notes)
    assert set(pd.read_csv(found.table)["views"]) == {3, 1}


@pytest.mark.parametrize("average", [False, True])
def test_a_saved_tail_answers_as_it_was_scored(cache: Path, photos: Path, average: bool) -> None:
    found = finetune(cache, "features.8", options=QUICK, average_views=average)
    scored = pd.read_csv(found.predictions)
    assert load_model(Path(found.model))[1]["views"]["average"] is average
    model = load(Path(found.model))
    answers = model.predict([photos / path for path in scored["path"]])
    assert answers["label"].tolist() == scored["predicted"].tolist()
    np.testing.assert_allclose(answers["probability"], scored["probability"], atol=5e-3)  # of maps that were rounded
    if average:
        with pytest.raises(JobError, match="means over views of an image"):
            graft(Path(found.model), "out.pth")


def test_without_views_of_the_maps_one_line_says_which_command_makes_them(
    embed: Embed, photos: Path, elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cache = embed(views=2).cache  # of other rows
    with pytest.raises(JobError, match=rf"holds no views of the images; run '.* --tap {MAP} .* --views 4'"):
        finetune(cache, "features.8", options=QUICK)
    with pytest.raises(SystemExit) as ended:
        main(["finetune", str(cache), "--from", "features.8", "--average-views"])
    assert ended.value.code == 1
    assert "say --views, too" in capsys.readouterr().err


def test_of_several_keys_of_maps_the_one_that_has_views_is_taken(embed: Embed, elsewhere: Path) -> None:
    for options in ({}, {"dtype": "float32"}):
        embed(tap=[MAP, "features.6:avg"], **options)
    cache = embed(tap=MAP, views=2, dtype="float32").cache
    assert finetune(cache, "features.8", options=QUICK, epochs=1).winner.views == 2


def test_killed_behind_an_epoch_it_goes_on_with_the_views_of_an_undisturbed_run(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = finetune(cache, "features.8", options=QUICK, out="whole.results")
    save, saved = KeptTraining.save, []

    def killed(self: KeptTraining, arrays: Any) -> None:
        save(self, arrays)
        saved.append(len(arrays["history"]))
        if len(saved) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(KeptTraining, "save", killed)
    with pytest.raises(KeyboardInterrupt):
        finetune(cache, "features.8", options=QUICK, out="cut.results")
    again = finetune(cache, "features.8", options=QUICK, out="cut.results")
    assert saved == [1, 2, 3, 4, 5, 6]
    assert (again.history, again.test) == (whole.history, whole.test)
    ends = [load_model(found.model)[0].weights_ for found in (whole, again)]
    assert all(np.array_equal(one, two) for one, two in zip(*ends, strict=True))


def test_a_training_on_other_views_is_not_gone_on_with(
    cache: Path, embed: Embed, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = KeptTraining.save
    seen: list[str] = []

    def killed(self: KeptTraining, arrays: Any) -> None:
        save(self, arrays)
        seen.append(self.identity)
        raise KeyboardInterrupt

    monkeypatch.setattr(KeptTraining, "save", killed)
    embed(tap=MAP, views=4, view_seed=1)
    for options in (QUICK, replace(QUICK, views=False)):
        with pytest.raises(KeyboardInterrupt):
            finetune(cache, "features.8", options=options)
    embed(tap=MAP, views=5)
    with pytest.raises(KeyboardInterrupt):
        finetune(cache, "features.8", options=QUICK)
    assert len(set(seen)) == 3
