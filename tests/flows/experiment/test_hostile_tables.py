"""An experiment file is a page of text: what would take a machine's memory or nerves is refused in one line."""

from pathlib import Path

import pytest

from headstart.flows.errors import JobError
from headstart.flows.experiment.reading import LARGEST_EXPERIMENT, MOST_DOTS, read_experiment
from headstart.flows.experiment.security import refuse_disallowed

GOOD = """
images = "photos"
[[extract]]
backbone = "small_cnn"
[fit]
head = ["logreg"]
"""

HOSTILE = {
    "lists without an end": ("a = " + "[" * 100_000, "is no TOML: maximum recursion"),
    "tables without an end": ("a = " + "{a=" * 50_000, "is no TOML: maximum recursion"),
    "a number of 10 000 digits": ("a = " + "9" * 10_000, "is no TOML: Exceeds the limit"),
    "a name of 20 000 parts": (".".join("a" * 20_000) + " = 1", f"has over {MOST_DOTS} dots"),
    "a table of 20 000 parts": (f"[{'.'.join('a' * 20_000)}]", f"has over {MOST_DOTS} dots"),
    "many names of 100 parts": ("\n".join(f"a{n}{'.b' * 100} = 1" for n in range(100)), f"has over {MOST_DOTS} dots"),
    "too many bytes": ("#" * (LARGEST_EXPERIMENT + 1), f"has over {LARGEST_EXPERIMENT} bytes"),
    "no text": ("a = '\0'", "is no TOML"),
    "2 000 unknown names": ("\n".join(f"a{n} = 1" for n in range(2000)), "and 1993 more such faults"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_what_no_experiment_holds_is_refused_in_one_line(tmp_path: Path, what: str) -> None:
    text, message = HOSTILE[what]
    (tmp_path / "birds.toml").write_text(text)
    with pytest.raises(JobError, match=message) as caught:
        read_experiment(tmp_path / "birds.toml")
    assert str(caught.value).startswith(f"{tmp_path / 'birds.toml'}: ")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1500


def test_a_file_without_an_end_is_left(tmp_path: Path) -> None:
    (tmp_path / "birds.toml").symlink_to("/dev/zero")
    with pytest.raises(JobError, match=f"has over {LARGEST_EXPERIMENT} bytes"):
        read_experiment(tmp_path / "birds.toml")


def test_just_as_many_dots_are_read(tmp_path: Path) -> None:
    (tmp_path / "birds.toml").write_text(GOOD + "#" + "." * MOST_DOTS)
    assert read_experiment(tmp_path / "birds.toml").name == "birds"


def test_a_byte_order_mark_is_no_part_of_it(tmp_path: Path) -> None:
    (tmp_path / "birds.toml").write_text(GOOD, encoding="utf-8-sig")
    assert read_experiment(tmp_path / "birds.toml").fit[0].head == ["logreg"]


def test_limits_nested_without_an_end_allow_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "birds.toml").write_text(GOOD)
    experiment = read_experiment(tmp_path / "birds.toml")
    monkeypatch.setenv("HEADSTART_SECURITY", "[" * 100_000)
    with pytest.raises(JobError, match="nothing is allowed"):
        refuse_disallowed(experiment)
