"""How long a report of many images takes to open, and to be labelled in: ``python benchmarks/bench_report.py``.

The page is the report's own, over made-up numbers: all images are on the map, a thousand of them and every mistake with
a picture of noise, which is larger than a photograph's. A headless Chromium, found as the tests find it, opens it from
the disk; its own clock (`PerformanceNavigationTiming`, from the start of the navigation to the end of the load event,
the page's script included) gives the time. A lasso is drawn round all images, and they are given one name.
"""

import argparse
import io
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from support.report_browser import CHROMIUM, Browser  # noqa: E402 - beside the tests, not installed
from support.report_example import everything, mistake, report_data  # noqa: E402 - beside the tests, not installed

from headstart.heads.report import Labelling, render_report  # noqa: E402 - of this checkout

N_CLASSES, N_FEATURES, MOST_PICTURED, MOST_MISTAKES = 10, 64, 1000, 600

OPENED = "(timing => timing.loadEventEnd - timing.startTime)(performance.getEntriesByType('navigation')[0])"
CORNERS = (
    "(() => { const svg = document.querySelector('#map-drawing svg'); svg.scrollIntoView({block: 'center'});"
    " const box = svg.getBoundingClientRect(), in_ = 3;"
    " return [[box.left + in_, box.top + in_], [box.right - in_, box.top + in_],"
    " [box.right - in_, box.bottom - in_], [box.left + in_, box.bottom - in_]]; })()"
)


def picture(generator: np.random.Generator, size: tuple[int, int]) -> bytes:
    """Make a JPEG of noise."""
    file = io.BytesIO()
    Image.fromarray(generator.integers(0, 256, (*size, 3), np.uint8)).save(file, "JPEG", quality=60)
    return file.getvalue()


def write_page(file: Path, n_images: int) -> None:
    """Write the report of so many made-up images."""
    generator = np.random.default_rng(0)
    labels = generator.integers(0, N_CLASSES, n_images)
    names = [f"class {number}" for number in range(N_CLASSES)]
    paths = [f"some/folder/of/photographs/{names[of]}/{at:08d}.jpg" for at, of in enumerate(labels)]
    small = [picture(generator, (72, 96)) if at < MOST_PICTURED else None for at in range(n_images)]
    wrong = [
        mistake(path=path, true=names[0], predicted=names[1], thumbnail=picture(generator, (96, 128)))
        for path in paths[:MOST_MISTAKES]
    ]
    given = everything() | {
        "class_names": names,
        "probability": None,
        "embedding": generator.normal(size=(N_CLASSES, N_FEATURES))[labels] * 3 + generator.normal(size=(n_images, 64)),
        "embedding_labels": labels,
        "embedding_is_test": np.arange(n_images) % 5 == 0,
        "embedding_right": generator.integers(-1, 2, n_images),
        "embedding_paths": paths,
        "embedding_thumbnails": small,
        "mistakes": wrong,
        "labelling": Labelling(
            file="photos-labels.csv",
            column="label",
            paths=paths,
            given=labels.tolist(),
            names=names,
            command="headstart fit photos.headstart --labels photos-labels.csv",
        ),
    }
    file.write_text(render_report(report_data(**given)), encoding="utf-8")


def measure(file: Path, folder: Path, n_images: int, rounds: int) -> dict[str, Any]:
    """Open the page several times, and label all of its images once."""
    browser = Browser(folder)
    try:
        opened = []
        for _ in range(rounds):
            browser.open(file)
            browser.wait(f"{OPENED} > 0")
            opened.append(browser.ask(OPENED) / 1000)
        corners = browser.ask(CORNERS)
        begun = time.perf_counter()
        browser.lasso(corners, shift=True)
        selected = browser.ask("labels.selected.size")
        lassoed = time.perf_counter()
        browser.focus("#label-name")
        browser.type("one name")
        browser.press("Enter")
        named = browser.ask("labels.decided.size")
        done = time.perf_counter()
        if not selected == named == n_images:
            raise SystemExit(f"{selected} of {n_images} images were selected, and {named} named; expected all of them")
        return {
            "images": n_images,
            "page_mb": round(file.stat().st_size / 1e6, 1),
            "open_s": round(statistics.median(opened), 3),
            "open_slowest_s": round(max(opened), 3),
            "lasso_s": round(lassoed - begun, 3),
            "name_s": round(done - lassoed, 3),
        }
    finally:
        browser.close()


def main(arguments: list[str] | None = None) -> None:
    """Measure, and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="print one object of JSON")
    asked = parser.parse_args(arguments)
    if CHROMIUM is None:
        parser.error("no Chromium is installed; install chromium, or google-chrome")
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "report.html"
        write_page(page, asked.images)
        (Path(folder) / "browser").mkdir()
        found = measure(page, Path(folder) / "browser", asked.images, asked.rounds)
    if asked.json:
        print(json.dumps(found))
    else:
        print("\n".join(f"{name:15} {value}" for name, value in found.items()))


if __name__ == "__main__":
    main()
