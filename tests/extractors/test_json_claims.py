"""What a cache's files of JSON claim is held against its types: each is read as written, as damage, or as nothing."""

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from support.hostile_json import hostile, refusal

from headstart.extractors.cache import EmbeddingCache, EmbeddingStore, take_turn
from headstart.extractors.cache.turn import has_turn
from headstart.extractors.errors import CacheError, UnavailableError
from headstart.extractors.extraction.key_description import FidelityRow, KeyDescription
from headstart.extractors.extraction.known_requests import describe_request, recall, recall_weights, remember
from headstart.extractors.spec import LARGEST_BATCH, PENULTIMATE, EmbeddingKey, Preprocessing, Settings, Tap
from headstart.extractors.tuning import Execution, FidelityRecord, pixels_seen
from headstart.extractors.tuning.fidelity import Fidelity

KEY = EmbeddingKey(backbone="a/b", weights="sha256:aa", taps=(PENULTIMATE,), preprocessing=Preprocessing())
EXECUTION = Execution(batch_size=16, compiled=True, threads=2, images=9, notes=("compiled",))
MEASURED = Fidelity({PENULTIMATE: {"cosine": 1.0, "relative_error": 0.0}}, 8)


def test_an_execution_is_taken_up_as_it_was_written_or_decided_anew(tmp_path: Path) -> None:
    EXECUTION.write(tmp_path)
    file = tmp_path / "execution.json"
    sound = file.read_bytes()
    assert Execution.read(tmp_path) == EXECUTION
    for name, content in hostile(sound):
        file.write_bytes(content)
        found = Execution.read(tmp_path)
        assert found is None or name.endswith((" gone", "text", "negative")), name
        assert found is None or (0 < found.batch_size <= LARGEST_BATCH and found.threads > 0), name
        assert found is None or all(type(v) is type(getattr(EXECUTION, k)) for k, v in vars(found).items()), name
    for size, found in ((LARGEST_BATCH, True), (LARGEST_BATCH + 1, False), (0, False)):
        replace(EXECUTION, batch_size=size).write(tmp_path)
        assert bool(Execution.read(tmp_path)) is found


def test_a_fidelity_is_taken_up_as_it_was_written_or_measured_again(tmp_path: Path) -> None:
    FidelityRecord(decoding=MEASURED).write(tmp_path)
    file = tmp_path / "fidelity.json"
    sound = file.read_bytes()
    for name, content in hostile(sound):
        file.write_bytes(content)
        found = FidelityRecord.read(tmp_path).decoding
        assert found is None or (type(found.n_images) is int and -1 <= found.cosine <= 1), name


@pytest.mark.parametrize("read", [Execution.read, FidelityRecord.read])
def test_what_cannot_be_read_now_is_not_decided_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: Callable[[Path], Any]
) -> None:
    def failing(path: Path) -> bytes:
        raise OSError(5, "Input/output error", str(path))

    monkeypatch.setattr(Path, "read_bytes", failing)
    with pytest.raises(UnavailableError, match="says nothing against the file"):
        read(tmp_path)


def test_a_key_is_read_as_it_was_written_or_named_as_damaged(tmp_path: Path) -> None:
    store = EmbeddingStore(tmp_path, KEY, {"weights_name": "w"})
    store.create(store.about)
    file = tmp_path / "key.json"
    sound = file.read_bytes()
    for name, content in hostile(sound):
        file.write_bytes(content)
        if message := refusal(lambda: EmbeddingStore.read(tmp_path), CacheError):
            assert message.startswith(f"{file}: cannot be read"), name
            assert len(message) < 400 + len(str(file)), name
            continue
        found = EmbeddingStore.read(tmp_path)
        assert found.key.id.startswith(("b-", "x-")), name
        assert json.loads(json.dumps(found.key.as_dict())) == found.key.as_dict(), name


def test_a_turn_that_cannot_be_read_is_nobody_s(tmp_path: Path) -> None:
    turn = take_turn(tmp_path)
    file = tmp_path / "turn.json"
    for name, content in list(hostile(file.read_bytes())):
        file.write_bytes(content)
        assert not has_turn(tmp_path, turn), name


def test_a_request_is_recalled_as_it_was_remembered_or_not_at_all(cache: EmbeddingCache) -> None:
    request = describe_request("resnet18", "none", [Tap.parse(PENULTIMATE)], Settings())
    described = KeyDescription(
        "b-1", "a/b", "w", [PENULTIMATE], "fp32", "full", "float32", FidelityRow(1.0, 0.0, {}, 8)
    )
    remember(cache, request, described)
    file = cache.path / "requests.json"
    sound = file.read_bytes()
    assert recall(cache.path, request) == described
    kinds = {name: type(value) for name, value in asdict(described).items()}
    for name, content in hostile(sound):
        if ".request." in name:  # it is compared as a whole
            continue
        file.write_bytes(content)
        found = recall(cache.path, request)
        assert found is None or all(
            kinds[k] is type(v) or k in ("fidelity", "image_size") for k, v in asdict(found).items()
        ), name
        recall_weights(cache.path, "b-1")


def test_the_range_of_a_set_is_one_or_found_anew(cache: EmbeddingCache) -> None:
    file = cache.path / "pixels.json"
    sound = json.dumps({"photos": {"range": [0, 4095.5], "colour": "srgb"}}).encode()
    for name, content in [("sound", sound), *hostile(sound)]:
        file.write_bytes(content)
        found = pixels_seen._read(cache.path).get("photos", {})
        low, high = found.get("range") or (0, 1)
        assert low < high, name
        assert found.get("colour", "srgb") in ("srgb", None), name
        assert name != "sound" or found == {"range": [0, 4095.5], "colour": "srgb"}
