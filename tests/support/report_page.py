"""A report as a reader meets it: its tags and its words."""

import json
import pickle
import re
from html.parser import HTMLParser
from pathlib import Path

from support.report_example import report_data

import headstart.heads.report.page
from headstart.heads.report.page import render_report

CSS = (Path(headstart.heads.report.page.__file__).parent / "templates" / "page.css").read_text(encoding="utf-8")


class Page(HTMLParser):
    """Every tag with its attributes, and all text outside style sheets and scripts."""

    def __init__(self, html):
        super().__init__()
        self.tags = []
        self.text = ""
        self._inside = None
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self._inside = tag

    def handle_endtag(self, tag):  # noqa: ARG002 - the parser passes it
        self._inside = None

    def handle_data(self, data):
        if self._inside not in ("style", "script"):
            self.text += data

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


PAGES = {}


def rendered(data):
    """Return the report of these data; the same are drawn once, for that takes longer than what is asked of a page."""
    same = pickle.dumps(data)
    if same not in PAGES:
        PAGES[same] = render_report(data)
    return PAGES[same]


def page(**changes):
    return Page(rendered(report_data(**changes)))


def data_of(data):
    """Return what the page tells its script."""
    found = re.search(r'<script type="application/json" id="map-details">(.*?)</script>', rendered(data), re.DOTALL)
    return json.loads(found[1])


def words(**changes):
    return " ".join(page(**changes).text.split())
