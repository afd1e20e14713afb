"""Episodes of a cache: layers and methods beside their controls, without test images, copies or an own base."""

import json
from collections.abc import Callable
from pathlib import Path
from shutil import copyfile
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.datasets import load_digits
from support.array_cache import cache_of

from headstart.flows.cli.app import main
from headstart.flows.errors import JobError
from headstart.flows.extraction.job import extract
from headstart.flows.transfer.episodes import episodes
from headstart.flows.transfer.episodes import job as episodes_job
from headstart.heads.errors import HeadError

NAMES = [f"<b>{number}" for number in range(6)]
SMALL: dict[str, Any] = {"ways": 3, "shots": (1, 3), "queries": 4, "count": 40}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(0)
    y = np.arange(90) % 6
    X = rng.normal(size=(6, 12))[y] + 0.5 * rng.normal(size=(90, 12)) + 1
    return cache_of(tmp_path_factory.mktemp("episodes"), X, [NAMES[code] for code in y])


def test_every_method_stands_beside_the_plain_mean_and_chance(cache: Path, elsewhere: Path) -> None:
    found = episodes(cache, **SMALL)
    assert (found.classes, found.images, found.episodes, found.shots) == (6, 72, 40, [1, 3])  # a fifth is held back
    assert found.chance == pytest.approx(1 / 3)
    assert found.base == "the 3 classes that an episode leaves out"
    assert [row.method for row in found.rows] == ["plain", "l2n", "cl2n", "cosine", "laplacian", "pt-map"] * 2
    assert all(row.accuracy > 0.6 for row in found.rows)
    assert {row.method for row in found.rows if row.assumes} == {"laplacian", "pt-map"}
    assert [row.gain is None for row in found.rows[:6]] == [True, *[False] * 5]
    assert any("at 1 shot plain ≤ l2n ≤ cl2n, as published, in" in one for one in found.findings)
    assert any("pt-map is" in one and "assumes that queries come together" in one for one in found.findings)
    assert pd.read_csv(found.table)["method"].tolist() == [row.method for row in found.rows]
    page = Path(found.page).read_text()
    assert "not other images, other classes or other backbones" in page
    assert page.count("queries come together, as many of each class") >= 2
    assert "<script" not in page


def test_more_labels_tell_more(cache: Path, elsewhere: Path) -> None:
    few, more = ([row.accuracy for row in episodes(cache, **SMALL).rows if row.shots == n] for n in (1, 3))
    assert np.mean(more) > np.mean(few)


