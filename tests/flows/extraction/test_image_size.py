"""Another size of images goes from the command to the key, and from the key to all that reads it again."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from headstart.extractors.cache.cache import EmbeddingCache
from headstart.flows.experiment.reading import read_experiment
from headstart.flows.fitting.job import fit
from headstart.flows.inference.prediction import predict
from headstart.flows.upkeep.verification import verify

Embed = Callable[..., Any]


def test_rows_of_another_size_have_a_key_of_their_own_and_are_made_again_alike(
    embed: Embed, photos: Path, elsewhere: Path
) -> None:
    cache = embed(backbone="pixels", weights="default").cache
    assert embed(backbone="pixels", weights="default", image_size=16).embedded == 36
    assert embed(backbone="pixels", weights="default").embedded == 0
    plain, small = sorted(EmbeddingCache(cache).stores(), key=lambda store: store.key.image_size or 0)
    assert (plain.about["shape"], small.about["shape"]) == ({"penultimate": [3072]}, {"penultimate": [768]})
    assert (plain.key.image_size, small.key.preprocessing.crop) == (None, (16, 16))

    summary = fit(cache, "centroid", keys=[small.key.id])
    assert predict(summary.model, photos)["label"].notna().all()
    labels = {row.label for row in fit(cache, "centroid", out="both").leaderboard}
    assert labels == {"pixels (32 px)", "pixels (16 px)"}

    for shard in small.shards():
        shard.unlink()
    assert verify(cache, repair=True).sound
    assert small.n_rows() == 36


def test_an_experiment_file_says_it_too(tmp_path: Path) -> None:
    (tmp_path / "e.toml").write_text('images = "i"\nimage_size = 384\n[[extract]]\nbackbone = "dinov2-small"\n[fit]\n')
    assert read_experiment(tmp_path / "e.toml").settings.image_size == 384


@pytest.mark.parametrize("words", [["--image-size", "15"], ["--image-size", "big"]])
def test_a_size_that_is_none_is_a_usage_error(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    from headstart.flows.cli.app import main

    with pytest.raises(SystemExit, match="2"):
        main(["extract", "photos", "--backbone", "pixels", *words])
    assert "--image-size" in capsys.readouterr().err
