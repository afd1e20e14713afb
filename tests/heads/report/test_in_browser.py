import html
import json
import re
import shutil
import subprocess
from dataclasses import replace

import numpy as np
import pytest
from support.report_example import candidate, everything, history, mistake, report_data

from headstart.heads.report.exhibits import Curve
from headstart.heads.report.page import render_report

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")

FLAGS = (
    "--headless",
    "--no-sandbox",  # root in a container has none
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--enable-logging=stderr",
    "--dump-dom",
)
DARK = "--blink-settings=preferredColorScheme=0"
WIDTHS = (320, 390, 1280)
HOSTILE = "<script>top.pwned = 1</script><img src=x onerror='top.pwned = 1'>"
LONG = "x" * 300

# Runs in a page around the report, which forbids scripts. A window cannot be as narrow as a phone; a frame can.
PROBE = """
const results = {};
for (const frame of document.querySelectorAll("iframe")) {
  const page = frame.contentDocument, root = page.documentElement;
  const middle = element => { const box = element.getBoundingClientRect(); return box.x + box.width / 2; };
  results[frame.width] = {
    shown: root.clientWidth,
    needed: Math.max(root.scrollWidth, page.body.scrollWidth),
    scripts: page.querySelectorAll("script").length,
    broken: [...page.images].filter(image => !image.naturalWidth).length,
    images: page.images.length,
    ticks: [...page.querySelectorAll(".axis > div > span")].map(middle),
    lines: [...page.querySelector("tbody .plot").querySelectorAll(".tick")].map(middle),
    page: frame.contentWindow.getComputedStyle(root).backgroundColor,
    ink: frame.contentWindow.getComputedStyle(page.querySelector(".chart text")).fill,
    cut: [...page.querySelectorAll("h1, p, dd, figcaption, li, summary")]
      .filter(element => element.scrollWidth > element.clientWidth + 1).map(element => element.textContent.trim()),
  };
}
results.pwned = window.pwned ?? null;
document.getElementById("results").textContent = JSON.stringify(results);
"""


def look_at(report, folder, *flags):
    """Open a report in frames of several widths; return what the probe saw, and what the browser complained of."""
    frames = "".join(
        f'<iframe width="{width}" height="900" srcdoc="{html.escape(report)}"></iframe>' for width in WIDTHS
    )
    around = folder / "around.html"
    around.write_text(
        f"<!doctype html><meta charset='utf-8'>{frames}<pre id='results'></pre>"
        f"<script>window.onload = () => {{ {PROBE} }}</script>",
        encoding="utf-8",
    )
    command = [CHROMIUM, *FLAGS, f"--user-data-dir={folder / 'profile'}", *flags, around.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    seen = json.loads(html.unescape(re.search(r'<pre id="results">(.*?)</pre>', done.stdout, re.DOTALL)[1]))
    complaints = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return seen, complaints


@pytest.fixture(scope="module")
def crowded(tmp_path_factory):
    """Return what is seen of a page where everything that can be long or hostile is."""
    rng = np.random.default_rng(0)
    rows = [candidate("logreg", 0.95 - i / 100, backbone=LONG, C=float(i)) for i in range(20)]
    parts = everything(HOSTILE, LONG) | {"embedding_paths": [], "embedding_thumbnails": [], "embedding_right": None}
    names = [f"{HOSTILE} {LONG} {number}" for number in range(25)]
    report = render_report(
        report_data(
            title=LONG,
            test_name=LONG,
            notes=[LONG, HOSTILE],
            class_names=names,
            leaderboard=[*rows, replace(candidate("lda", None), error=LONG)],
            winner=rows[0],
            probability=None,
            embedding=rng.normal(size=(25, 2)),
            embedding_labels=np.arange(25),
            embedding_is_test=rng.random(25) < 0.5,
            mistakes=[mistake(path=f"{LONG}/{LONG}", true=HOSTILE, predicted=LONG)] * 3,
            curves=[Curve(LONG, history(0.9, 0.4))],
            provenance=[(LONG, LONG), ("command", HOSTILE)],
            **parts,
        )
    )
    return look_at(report, tmp_path_factory.mktemp("crowded"))


@pytest.fixture(scope="module")
def dark(tmp_path_factory):
    return look_at(render_report(report_data()), tmp_path_factory.mktemp("dark"), DARK)


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_overflows_the_page(crowded, width):
    seen = crowded[0][str(width)]

    assert seen["shown"] == width
    assert seen["needed"] <= width


@pytest.mark.parametrize("width", WIDTHS)
def test_no_text_is_wider_than_its_place(crowded, width):
    assert crowded[0][str(width)]["cut"] == []


def test_hostile_names_run_nothing(crowded):
    assert crowded[0]["pwned"] is None
    assert crowded[0]["390"]["scripts"] == 2  # the page's own, and what it is told


def test_thumbnails_are_shown_under_the_policy_of_the_page(crowded):
    assert (crowded[0]["390"]["images"], crowded[0]["390"]["broken"]) == (10, 0)


def test_the_browser_has_nothing_to_complain_of(crowded):
    assert crowded[1] == []


@pytest.mark.parametrize("width", [str(width) for width in WIDTHS])
def test_the_ticks_of_the_axis_stand_over_their_lines(dark, width):
    assert dark[0][width]["ticks"] == pytest.approx(dark[0][width]["lines"], abs=1)


def test_in_the_dark_the_page_is_dark_and_the_charts_are_written_in_light(dark):
    assert dark[0]["1280"]["page"] == "rgb(20, 23, 26)"
    assert dark[0]["1280"]["ink"] == "rgb(232, 234, 237)"


def test_in_the_light_the_page_is_white_and_the_charts_are_written_in_dark(crowded):
    assert crowded[0]["1280"]["page"] == "rgb(255, 255, 255)"
    assert crowded[0]["1280"]["ink"] == "rgb(26, 29, 33)"
