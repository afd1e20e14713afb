"""A template of this wing, filled in."""

from base64 import b64encode
from functools import cache
from hashlib import sha256
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

_FOLDER = Path(__file__).parent / "templates"


@cache
def _environment() -> Environment:
    """Environment of all templates, which compiles each once: that takes as long as a chart."""
    # FileSystemLoader and not PackageLoader, which would look for them beside a package that is imported by their name.
    return Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def part(name: str) -> str:
    """Text of a style sheet or script."""
    return (_FOLDER / name).read_text(encoding="utf-8")


def script_digest(script: str) -> str:
    """Digest by which a page's policy allows a script, and no other."""
    return b64encode(sha256(script.encode()).digest()).decode("ascii")


def render(template: str, /, **values: object) -> str:
    """Page of a template with these values, in the page's style; the same values give the same text."""
    page = _environment().get_template(template).render(values, css=part("page.css"))
    # A path that is no UTF-8 reaches Python as lone surrogates, which cannot be written: show them as \udcff.
    return page.encode("utf-8", "backslashreplace").decode("utf-8")
