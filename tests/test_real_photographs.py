"""On real photographs with real ImageNet weights, the accuracy is what the field reaches with them."""

import json
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
from support.benchmarks import load
from support.cache_contract import check_cache

from headstart.extractors.cache.cache import EmbeddingCache
from headstart.flows.extraction.job import ExtractionSummary, extract
from headstart.flows.fitting.job import fit
from headstart.flows.inference.prediction import predict


@pytest.fixture(scope="module")
def extracted(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> ExtractionSummary:
    return extract(
        real_data / "data" / "hymenoptera",
        "mobilenet_v2",
        weights=str(real_data / "weights" / "mobilenet_v2-imagenet.pth"),
        cache=tmp_path_factory.mktemp("real") / "hymenoptera.headstart",
    )


def test_every_photograph_is_embedded_the_gif_too(extracted: ExtractionSummary) -> None:
    assert (extracted.images, extracted.embedded, extracted.quarantined) == (398, 398, 0)
    check_cache(EmbeddingCache(extracted.cache))


def test_a_logistic_regression_reaches_94_per_cent_on_val(extracted: ExtractionSummary, tmp_path: Path) -> None:
    summary = fit(extracted.cache, ["logreg", "dummy"], out=tmp_path / "results")
    assert (summary.test.split, summary.test.n_images, summary.test.n_train) == ("val", 153, 245)
    assert summary.winner.split == "5-fold CV"
    assert summary.test.scores["accuracy"].value >= 0.94


def test_the_saved_model_predicts_what_it_was_scored_on_as_well(
    extracted: ExtractionSummary, real_data: Path, tmp_path: Path
) -> None:
    summary = fit(extracted.cache, "logreg", out=tmp_path / "results")
    val = real_data / "data" / "hymenoptera" / "val"
    right = sum(
        (predict(summary.model, val / name, cache=tmp_path / name)["label"] == name).sum() for name in ("ants", "bees")
    )
    assert right / 153 == summary.test.scores["accuracy"].value


def test_other_photographs_are_told_from_ants_and_bees_and_sets_cover(
    extracted: ExtractionSummary, real_data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bench = load("bench_doubt")

    def embed(images: Path, data: Path, cache: Path, embed: Any = bench.embed) -> Any:
        return embed(images, data, cache if images.name == "others" else Path(extracted.cache))

    monkeypatch.setattr(bench, "embed", embed)
    bench.main([str(real_data), "--splits", "4", "--crops", "20", "--json"])
    found = json.loads(capsys.readouterr().out)
    auroc = {name: row["all"] for name, row in found["auroc"].items()}
    assert min(auroc["mahalanobis"], auroc["knn"]) > 0.95
    assert min(auroc["mahalanobis"], auroc["knn"]) > auroc["maximum probability"]
    for name, share in found["splits"].items():
        if "false alarms" in name:
            assert share < 0.12
        else:
            assert share > float(name.split()[1]) - 0.06


def test_random_weights_are_far_worse_and_the_cache_says_what_they_are(
    extracted: ExtractionSummary, real_data: Path, tmp_path: Path
) -> None:
    cache = copytree(extracted.cache, tmp_path / "both.headstart")
    summary = extract(real_data / "data" / "hymenoptera", "mobilenet_v2", weights="none", cache=cache)
    (random,) = [key for key in summary.keys if key.weights == "none (random, seed 0)"]
    fitted = fit(cache, "logreg", out=tmp_path / "results")
    assert fitted.winner.weights == "mobilenet_v2-imagenet.pth"
    (control,) = fitted.controls
    assert control.key == random.id
    assert control.scores["accuracy"].value < 0.75
    kept = json.loads((cache / "embeddings" / random.id / "key.json").read_text())
    assert kept["key"]["weights"].startswith("random:")
