"""Slips of the first day: each ends in one line that says what was meant, before the work, and leaves nothing."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import draw

from headstart.extractors.listing import update
from headstart.flows.cli.app import main
from headstart.flows.cli.options import spread_lists

Embed = Callable[..., Any]
TINY = ["--backbone", "small_cnn", "--weights", "none", "--precision", "fp32"]


@pytest.fixture
def shown(elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run a command that fails, and return its line."""

    def run(*words: str) -> str:
        with pytest.raises(SystemExit, match="1"):
            main(list(words))
        return " ".join(capsys.readouterr().err.split())

    return run


def test_images_beside_their_cache_are_told_from_it(shown: Callable[..., str], photos: Path, elsewhere: Path) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["extract", str(photos), *TINY, "--cache", f"{photos}.headstart"])
    before = sorted(photos.iterdir())
    for command in ("fit", "inspect", "verify", "cluster"):
        assert f"the one of these images is {photos}.headstart" in shown(command, str(photos))
    assert f"did you mean {photos}.headstart?" in shown("fit", f"{photos}z.headstart")
    assert "if these are images, embed them first: 'headstart extract" in shown("fit", str(photos / "cat"))
    assert "is a cache and holds no images" in shown("extract", f"{photos}.headstart", *TINY)
    assert sorted(photos.iterdir()) == before
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize(
    "words",
    [
        "extract LONG --backbone pixels", "extract HERE --backbone pixels --cache LONG", "fit LONG", "verify LONG",
        "extract HERE --backbone small_cnn --weights LONG", "export LONG --to x.npy", "predict LONG HERE",
        "results LONG", "compare LONG LONG", "cluster LONG", "compact LONG", "inspect LONG", "doctor LONG", "run LONG",
    ],
)  # fmt: skip
def test_a_name_that_no_file_can_have_is_the_system_s_word_and_no_defect(
    shown: Callable[..., str], elsewhere: Path, words: str
) -> None:
    draw(elsewhere / "HERE" / "cat" / "1.png", 0, seed=0)
    found = shown(*words.replace("LONG", "x" * 5000).split())
    assert "defect" not in found
    assert "too long" in found or "no such file" in found


