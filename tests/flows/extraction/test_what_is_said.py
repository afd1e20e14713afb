"""What was guessed of a table and what was left out of a checkpoint stands in the summary of an extraction."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from support.image_bytes import encode, noise

from headstart.extractors.backbones import SmallCNN
from headstart.flows.extraction import extract

PNG = encode(noise(40, 40))


def test_what_was_guessed_and_left_out_is_said(tmp_path: Path) -> None:
    (tmp_path / "é.png").write_bytes(PNG)
    (tmp_path / "set.csv").write_bytes("file_name;status\né.png;x\n".encode("latin-1"))
    state = {f"model.{name}": tensor for name, tensor in SmallCNN().state_dict().items() if "classifier" not in name}
    torch.save({"state_dict": state | {"model.classifier.0.weight": torch.ones(2, 3)}}, tmp_path / "last.ckpt")
    summary = extract(tmp_path / "set.csv", "small_cnn", weights=str(tmp_path / "last.ckpt"), cache=tmp_path / "cache")
    notes = "\n".join(summary.notes)
    for part in ("read as Latin-1", "column 'file_name' names the images", "'status' is 'label_status'"):
        assert part in notes
    assert "classifier of the weights is left out" in summary.keys[0].reasons[0]


def test_images_in_a_parquet_file_are_embedded(tmp_path: Path) -> None:
    images = [{"bytes": PNG, "path": f"{number}.png"} for number in range(3)] + [{"bytes": b"x", "path": "4.png"}]
    pq.write_table(pa.table({"image": images, "label": ["a", "b", "a", "b"]}), tmp_path / "set.parquet")
    summary = extract(tmp_path / "set.parquet", "pixels", cache=tmp_path / "cache")
    assert (summary.images, summary.quarantined) == (4, 1)
    again = extract(tmp_path / "set.parquet", "pixels", cache=tmp_path / "cache")
    assert again.embedded == 0
