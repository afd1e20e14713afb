"""Browser that the tests of pages share."""

import pytest
from support.report_browser import Browser


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    running = Browser(tmp_path_factory.mktemp("browser"))
    yield running
    running.close()
