"""How a run computes is decided by what it costs, taken up again, and stepped back from where it goes wrong."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import headstart.extractors.tuning.preparation
from headstart.extractors.errors import BatchTooLargeError
from headstart.extractors.network.compilation import CannotCompile
from headstart.extractors.network.forward import ForwardPass
from headstart.extractors.spec.key import EmbeddingKey
from headstart.extractors.spec.settings import Settings
from headstart.extractors.stages import StageTimes
from headstart.extractors.tuning.execution import Execution
from headstart.extractors.tuning.fidelity import Fidelity
from headstart.extractors.tuning.first_images import FirstImages
from headstart.extractors.tuning.preparation import Prepared, prepare

AUTO = Settings(device="cpu")
MANY = 1_000_000


def run(
    first: FirstImages, n_missing: int, settings: Settings = AUTO, recorded: Execution | None = None, **key: Any
) -> Prepared:
    described = EmbeddingKey(
        backbone="x/net", weights="", taps=("penultimate",), preprocessing=first.backbone.preprocessing, **key
    )
    return prepare(first, described, settings, recorded, n_missing, StageTimes())


def test_few_images_are_embedded_without_ado(first: FirstImages, seconds: None) -> None:
    prepared = run(first, 255)
    assert prepared.execution == Execution(batch_size=8, threads=torch.get_num_threads(), images=255)
    assert prepared.forward.batch_size == 8


def test_a_busy_machine_decides_as_an_idle_one(first: FirstImages, monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow(ForwardPass):
        def start(self, images: Any) -> Any:
            time.sleep(0.25)  # by the clock, 300 such passes would be worth compiling
            return super().start(images)

    idle = run(first, 300).execution
    assert idle.notes == ("not compiled: 300 images are too few for that to pay",)
    monkeypatch.setattr(headstart.extractors.tuning.preparation, "ForwardPass", Slow)
    assert run(first, 300).execution == idle


@pytest.mark.parametrize(("n_missing", "pays"), [(11_000, False), (13_000, True)])  # at 0.005 s: a minute lies between
def test_it_is_compiled_where_that_pays(
    first: FirstImages, seconds: None, compiled: list[bool], n_missing: int, pays: bool
) -> None:
    prepared = run(first, n_missing)
    assert prepared.execution.compiled is pays
    assert compiled[-1] is pays
    assert prepared.execution.notes[0].startswith("compiled: " if pays else "not compiled: ")


@pytest.mark.parametrize(("asked", "expected"), [("on", True), ("off", False)])
def test_the_person_has_the_last_word(
    first: FirstImages, seconds: None, compiled: list[bool], asked: Any, expected: bool
) -> None:
    settings = Settings(device="cpu", compile=asked, batch_size=32)
    for n_missing in (10, MANY):
        execution = run(first, n_missing, settings).execution
        assert (execution.compiled, execution.batch_size) == (expected, 32)


@pytest.mark.parametrize(("asked", "expected"), [(None, 16), (8, 8)])
def test_a_compiled_network_takes_larger_batches_unless_the_person_says_otherwise(
    first: FirstImages, seconds: None, compiled: list[bool], asked: int | None, expected: int
) -> None:
    execution = run(first, MANY, Settings(device="cpu", batch_size=asked)).execution
    assert (execution.compiled, execution.batch_size) == (True, expected)


def test_what_was_asked_for_is_said(first: FirstImages, seconds: None, compiled: list[bool]) -> None:
    assert run(first, 10, Settings(device="cpu", compile="on")).execution.notes == ("compiled, as asked",)
    assert run(first, MANY, Settings(device="cpu", compile="off")).execution.notes == ("not compiled, as asked",)


def test_what_is_exact_is_computed_one_by_one_on_one_thread_without_shortcuts(
    first: FirstImages, seconds: None, compiled: list[bool]
) -> None:
    for n_missing in (10, MANY):
        prepared = run(first, n_missing, Settings(device="cpu", exact=True), exact=True)
        assert prepared.execution == Execution(batch_size=1, plain=True, threads=1, images=n_missing)
        assert prepared.forward.batch_size == 1
    assert compiled == [False, False]


def test_what_was_recorded_is_taken_up_again(first: FirstImages, seconds: None, compiled: list[bool]) -> None:
    recorded = Execution(batch_size=5, compiled=True, threads=1, images=MANY)
    prepared = run(first, MANY - 1, recorded=recorded)
    assert prepared.execution == recorded
    assert (prepared.forward.batch_size, compiled) == (5, [True])


class Kept(ForwardPass):
    """A forward pass that was compiled before; it runs uncompiled."""

    def __init__(self, *arguments: Any, compiled: bool, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.compiled = compiled

    @property
    def is_kept(self) -> bool:
        return self.compiled


@pytest.mark.parametrize("n_missing", [1, MANY - 1, MANY + 1])
def test_a_network_that_was_kept_is_neither_counted_nor_compared_again(
    first: FirstImages, monkeypatch: pytest.MonkeyPatch, n_missing: int
) -> None:
    """However few images come later, or many."""

    def fails(*_: object) -> None:
        raise AssertionError("looked at an image")

    monkeypatch.setattr(headstart.extractors.tuning.preparation, "ForwardPass", Kept)
    monkeypatch.setattr(headstart.extractors.tuning.preparation, "seconds_of", fails)
    monkeypatch.setattr(FirstImages, "decoded", fails)
    recorded = Execution(batch_size=5, compiled=True, threads=1, images=MANY)
    prepared = run(first, n_missing, recorded=recorded)
    assert (prepared.execution, prepared.fidelity, prepared.forward.is_kept) == (recorded, None, True)


@pytest.mark.parametrize("n_missing", [10, 300])
def test_a_run_whose_record_says_nothing_decides_alike_whether_a_network_was_kept_or_not(
    first: FirstImages, seconds: None, monkeypatch: pytest.MonkeyPatch, n_missing: int
) -> None:
    without = run(first, n_missing).execution
    monkeypatch.setattr(headstart.extractors.tuning.preparation, "ForwardPass", Kept)
    assert run(first, n_missing).execution == without
    assert not without.compiled


def test_a_kept_network_is_compared_where_nothing_is_recorded(
    first: FirstImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(headstart.extractors.tuning.preparation, "ForwardPass", Kept)
    prepared = run(first, 10, Settings(device="cpu", compile="on"))
    assert prepared.execution.compiled
    assert prepared.fidelity is not None
    assert prepared.fidelity.n_images == 8


def test_for_more_images_than_before_it_is_decided_anew(
    first: FirstImages, seconds: None, compiled: list[bool]
) -> None:
    recorded = Execution(batch_size=5, threads=1, images=100)
    execution = run(first, MANY, recorded=recorded).execution
    assert (execution.batch_size, execution.compiled, execution.images) == (16, True, MANY)


def test_what_was_recorded_on_another_device_is_decided_anew(
    first: FirstImages, seconds: None, compiled: list[bool]
) -> None:
    recorded = Execution(batch_size=512, device="cuda", threads=1, images=MANY)
    execution = run(first, 10_000, recorded=recorded).execution
    assert (execution.batch_size, execution.device, execution.images) == (8, "cpu", 10_000)


def full_above(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a device have no memory for batches above a size."""

    class Small(ForwardPass):
        def _network(self, pixels: torch.Tensor) -> Any:
            if len(pixels) > size:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1.00 GiB")
            return super()._network(pixels)

    monkeypatch.setattr(headstart.extractors.tuning.preparation, "ForwardPass", Small)


