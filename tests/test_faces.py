"""Faces: why a wing is there, its rooms at one line each, and `headstart` itself."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from support.source_modules import ROOMS, ROOT, WINGS

import headstart

LONGEST = 120


@pytest.mark.parametrize("wing", WINGS, ids=str)
def test_a_face_says_why_its_wing_is_there_and_gives_each_room_one_line(wing: Path) -> None:
    face = ast.get_docstring(ast.parse((ROOT / wing / "__init__.py").read_text())) or ""
    why, *rest = face.split("\n\n")
    assert why.endswith(".")
    assert "\n" not in why
    lines = [line.split(maxsplit=1) for table in rest[-1:] for line in table.splitlines()]
    assert [room for room, _ in lines] == sorted(room.stem for room in ROOMS if room.parent == wing)
    assert [text for _, text in lines if not text[0].isupper() or not text.endswith(".")] == []
    assert [line for line in face.splitlines() if len(line) > LONGEST] == []


def test_a_room_is_not_described_by_a_question() -> None:
    faces = {wing: (ROOT / wing / "__init__.py").read_text() for wing in WINGS}
    asking = {"What", "Where", "Which", "Whether", "Whose", "How", "When"}
    rooms = [line.split(maxsplit=2) for face in faces.values() for line in face.splitlines() if "  " in line.strip()]
    assert [words for words in rooms if len(words) > 1 and words[1] in asking] == []


def test_headstart_shows_its_jobs_in_order_and_its_version() -> None:
    assert headstart.__all__ == sorted(headstart.__all__)
    assert set(headstart.__all__) >= {"compact", "export", "extract", "fit", "inspect", "predict", "run", "verify"}
    assert [name for name in headstart.__all__ if not callable(getattr(headstart, name))] == []
    assert set(headstart.__all__) <= set(dir(headstart))
    assert headstart.__version__.count(".") == 2


def test_python_m_headstart_says_the_version() -> None:
    done = subprocess.run([sys.executable, "-m", "headstart", "--version"], capture_output=True, text=True, check=True)
    assert headstart.__version__ in done.stdout.split()
