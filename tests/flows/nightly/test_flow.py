"""The nightly flow on a real Prefect server: what its final state is called, and the one page that it leaves."""

from dataclasses import replace
from pathlib import Path

import pytest
from conftest import CLASSES, draw
from support.forked import run_forked
from support.prefect_queries import ask, flow_runs_of

from headstart.flows.cli.app import main
from headstart.flows.nightly.changes import NightChanges
from headstart.flows.nightly.drift import NightDrift
from headstart.flows.nightly.night import NightSummary, list_alerts
from headstart.flows.nightly.score import NightScore, ScoreChange
from headstart.flows.nightly.text import night_page
from headstart.heads.analysis.drift import Drift
from headstart.heads.report.rows import ScoreRow

EXPERIMENT = """
name = "Night Birds"
images = "photos"
precision = "fp32"
[[extract]]
backbone = "small_cnn"
weights = "none"
[fit]
head = ["centroid"]
folds = 2
test_size = 0.5
"""
PROGRAM = """
import shutil, sys
from headstart.flows.nightly.flow import hold_night
experiment, dark, photos = sys.argv[1:]
print(hold_night(experiment).alerts)
shutil.copytree(dark, photos, dirs_exist_ok=True)
print(len(hold_night(experiment).alerts) > 0)
"""


@pytest.fixture
def night() -> NightSummary:
    """A night with much to tell."""
    score = NightScore(0.9, 0.88, 0.92, 200, "test", "logreg")
    before = replace(score, value=0.95, low=0.93, high=0.97)
    difference = ScoreRow(-0.05, -0.08, -0.02)
    remark = "by the intervals of both scores: the test images changed"
    drift = Drift(distance=0.1, null=0.02, p_value=0.001, n_old=1000, n_new=120)
    kinds = ("new", "changed", "gone", "quarantined")
    summary = NightSummary(
        name="birds",
        cache="birds.headstart",
        results="birds.results",
        first=False,
        images=1120,
        quarantined=2,
        embedded=120,
        changes=NightChanges(
            120, 0, 3, 2, 120, {kind: [f"{kind}{number}.jpg" for number in range(2)] for kind in kinds}
        ),
        refitted=["the labelled images, their labels, splits or groups changed"],
        scores=[ScoreChange("fit", "accuracy", score, before, difference=difference, fell=True, remark=remark)],
        drifts=[NightDrift("fit", "resnet18-0123456789abcdef · penultimate", drift, 0.001, True, ["owl 10% → 40%"])],
        alerts=[],
        seconds=12.5,
    )
    return replace(summary, alerts=list_alerts(summary.scores, summary.drifts))


def test_the_command_prints_what_fits_a_screen_of_80_columns(
    night: NightSummary, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr("headstart.flows.nightly.hold_night", lambda *_, **__: night)
    with pytest.raises(SystemExit, match="0"):
        main(["nightly", "birds.toml"])
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    assert len(out.splitlines()) <= 24
    words = " ".join(out.split())
    assert words.startswith(
        "1120 images, 2 of them in quarantine; 120 rows were embedded. images 120 new, 0 changed, 3 gone"
    )
    assert "accuracy 90.0 % [88.0, 92.0] on 200 images, before 95.0 % [93.0, 97.0] on 200 images" in words
    assert "class mix owl 10% → 40%" in words
    assert "alert accuracy fell from 95.0 % to 90.0 %, by more than chance" in words
    assert "alert 120 new images drift from 1000 old ones of their classes (p = 0.001, alert below 0.01)" in words


@pytest.mark.parametrize(("options", "status"), [([], 0), (["--fail-on-alert"], 3), (["--fail-on-alert", "--json"], 3)])
def test_an_alert_is_an_exit_status_where_that_is_asked_for(
    night: NightSummary, monkeypatch: pytest.MonkeyPatch, options: list[str], status: int
) -> None:
    monkeypatch.setattr("headstart.flows.nightly.hold_night", lambda *_, **__: night)
    with pytest.raises(SystemExit, match=str(status)):
        main(["nightly", "birds.toml", *options])
    quiet = replace(night, alerts=[])
    monkeypatch.setattr("headstart.flows.nightly.hold_night", lambda *_, **__: quiet)
    with pytest.raises(SystemExit, match="0"):
        main(["nightly", "birds.toml", *options])


def test_the_page_has_the_numbers_of_the_night(night: NightSummary) -> None:
    page = night_page(night)
    assert "| new | 120 | new0.jpg, new1.jpg |" in page
    assert "-5.0 points \\[-8.0, -2.0\\] \\*\\*fell" not in page
    assert "-5.0 points \\[-8.0, -2.0\\], fell" in page


def test_a_night_that_somebody_should_look_at_ends_in_the_state_alert_and_any_night_leaves_one_page(
    photos: Path, tmp_path: Path, configured: dict[str, str], prefect_server: str
) -> None:
    for name in CLASSES:  # all of them as owls look, and darker
        for number in range(5):
            draw(tmp_path / "dark" / name / f"dark{number}.png", 2, seed=number + 10 * CLASSES.index(name))
    experiment = tmp_path / "birds.toml"
    experiment.write_text(EXPERIMENT)
    ran = run_forked("-c", PROGRAM, experiment, tmp_path / "dark", photos, env=configured)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == "[]\nTrue\n"
    runs = sorted(flow_runs_of(prefect_server, "Night Birds nightly"), key=lambda run: str(run["start_time"]))
    assert [(run["state_type"], run["state_name"]) for run in runs] == [
        ("COMPLETED", "Completed"),
        ("FAILED", "Alert"),
    ]
    assert runs[0]["state"]["message"] == "36 images; the first night: the next one compares with it."
    assert "15 new images drift from 36 old ones" in runs[1]["state"]["message"]
    mine = {"artifacts": {"key": {"any_": ["night-birds-night"]}}}
    pages = sorted(ask(prefect_server, "artifacts", mine), key=lambda page: str(page["created"]))
    assert [page["type"] for page in pages] == ["markdown", "markdown"]
    assert pages[0]["data"].startswith("# Night Birds: no alert\n")
    assert pages[1]["data"].startswith("# Night Birds: **Alert**\n")
