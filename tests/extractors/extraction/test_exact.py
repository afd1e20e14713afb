"""What is asked to be exact is the same bit for bit, whatever else is embedded, when and with how many threads."""

import shutil
from pathlib import Path

import pytest
import torch
from support.small_extraction import features, opened, run

from headstart.extractors.cache.cache import EmbeddingCache
from headstart.extractors.errors import SettingsError
from headstart.extractors.spec import Settings

EXACT = Settings(exact=True, device="cpu")


def embedded(place: Path, folder: Path) -> dict[str, bytes]:
    extraction = opened(EmbeddingCache(place, create=True), folder, EXACT)
    run(extraction)
    return features(extraction)


def test_exact_rows_depend_on_nothing_but_their_image(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once = embedded(tmp_path / "at once", photos)
    assert len(at_once) == 36
    later = tmp_path / "later"
    shutil.copytree(photos / "owl", later / "owl")
    before = torch.get_num_threads()
    torch.set_num_threads(before + 1)
    try:
        assert len(embedded(tmp_path / "in steps", later)) == 12
        shutil.copytree(photos / "cat", later / "cat")
        in_steps = embedded(tmp_path / "in steps", later)
    finally:
        torch.set_num_threads(before)
    assert in_steps == {digest: at_once[digest] for digest in in_steps}
    assert len(in_steps) == 24


def test_exact_rows_have_a_key_of_their_own_and_take_no_shortcut(photos: Path, tmp_path: Path) -> None:
    cache = EmbeddingCache(tmp_path / "cache", create=True)
    exact, usual = (opened(cache, photos, settings) for settings in (EXACT, Settings(device="cpu")))
    run(exact)
    assert len(usual.missing) == 36
    assert (exact.store.key.precision, exact.store.key.decode) == ("fp32", "full")
    assert exact.execution is not None
    assert (exact.execution.batch_size, exact.execution.threads, exact.execution.plain) == (1, 1, True)


@pytest.mark.parametrize("others", [{"batch_size": 4}, {"compile": "on"}])
def test_what_excludes_exact_is_refused(others: dict[str, object]) -> None:
    with pytest.raises(SettingsError, match="leave out the batch size and what is compiled"):
        Settings(exact=True, **others)  # type: ignore[arg-type]  # of one type each
