"""When a served experiment runs, as a person writes it."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from headstart.flows.cli.app import main
from headstart.flows.errors import JobError
from headstart.flows.serving.schedules import read_interval, read_when


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("3600", 3600), (90.5, 90.5), ("90s", 90), ("30m", 1800), ("1h", 3600), (" 2 d ", 172800), ("1.5h", 5400)],
)
def test_an_interval_is_seconds_or_a_number_with_its_unit(text: str | float, seconds: float) -> None:
    assert read_interval(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["0", "-5", "1w", "an hour", "", "1h30m", "400d", "9" * 400])
def test_what_is_no_interval_is_refused_with_examples(text: str) -> None:
    with pytest.raises(JobError, match="such as 30m, 1h or 1d"):
        read_interval(text)


@pytest.mark.parametrize(
    ("given", "text", "kept"),
    [
        ({}, "on demand", []),
        ({"watch": True}, "whenever its images change", []),
        ({"cron": "0 2 * * *", "timezone": "Europe/Berlin"}, "by cron '0 2 * * *', Europe/Berlin", ["0 2 * * *"]),
        ({"interval": "1h"}, "every 1:00:00", [timedelta(hours=1)]),
    ],
)
def test_each_way_is_told_and_kept_by_prefect(given: dict[str, Any], text: str, kept: list[Any]) -> None:
    when = read_when(**({"cron": None, "interval": None, "watch": False} | given))
    assert when.text == text
    assert [getattr(one, "cron", None) or one.interval for one in when.schedules()] == kept


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"cron": "0 25 * * *"}, r"--cron '0 25 \* \* \*': .*five fields are expected"),
        ({"cron": "@reboot"}, "--cron '@reboot'"),
        ({"cron": "0 2 * * *", "timezone": "Mars/Olympus"}, "--timezone 'Mars/Olympus'"),
        ({"cron": "0 2 * * *", "interval": "1h"}, "--cron and --interval: give one of them"),
        ({"interval": "1h", "watch": True}, "--interval and --watch: give one of them"),
        ({"interval": "1h", "timezone": "Europe/Berlin"}, "--timezone Europe/Berlin is that of a --cron expression"),
    ],
)
def test_what_is_wrong_is_told_by_its_option(given: dict[str, Any], message: str) -> None:
    with pytest.raises(JobError, match=message):
        read_when(**({"cron": None, "interval": None, "watch": False} | given))


@pytest.mark.parametrize(
    ("api", "options", "message"),
    [
        (None, [], "no Prefect server is configured"),
        ("http://127.0.0.1:9/api", [], "http://127.0.0.1:9/api: no Prefect server answers"),
        ("http://127.0.0.1:9/api", ["--cron", "nightly"], "--cron 'nightly': "),
    ],
)
def test_serving_without_a_server_or_with_a_wrong_schedule_ends_in_one_clear_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], api: str | None, options: list[str], message: str
) -> None:
    (tmp_path / "x.toml").write_text('images = "photos"\n[[extract]]\nbackbone = "pixels"\n[fit]\n')
    with temporary_settings({PREFECT_API_URL: api}), pytest.raises(SystemExit, match="1"):
        main(["serve", str(tmp_path / "x.toml"), *options])
    noted = capsys.readouterr().err
    assert noted.startswith(f"headstart: {message}")
    assert noted.count("\n") == 1
