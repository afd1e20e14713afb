"""Picture of a report in the README, made anew from real photographs: ``python benchmarks/picture.py DATA``.

DATA holds ``data/hymenoptera`` (398 photographs of ants and bees) and ``weights/mobilenet_v2-imagenet.pth``, which are
no part of the repository. The report is looked at by a headless Chromium, found as the tests find it.
"""

import argparse
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from support.report_browser import CHROMIUM, Browser  # noqa: E402 - beside the tests, not installed

from headstart import extract, fit  # noqa: E402 - of this checkout

WIDTH, HEIGHT = 1280, 1400
HEADS = ["logreg", "knn", "ridge", "svm-rbf", "dummy"]
_SHOWS_SECTIONS = "document.querySelector('#map').scrollHeight > 0"


def make_report(data: Path, folder: Path) -> Path:
    """Embed the photographs, fit some heads on them, and return where the report is."""
    weights = str(data / "weights" / "mobilenet_v2-imagenet.pth")
    found = extract(
        data / "data" / "hymenoptera", "mobilenet_v2", weights=weights, cache=folder / "hymenoptera.headstart"
    )
    return Path(fit(found.cache, HEADS, out=folder / "hymenoptera.results").report)


def take_picture(report: Path, file: Path, folder: Path) -> None:
    """Take a picture of the top of a report."""
    browser = Browser(folder)
    try:
        browser.open(report.resolve(), WIDTH, HEIGHT)
        browser.wait(_SHOWS_SECTIONS)
        browser.picture(file, whole=False)
    finally:
        browser.close()


def main() -> None:
    """Make the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with data/hymenoptera and weights/")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "report.png")
    asked = parser.parse_args()
    if CHROMIUM is None:
        parser.error("no Chromium is installed; install chromium, or google-chrome")
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "browser").mkdir()
        take_picture(make_report(asked.data, Path(folder)), asked.out, Path(folder) / "browser")


if __name__ == "__main__":
    main()
