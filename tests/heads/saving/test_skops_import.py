"""skops lists scikit-learn's estimators unless the process is headstart's alone, which a command's is."""

import gc
import sys

import pytest
import sklearn.utils

from headstart.flows.cli import app
from headstart.heads.saving import skops_import


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("listed", [False, True])
def test_skops_is_imported_without_the_list_where_that_was_asked_for_and_nobody_else_sees_it(
    listed: bool, fails: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bool] = []

    def find(name: str) -> object:
        if name == "skops.io":
            seen.append(sklearn.utils.all_estimators is before)
            assert listed or sklearn.utils.all_estimators() == []
            if fails:
                raise ImportError(name)
        return sys.modules["sklearn.utils"]

    before = sklearn.utils.all_estimators
    monkeypatch.setattr(skops_import, "import_module", find)
    monkeypatch.setattr(skops_import, "_lists", True)
    monkeypatch.delitem(sys.modules, "skops.io", raising=False)
    if not listed:
        skops_import.list_no_estimators()
    if fails:
        with pytest.raises(ImportError, match=r"skops\.io"):
            skops_import.import_skops()
    else:
        skops_import.import_skops()
    assert seen == [listed]
    assert sklearn.utils.all_estimators is before


def test_a_command_asks_for_it_and_a_call_of_its_function_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(app, "list_no_estimators", lambda: asked.append("asked"))
    monkeypatch.setattr(sys, "argv", ["headstart", "--version"])
    threshold = gc.get_threshold()
    try:
        for arguments, expected in ((["--version"], []), (None, ["asked"])):
            with pytest.raises(SystemExit):
                app.main(arguments)
            assert asked == expected
    finally:
        gc.set_threshold(*threshold)
