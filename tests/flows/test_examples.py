"""The examples in the docstrings of `headstart` do what they say, on a few images, in one folder for all."""

import doctest
import inspect
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from prefect.settings import PREFECT_API_URL, PREFECT_LOGGING_TO_API_ENABLED, temporary_settings
from support.python_example import make_folder

import headstart
import headstart.flows.demo

NEED_A_SERVER = {"run", "nightly", "demo"}
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    before, made = Path.cwd(), tmp_path_factory.mktemp("examples")
    make_folder(made)
    yield made
    os.chdir(before)


def examples_of(name: str) -> doctest.DocTest:
    found: Any = getattr(headstart, name)
    text, file = inspect.getdoc(found) or "", inspect.getsourcefile(found)
    return doctest.DocTestParser().get_doctest(text, {"headstart": headstart}, name, file, 0)


def run_examples(name: str) -> None:
    said: list[str] = []
    done = doctest.DocTestRunner(optionflags=FLAGS).run(examples_of(name), out=said.append)
    assert not done.failed, "".join(said)


@pytest.mark.parametrize("name", headstart.__all__)
def test_every_public_name_has_an_example_that_is_run(name: str) -> None:
    examples = examples_of(name).examples
    assert any(f"headstart.{name}(" in one.source or name == "Model" for one in examples)
    assert not any(doctest.SKIP in one.options for one in examples)


@pytest.mark.parametrize("name", sorted(set(headstart.__all__) - NEED_A_SERVER))
def test_an_example_does_what_it_says(folder: Path, name: str) -> None:
    run_examples(name)


def test_the_examples_that_need_a_server_do_what_they_say(
    folder: Path, prefect_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_digits, pretrain_on_digits = headstart.flows.demo.write_digits, headstart.flows.demo.pretrain_on_digits

    def write_few(place: Path) -> None:
        write_digits(place)
        for part in (*(place / "source").iterdir(), *(place / "target" / "test").iterdir()):
            for file in sorted(part.iterdir())[8:]:
                file.unlink()

    monkeypatch.setattr(headstart.flows.demo, "write_digits", write_few)
    monkeypatch.setattr(headstart.flows.demo, "pretrain_on_digits", partial(pretrain_on_digits, epochs=1))
    with temporary_settings({PREFECT_API_URL: prefect_server, PREFECT_LOGGING_TO_API_ENABLED: False}):
        for name in sorted(NEED_A_SERVER):
            run_examples(name)


def test_a_false_example_is_found(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    doc = '>>> headstart.compact("photos.headstart").changed\nTrue'
    monkeypatch.setattr(headstart.compact, "__doc__", doc)
    with pytest.raises(AssertionError, match=r"Expected:\s+True\s+Got:\s+False"):
        run_examples("compact")
