"""What README.md shows works as it stands, but for the backbone, whose weights would have to be fetched."""

import re
import shlex
import tomllib
from pathlib import Path

import pytest
import typer
from conftest import CLASSES, draw

import headstart
from headstart.flows.cli.app import app, main
from headstart.flows.experiment.reading import read_experiment

README = Path(__file__).parent.parent / "README.md"
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", README.read_text(), re.DOTALL)


@pytest.fixture
def session(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with `photos/` and `new-photos/`."""
    for label, name in enumerate(CLASSES):
        draw(tmp_path / "new-photos" / f"{name}.png", label, seed=9000 + label)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def blocks(language: str) -> list[str]:
    return [text for found, text in BLOCKS if found == language]


def test_the_commands_run_one_after_another(session: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (text,) = blocks("sh")
    for line in text.splitlines():
        words = shlex.split(line, comments=True)
        assert words.pop(0) == "headstart"
        if words[0] == "extract":
            words = [*words[:-1], "small_cnn", "--weights", "none"]
        with pytest.raises(SystemExit) as end:
            main(words)
        assert not end.value.code, line
    out = capsys.readouterr().out
    assert "owl.png,owl," in out
    assert (session / "photos.results" / "report.html").exists()


def test_the_python_runs_one_after_another(session: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, object] = {}
    for text in blocks("python"):
        exec(text.replace('"resnet50"', '"small_cnn", weights="none"'), names)  # noqa: S102 - our own README
    assert names["X"].shape == (36, 256)  # type: ignore[attr-defined]
    assert "owl.png" in capsys.readouterr().out


@pytest.mark.parametrize("line", [line for block in blocks("") for line in block.splitlines()])
def test_a_command_that_needs_a_server_is_at_least_understood(line: str) -> None:
    words = shlex.split(line, comments=True)
    if words[0] == "make":
        return
    command = typer.main.get_command(app)
    name, found, rest = command.resolve_command(
        command.make_context("headstart", [], resilient_parsing=True), words[1:]
    )
    assert found.make_context(name, rest).params


def test_the_experiment_can_be_read(tmp_path: Path) -> None:
    (text,) = blocks("toml")
    (tmp_path / "birds.toml").write_text(text)
    experiment = read_experiment(tmp_path / "birds.toml")
    assert [table.weights for table in experiment.extract] == ["default", "none"]


def test_every_file_that_is_linked_exists() -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README.read_text()):
        assert (README.parent / target).exists(), target


def test_the_first_block_installs_and_every_extra_is_in_the_table() -> None:
    language, first = BLOCKS[0]
    assert language == "shell"
    lines = [line.partition("#")[0].strip() for line in first.splitlines()]
    assert all(line.startswith("pip install ") for line in lines)
    extras = tomllib.loads((README.parent / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert re.findall(r"^\| `(\w+)` \|", README.read_text(), re.MULTILINE)[: len(extras)] == list(extras)
    version = headstart.__version__
    assert f"headstart-{version}-py3-none-any.whl" in first
    (made,) = [text for text in blocks("") if "make demo" in text]
    assert "make test" in made