@pytest.mark.parametrize("words", ["fit C --seed -5", "fit C --seed 4294967296", "extract C --batch-size 65537"])
def test_numbers_out_of_bounds_are_usage_errors(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(words.split())
    assert "or equal to" in " ".join(capsys.readouterr().err.replace("│", " ").split())


@pytest.mark.parametrize(
    ("words", "spread"),
    [
        ("fit --head a b C", "fit --head a --head b C"),
        ("fit --head a b c C --folds 3", "fit --head a --head b --head c C --folds 3"),
        ("fit --head a b --folds 3 C", "fit --head a --head b --folds 3 C"),
        ("fit --json --head a C", "fit --json --head a C"),
        ("predict --trust a b M photos", "predict --trust a --trust b M photos"),
        ("extract --backbone a HERE b", "extract --backbone a HERE --backbone b"),
    ],
)
def test_a_list_before_the_paths_ends_before_them(
    words: str, spread: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "HERE").mkdir()
    monkeypatch.chdir(tmp_path)
    found = spread_lists(
        words.split(), ("--head", "--backbone", "--trust"), ("--json",), 2 if words.startswith("predict") else 1
    )
    assert found == spread.split()


def test_a_model_and_images_that_changed_places_are_put_right(
    shown: Callable[..., str], embed: Embed, photos: Path
) -> None:
    from headstart.flows.fitting.job import fit

    model = fit(embed().cache, "centroid").model
    for place in (model, str(Path(model).parent)):
        expected = f"the model comes first, then the images: headstart predict {place} {photos}"
        assert expected in shown("predict", str(photos), place)


def test_several_names_in_one_word_are_told_apart(shown: Callable[..., str], embed: Embed, photos: Path) -> None:
    cache = str(embed().cache)
    assert "several heads are words of their own: --head logreg knn" in shown("fit", cache, "--head", "logreg,knn")
    words = ["--backbone", "small_cnn,pixels", "--weights", "none"]
    assert "several are words of their own: --backbone small_cnn pixels" in shown("extract", str(photos), *words)
    manifest = photos.parent / "two.csv"
    manifest.write_text("path,colour,shape\nphotos/cat/00.png,red,round\nphotos/dog/00.png,blue,square\n")
    cache = str(embed(images=manifest, cache=photos.parent / "two").cache)
    assert "several are words of their own: --target colour shape" in shown("fit", cache, "--target", "colour,shape")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["small_cnn", "--weights", "nowhere.pth"], "nowhere.pth: no such file; --weights takes the path"),
        (["small_cnn", "--weights", "damaged.pth"], "damaged.pth"),
        (["resnet18", "--weights", "IMAGENET1K_V7"], "no weights are called 'IMAGENET1K_V7'"),
        (["small_cnn", "--weights", "none", "--tap", "layer9"], "has no layer 'layer9'"),
        (["small_cnn", "--weights", "none", "--tap", "penultimate:cls"], "no class token"),
        (["small_cnnn", "--weights", "none"], "no backbone is called 'small_cnnn'"),
        (["small_cnn", "--weights", "none", "--device", "tpu"], "tpu"),
    ],
    ids=["no file", "damaged file", "no such weights", "layer", "pooling", "backbone", "device"],
)
@pytest.mark.parametrize("command", ["extract", "run"])
def test_what_cannot_be_embedded_is_told_before_an_image_is_read(
    shown: Callable[..., str],
    photos: Path,
    elsewhere: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    words: list[str],
    message: str,
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the images are listed")

    for place in ("extraction.job", "orchestration.extraction_tasks"):
        monkeypatch.setattr(f"headstart.flows.{place}.list_images", refuse)
    (elsewhere / "damaged.pth").write_bytes(b"no weights")
    if command == "extract":
        line = shown("extract", str(photos), "--backbone", *words)
    else:
        given = dict(zip(words[1::2], words[2::2], strict=True))
        tap = f'tap = ["{given["--tap"]}"]\n' if "--tap" in given else ""
        device = f'device = "{given["--device"]}"\n' if "--device" in given else ""
        (elsewhere / "birds.toml").write_text(
            f'images = "{photos}"\n{tap}{device}[[extract]]\nbackbone = "{words[0]}"\n'
            f'weights = "{given["--weights"]}"\n[fit]\nhead = ["knn"]\n'
        )
        line = shown("run", "birds.toml")
    assert message in line
    assert [path.name for path in elsewhere.iterdir() if path.suffix == ".headstart"] == []


def test_a_head_is_looked_up_before_the_images(
    shown: Callable[..., str], embed: Embed, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = str(embed().cache)

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the labels are read")

    monkeypatch.setattr("headstart.flows.fitting.job.pose_problem", refuse)
    assert "did you mean logreg?" in shown("fit", cache, "--head", "logregg")


def test_a_command_that_fails_leaves_no_cache_without_a_listing(
    shown: Callable[..., str], photos: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "no such file or folder" in shown("extract", str(photos / "nowhere"), *TINY)
    assert list(elsewhere.iterdir()) == []

    def fail(*_: object, **__: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(update, "_hash_unknown", fail)
    shown("extract", str(photos), *TINY)
    assert list(elsewhere.iterdir()) == []


def test_another_cache_of_the_same_images_is_pointed_at(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from headstart.flows.extraction.job import extract

    monkeypatch.chdir(tmp_path)
    options = {"weights": "none", "precision": "fp32"}
    assert extract("photos", "small_cnn", **options).notes == []
    note = (
        "photos.headstart holds embeddings of these images already, and birds.headstart is a cache of its own: name "
        "that one (--cache, or cache = in the experiment) to use them"
    )
    assert extract("photos", "small_cnn", cache="birds.headstart", **options).notes == [note]
    assert extract("photos", "small_cnn", cache="birds.headstart", **options).notes == []  # once
    assert extract("photos/cat", "small_cnn", **options).notes == []  # other images