@pytest.mark.parametrize("n_missing", [20, 300])
def test_where_a_gpu_has_no_memory_for_a_batch_it_is_halved_until_it_fits(
    first: FirstImages, monkeypatch: pytest.MonkeyPatch, n_missing: int
) -> None:
    full_above(2, monkeypatch)
    execution = run(first, n_missing).execution
    assert execution.batch_size == 2
    assert execution.notes[:2] == (
        "batches of 4: 8 images do not fit into the memory of the GPU",
        "batches of 2: 4 images do not fit into the memory of the GPU",
    )


@pytest.mark.parametrize(("size", "settings"), [(2, {"batch_size": 6}), (0, {})])
def test_a_batch_of_ones_own_that_does_not_fit_is_an_error_that_says_what_to_do(
    first: FirstImages, monkeypatch: pytest.MonkeyPatch, size: int, settings: Any
) -> None:
    full_above(size, monkeypatch)
    with pytest.raises(BatchTooLargeError, match=r"cpu has no memory for a batch of (6|1) images .*; use --batch-size"):
        run(first, 20, Settings(device="cpu", **settings))


def test_where_it_cannot_be_compiled_it_runs_without_and_says_why(
    first: FirstImages, seconds: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Refusing(ForwardPass):
        def __init__(self, *arguments: Any, compiled: bool, **options: Any) -> None:
            super().__init__(*arguments, **options)
            self.refuses = compiled

        def __call__(self, images: Any) -> Any:
            if self.refuses:
                raise CannotCompile("there is no C++ compiler here")
            return super().__call__(images)

    monkeypatch.setattr(headstart.extractors.tuning.preparation, "ForwardPass", Refusing)
    prepared = run(first, MANY)
    assert not prepared.execution.compiled
    assert prepared.execution.notes[0] == "not compiled: there is no C++ compiler here"
    assert len(prepared.forward(first.whole)["penultimate"]) == 8


class Off:
    """A forward pass whose features are wrong in the ways that are named."""

    def __init__(self, wrong: set[str]) -> None:
        self.wrong = wrong

    def __call__(self, *arguments: Any, compiled: bool, plain: bool, **options: Any) -> ForwardPass:
        kind = "compiled" if compiled else "plain" if plain else "eager"
        forward = ForwardPass(*arguments, plain=plain, **options)
        if kind in self.wrong:
            right = forward.start
            forward.start = lambda images: (
                lambda: {  # type: ignore[method-assign]  # a stand-in
                    tap: np.roll(values, 1, axis=1) for tap, values in right(images)().items()
                }
            )
        return forward


@pytest.mark.parametrize(
    ("wrong", "compiled_at_last", "plain_at_last", "note"),
    [
        (set(), True, False, "compiled: 1000000 images are enough"),
        ({"compiled"}, False, False, "not compiled: its features have a cosine of 0."),
        ({"compiled", "eager"}, False, True, "without shortcuts: with them the cosine to float32 is 0."),
    ],
)
def test_a_way_that_is_too_far_off_is_not_taken(
    first: FirstImages,
    seconds: None,
    monkeypatch: pytest.MonkeyPatch,
    wrong: set[str],
    compiled_at_last: bool,
    plain_at_last: bool,
    note: str,
) -> None:
    monkeypatch.setattr(headstart.extractors.tuning.preparation, "ForwardPass", Off(wrong))
    prepared = run(first, MANY)
    assert (prepared.execution.compiled, prepared.execution.plain) == (compiled_at_last, plain_at_last)
    assert prepared.execution.notes[-1].startswith(note)
    assert prepared.fidelity is not None
    assert prepared.fidelity.cosine > 0.9999


def test_the_comparison_is_with_float32_without_any_shortcut(first: FirstImages, seconds: None) -> None:
    fidelity = run(first, 10, precision="bf16").fidelity
    assert fidelity is not None
    assert fidelity.n_images == 8
    assert 0.99 < fidelity.cosine < 1
    assert 0 < fidelity.taps["penultimate"]["relative_error"] < 0.1


def test_where_no_image_can_be_read_nothing_is_timed(first: FirstImages, photos: Path, seconds: None) -> None:
    for path in photos.rglob("*.png"):
        path.write_bytes(b"no image")
    prepared = run(first, MANY)
    assert prepared.fidelity is None
    assert not prepared.execution.compiled


def test_preparing_counts_as_set_up_and_as_nothing_else(first: FirstImages, seconds: None) -> None:
    times = StageTimes()
    key = EmbeddingKey(backbone="x/net", weights="", taps=("penultimate",), preprocessing=first.backbone.preprocessing)
    forward = prepare(first, key, AUTO, None, 10, times).forward
    assert list(times.seconds) == ["set up"]
    forward(first.whole)
    assert times.seconds["forward"] > 0


def test_fidelity_of_nothing_is_no_reason_to_refuse() -> None:
    assert Fidelity({}, 0).accepted
