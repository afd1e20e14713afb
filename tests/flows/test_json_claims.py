"""What is kept of fits and nights, and what a model says of itself, is read as written or named as damaged."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
from support.hostile_json import hostile, refusal
from support.synthetic_runs import KEY, keep, run_of

from headstart.extractors.errors import CacheError
from headstart.flows.errors import EXPECTED_ERRORS, JobError
from headstart.flows.history.runs import FOLDER, read_runs
from headstart.flows.history.search import gather_runs
from headstart.flows.inference.model import load
from headstart.flows.nightly.changes import SEEN_COLUMNS
from headstart.flows.nightly.record import RECORD_FILE, NightRecord


def test_a_line_of_the_history_is_a_run_or_a_note(tmp_path: Path) -> None:
    kept = keep(tmp_path, run_of(1))
    file = tmp_path / "history.jsonl"
    for name, content in hostile(file.read_bytes(), depth=1):
        file.write_bytes(content.replace(b"\n", b" ") + f"\n{kept.as_line()}\n".encode())
        runs, notes = read_runs(tmp_path)
        assert kept in runs, name
        assert len(runs) + len(notes) <= 2, name
        assert all(len(note) < 4000 for note in notes), name


def test_a_run_beside_its_results_is_read_or_damaged(tmp_path: Path) -> None:
    results = tmp_path / "results"
    keep(tmp_path / "elsewhere" / FOLDER, run_of(1), results=results)
    file = results / "run.json"
    refused = []
    for name, content in hostile(file.read_bytes(), depth=1):
        file.write_bytes(content)
        if message := refusal(lambda: gather_runs([results]), JobError):
            assert message.startswith(f"{file}: damaged"), name
            refused.append(name)
    assert {"no end", "objects", "deep", "digits", "id: deep"} <= set(refused)


def test_a_record_of_a_night_is_read_or_damaged(tmp_path: Path) -> None:
    NightRecord(pd.DataFrame({name: ["x"] for name in SEEN_COLUMNS}), runs={"fit": run_of(1)}).write(tmp_path)
    file = tmp_path / RECORD_FILE
    table = pq.read_table(file)
    about = table.schema.metadata[b"headstart"]
    for name, content in hostile(about, depth=2):
        pq.write_table(table.replace_schema_metadata({b"headstart": content}), file)
        message = refusal(lambda: NightRecord.read(tmp_path), CacheError)
        assert not message or message.startswith(f"{file}: cannot be read"), name
        assert not message or "delete it" in message, name


def test_a_card_s_embedding_is_of_its_types(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    embedding = KEY.as_dict() | {"backbone": "headstart/small_cnn"}
    cards: list[dict[str, Any]] = []
    monkeypatch.setattr("headstart.flows.inference.model.load_model", lambda *_, **__: (None, cards[-1]))
    for name, content in hostile(json.dumps(embedding).encode()):
        try:
            claimed = json.loads(content)
        except (ValueError, RecursionError):
            continue  # the card itself is refused
        if name == "backbone: text":
            continue  # another backbone, which is looked for
        cards.append({"embedding": claimed, "tap": "penultimate", "weights_source": "none"})
        message = refusal(lambda: load(tmp_path), *EXPECTED_ERRORS)
        assert not message or "embedding key cannot be read" in message, name
