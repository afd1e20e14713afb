"""The page of a night in its results folder: one HTML file without scripts, with the images that drift."""

import base64
from dataclasses import replace
from html import escape
from pathlib import Path

from headstart.extractors.atomic import make_folder, write_atomically
from headstart.extractors.images import image_sources
from headstart.extractors.listing import CacheListing
from headstart.extractors.spec import Range, Whole
from headstart.flows.nightly.drift import NightDrift
from headstart.flows.nightly.summary import NightSummary
from headstart.flows.nightly.text import night_lines
from headstart.flows.reporting import read_thumbnails

PAGE = "night.html"

_SIZE = 112  # pixels of a picture's longest side

_STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
p, li { overflow-wrap: anywhere; }
li.alert { color: #c22; font-weight: 600; }
figure { display: inline-block; width: 7.5rem; margin: 0 0.5rem 1rem 0; vertical-align: top; }
figure img, figure span { width: 7rem; height: 7rem; object-fit: contain; background: #8882; display: block; }
figcaption { font-size: 0.75rem; line-height: 1.3; overflow-wrap: anywhere; }
"""


def write_page(night: NightSummary, listing: CacheListing, ends: Range | Whole = "whole") -> None:
    """Write the page of a night into its results folder, in place of the last one's; `ends` are as the key's range.

    Raises
    ------
    CacheError
        The folder cannot be written.
    """
    drifting = [drift for drift in night.drifts if drift.drifts]
    paths = list(dict.fromkeys(path for drift in drifting for path in drift.farthest))
    rows = listing.usable.set_index("path", drop=False).loc[paths]
    pictures = read_thumbnails(listing.root, image_sources(rows), _SIZE, ends)
    folder = Path(night.results)
    make_folder(folder)
    write_atomically(folder / PAGE, render_night(night, dict(zip(paths, pictures, strict=True))).encode())


def render_night(night: NightSummary, pictures: dict[str, bytes | None]) -> str:
    """Return the page.

    Parameters
    ----------
    night : NightSummary
    pictures : dict of str to bytes or None
        A JPEG of each image that is shown, by its path; None where it can no longer be read.
    """
    title = escape(f"{night.name}: {'alert' if night.alerts else 'no alert'}")
    alerts = "".join(f'<li class="alert">{escape(alert)}</li>\n' for alert in night.alerts)
    lines = "".join(f"<p>{escape(line)}</p>\n" for line in (*night_lines(replace(night, page="")), *night.notes))
    shown = "".join(_section(drift, pictures) for drift in night.drifts if drift.drifts)
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>{title}</title>\n'
        f"<style>{_STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n<ul>\n{alerts}</ul>\n{lines}{shown}"
        "</body>\n</html>\n"
    )


def _section(drift: NightDrift, pictures: dict[str, bytes | None]) -> str:
    figures = "\n".join(_figure(path, pictures[path]) for path in drift.farthest)
    head = f"{drift.name}: new images that are least like any old one"
    return f"<h2>{escape(head)}</h2>\n{figures}\n"


def _figure(path: str, picture: bytes | None) -> str:
    image = "<span>cannot be read</span>"
    if picture is not None:
        image = f'<img alt="" src="data:image/jpeg;base64,{base64.b64encode(picture).decode()}">'
    return f"<figure>{image}<figcaption>{escape(path)}</figcaption></figure>"
