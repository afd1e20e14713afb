"""Every command is a function of `headstart`, too, which does the same."""

import inspect

import pytest
from support.every_command import COMMANDS, FUNCTION_OF

import headstart


def test_there_are_commands() -> None:
    assert len(COMMANDS) >= 20


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_is_a_function_with_a_docstring(command: str) -> None:
    function = getattr(headstart, FUNCTION_OF.get(command, command))
    assert inspect.isfunction(function)
    assert (inspect.getdoc(function) or "").partition("\n")[0].endswith(".")
    assert inspect.signature(function).return_annotation is not inspect.Signature.empty


def test_a_function_is_found_whatever_was_imported_before() -> None:
    import headstart.flows.demo
    import headstart.flows.doctor
    import headstart.flows.nightly.flow  # each binds its module to the name of a command

    for name in ("demo", "doctor", "nightly"):
        assert inspect.isfunction(getattr(headstart, name))