def test_test_images_are_in_no_episode(tmp_path: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    y = np.arange(60) % 3
    marked = np.arange(60) % 5 == 0
    X = np.where(marked[:, None], 1e6, np.random.default_rng(1).normal(size=(60, 4)))
    sides = ["test" if one else "train" for one in marked]
    seen: list[np.ndarray] = []
    score = episodes_job.score_episodes

    def looked(features: np.ndarray, *given: Any, **options: Any) -> Any:
        seen.append(features)
        return score(features, *given, **options)

    monkeypatch.setattr(episodes_job, "score_episodes", looked)
    found = episodes(cache_of(tmp_path, X, [str(code) for code in y], sides), ways=2, shots=[1], queries=3, count=5)
    assert found.images == 48
    assert np.abs(seen[0]).max() < 100


def test_copies_say_nothing_of_each_other(photos: Path, embed: Callable[..., Any], elsewhere: Path) -> None:
    paths = sorted(photos.rglob("*.png"))
    for path in paths:
        copyfile(path, path.with_name(f"copy-{path.name}"))
    cache = embed().cache
    with pytest.raises(HeadError, match="2 ways of 1 shots and 12 queries need 2 classes with 13 independent images"):
        episodes(cache, ways=2, shots=[1], queries=12, count=5)  # of 24 images twelve are copies
    paths = [str(path.relative_to(photos)) for path in photos.rglob("*.png")]
    torn = ["cat" if path.startswith("dog/copy") else path[:3] for path in paths]
    pd.DataFrame({"path": paths, "label": torn}).to_csv("torn.csv", index=False)
    found = episodes(cache, labels="torn.csv", ways=2, shots=[1], queries=3, count=5)
    assert any("images are left out: a copy or another of their group has another label" in one for one in found.notes)


def test_a_source_gives_the_base_without_the_caches_own_images(tmp_path: Path, elsewhere: Path, cache: Path) -> None:
    with pytest.raises(JobError, match=r"holds no image that .* lacks; name a source with images of other classes"):
        episodes(cache, source=cache, **SMALL)
    y = np.arange(40) % 2
    rng = np.random.default_rng(2)
    X = rng.normal(size=(2, 12))[y] + 0.5 * rng.normal(size=(40, 12))
    pair = cache_of(tmp_path / "pair", X, ["a" if code else "b" for code in y])
    alone = episodes(pair, ways=2, shots=[1], queries=3, count=5)
    assert "cl2n" not in {row.method for row in alone.rows}
    assert "cl2n, laplacian are left out: no class is left for their base" in " ".join(alone.notes)
    more = cache_of(tmp_path / "more", np.ones((50, 12)), [f"{number % 5}" for number in range(50)])
    with_source = episodes(pair, source=more, ways=2, shots=[1], queries=3, count=5)
    assert "cl2n" in {row.method for row in with_source.rows}
    assert any("40 of 50 images" in note and "left out" in note for note in with_source.notes)  # image 0 is image 0


def test_random_weights_are_a_control_and_are_said_where_they_are_not_beaten(
    photos: Path, embed: Callable[..., Any], elsewhere: Path
) -> None:
    cache = embed(backbone="pixels", weights="default").cache
    embed()
    found = episodes(cache, ways=2, shots=[1], queries=3, count=20)
    assert {row.label: row.random for row in found.rows} == {"pixels": False, "small_cnn": True}
    assert any("random weights have" in one and "beat" in one for one in found.findings)


def test_numbers_are_no_classes(tmp_path: Path, elsewhere: Path) -> None:
    numbers = cache_of(tmp_path, np.random.default_rng(0).normal(size=(20, 3)), [f"{n + 0.5}" for n in range(20)])
    with pytest.raises(HeadError, match=r"class"):
        episodes(numbers, **SMALL)


def test_the_command_prints_80_columns_or_json(
    cache: Path, elsewhere: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    words = ["episodes", str(cache), "--ways", "3", "--shots", "1", "3", "--queries", "4", "--count", "20"]
    with pytest.raises(SystemExit) as done:
        main(words)
    assert done.value.code == 0
    shown = capsys.readouterr().out
    assert "chance 33.3 %" in shown
    assert "pt-map*: assumes that queries come together, as many of each class" in shown
    assert max(map(len, shown.split("table ")[0].splitlines())) <= 80
    with pytest.raises(SystemExit):
        main([*words, "--json"])
    assert len(json.loads(capsys.readouterr().out)["rows"]) == 12


def write_digits(folder: Path, n_images: int) -> Path:
    digits = load_digits()
    for number, (pixels, label) in enumerate(zip(digits.images[:n_images], digits.target[:n_images], strict=True)):
        place = folder / str(label)
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray((pixels * 15.9).astype(np.uint8)).resize((64, 64)).convert("RGB").save(place / f"{number}.png")
    return folder


def test_the_published_order_of_means_holds_on_real_digits(real_data: Path, elsewhere: Path) -> None:
    digits = write_digits(elsewhere / "digits", 240)
    weights = real_data / "weights" / "mobilenet_v2-imagenet.pth"
    cache = extract(digits, "mobilenet_v2", weights=str(weights), precision="fp32", image_size=96).cache
    found = episodes(cache, shots=[1], queries=8, count=1500)
    scores = {row.method: row.accuracy for row in found.rows}
    assert scores["plain"] <= scores["l2n"] <= scores["cl2n"]
    assert any("as published, in 1 of 1 layers" in one for one in found.findings)
