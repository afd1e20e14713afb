"""What a page that is passed around must keep: it loads nothing, runs no foreign code, and everyone can read it."""

import base64
import hashlib
import os
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.report_example import candidate, everything, history, mistake, report_data
from support.report_page import CSS, data_of, page

import headstart.heads.report.page
from headstart.heads.report.exhibits import Curve
from headstart.heads.report.page import render_report

HOSTILE = "<script>window.pwned = 1</script>\"'><img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def hostile():
    rows = [candidate(HOSTILE, 0.9, backbone=HOSTILE, C=HOSTILE), replace(candidate("lda", None), error=HOSTILE)]
    return page(
        title=HOSTILE,
        class_names=[HOSTILE, "bees"],
        test_name=HOSTILE,
        selection=HOSTILE,
        notes=[HOSTILE],
        leaderboard=rows,
        winner=rows[0],
        mistakes=[mistake(path=HOSTILE, true=HOSTILE, predicted=HOSTILE)],
        curves=[Curve(HOSTILE, history(0.5, 0.4))],
        provenance=[(HOSTILE, HOSTILE)],
        **everything(HOSTILE, HOSTILE),
    )


def test_hostile_names_are_shown_as_text(hostile):
    assert hostile.text.count(HOSTILE) > 25


def test_hostile_names_add_no_element_and_no_handler(hostile, plain):
    full = page(**everything())

    assert {tag for tag, _ in hostile.tags} <= {tag for tag, _ in full.tags}
    assert len(hostile.all("script")) == len(plain.all("script")) == 2
    assert not [name for _, attributes in hostile.tags for name in attributes if name.startswith("on")]


def test_nothing_is_loaded_from_anywhere(hostile):
    links = [attributes.get(name, "#") for _, attributes in hostile.tags for name in ("src", "href", "xlink:href")]
    beside = {"model", "predictions.csv"}  # what a reader may go to

    assert {link for link in links if not link.startswith(("data:image/", "#"))} == beside
    assert "url(" not in CSS
    assert "@import" not in CSS


def test_hostile_names_reach_the_script_as_data():
    html = render_report(report_data(class_names=[HOSTILE, "bees"], **everything(path="</script>" + HOSTILE)))

    assert html.count("</script>") == 2
    details = data_of(report_data(class_names=[HOSTILE, "bees"], **everything(path="</script>" + HOSTILE)))
    assert (details["classes"][0], details["paths"][0]) == (HOSTILE, f"</script>{HOSTILE}0")


def test_the_policy_allows_inline_style_embedded_images_and_the_one_script_that_is_ours(plain):
    (policy,) = (meta["content"] for meta in plain.all("meta") if meta.get("http-equiv") == "Content-Security-Policy")

    folder = Path(headstart.heads.report.page.__file__).parent / "templates"
    script = b"\n".join((folder / name).read_bytes() for name in ("labels.js", "map.js", "page.js"))
    digest = base64.b64encode(hashlib.sha256(script).digest()).decode()
    assert policy == f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'sha256-{digest}'"


def test_ids_are_unique_and_links_lead_somewhere():
    curves = [Curve("mlp", history(0.5, 0.4))] * 3
    tags = page(curves=curves, **everything()).tags
    ids = Counter(attributes["id"] for _, attributes in tags if "id" in attributes)

    assert max(ids.values()) == 1
    inside = {attributes["href"] for tag, attributes in tags if tag == "a" and attributes["href"].startswith("#")}
    assert {link.removeprefix("#") for link in inside} <= set(ids)
    assert {attributes.get("aria-labelledby") for tag, attributes in tags if tag == "section"} <= set(ids)


def test_a_path_that_is_no_utf8_can_be_written():
    path = os.fsdecode(b"val/ants/\xff.jpg")

    page_bytes = render_report(report_data(mistakes=[mistake(path=path)], class_names=[path, "bees"])).encode("utf-8")

    assert b"val/<wbr>ants/<wbr>\\udcff.jpg" in page_bytes


def test_a_page_of_ten_thousand_points_with_a_thousand_pictures_stays_below_six_megabytes(monkeypatch):
    rng = np.random.default_rng(0)
    monkeypatch.setattr(headstart.heads.report.page, "project", lambda embedding: rng.normal(size=(len(embedding), 2)))

    html = render_report(
        report_data(
            mistakes=[mistake(thumbnail=rng.bytes(3000))] * 400 + [mistake(thumbnail=None)] * 600,
            embedding=np.zeros((10_000, 4)),
            embedding_labels=rng.integers(0, 2, 10_000),
            embedding_is_test=rng.random(10_000) < 0.3,
            embedding_paths=[f"train/bees/photograph-{number:05d}.jpg" for number in range(10_000)],
            embedding_thumbnails=[rng.bytes(2000)] * 1000 + [None] * 9000,
            embedding_right=rng.integers(-1, 2, 10_000),
        )
    )

    assert len(html.encode()) < 6_000_000


def test_figures_speak_or_are_hidden_from_readers_who_cannot_see():
    plain = page(**everything())
    outer = [svg for svg in plain.all("svg") if svg.get("class") != "mark"]

    assert all(svg.get("aria-label") or svg.get("aria-hidden") == "true" for svg in outer)
    assert all(image["alt"] for image in plain.all("img"))
    assert plain.all("img")


def test_table_headers_say_what_they_head():
    plain = page(**everything())
    assert plain.all("th")
    assert all(header["scope"] in {"col", "row"} for header in plain.all("th"))


def test_there_is_one_top_heading_and_one_of_each_landmark(plain):
    assert [len(plain.all(tag)) for tag in ("h1", "main", "header", "footer", "nav")] == [1, 1, 1, 1, 1]


def colours_of(theme):
    """Return the custom properties of the light (first) or dark (second) theme."""
    block = re.findall(r":root \{([^}]*)\}", CSS)[("light", "dark").index(theme)]
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block))


def luminance(colour):
    channels = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(
    ("text", "ground"),
    [
        *((text, "page") for text in ("ink", "soft", "accent", "honest", "failure")),
        *((text, "raised") for text in ("ink", "soft", "accent")),
        *((text, "honest-page") for text in ("ink", "soft", "honest")),
    ],
)
def test_text_has_the_contrast_of_wcag_aa(theme, text, ground):
    colours = colours_of(theme)
    darker, lighter = sorted((luminance(colours[text]), luminance(colours[ground])))

    assert (lighter + 0.05) / (darker + 0.05) >= 4.5


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("ground", ["page", "raised"])
def test_edges_of_what_can_be_used_have_the_contrast_of_wcag_aa(theme, ground):
    darker, lighter = sorted(luminance(colours_of(theme)[name]) for name in ("edge", ground))

    assert (lighter + 0.05) / (darker + 0.05) >= 3
