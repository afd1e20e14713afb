"""Peak memory of an extraction, over a few images and over many: it must not grow with the image set.

Each size is embedded by a process of its own. The files are JPEGs of 16 × 16 pixels, each with its own content, and
the backbone is tiny, so that what is kept for each image would show. Batches are of one size and nothing is compiled:
either is decided by the number of images otherwise, and takes memory of its own.
"""

import argparse
import importlib
import io
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image

ROOT = Path(__file__).parent.parent
N_CLASSES = 10
BATCH = 16
MIB = 2**20


def make_images(folder: Path, count: int) -> Path:
    """Write `count` JPEG files in a folder per class: one small picture, with the number as its comment."""
    buffer = io.BytesIO()
    Image.radial_gradient("L").resize((16, 16)).convert("RGB").save(buffer, "JPEG")
    start, rest = buffer.getvalue()[:2], buffer.getvalue()[2:]
    for number in range(count):
        place = folder / f"class{number % N_CLASSES}"
        if number < N_CLASSES:
            place.mkdir(parents=True)
        (place / f"{number:07d}.jpg").write_bytes(start + b"\xff\xfe\x00\x0a" + f"{number:08d}".encode() + rest)
    return folder


def measure(images: Path, cache: Path) -> dict[str, Any]:
    """Embed in this process; returns the peak after its libraries were loaded, and after all, in bytes."""
    from headstart.flows.extraction import extract

    for name in ("backbones.registry", "extraction.extraction"):  # what `extract` imports when it finds something to do
        importlib.import_module(f"headstart.extractors.{name}")
    loaded = peak_bytes()
    summary = extract(images, "small_cnn", weights="none", cache=cache, batch_size=BATCH, compile="off")
    return {"embedded": summary.embedded, "seconds": summary.seconds, "loaded": loaded, "peak": peak_bytes()}


def peak_bytes() -> int:
    """Return the most memory that this process ever held."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    # Linux counts what the parent held as its child's, too, in ru_maxrss.
    (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def measure_alone(count: int) -> dict[str, Any]:
    """Call `measure` in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        images = make_images(Path(folder) / "images", count)
        command = [sys.executable, __file__, "--measure", str(images), "--cache", f"{folder}/cache"]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT)  # noqa: S603 - this very script
    found = dict(json.loads(done.stdout))
    if found["embedded"] != count:
        raise SystemExit(f"expected {count} images to be embedded, found {found['embedded']}")
    return found


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, nargs=2, default=[2000, 50_000], help="few and many (2000 50000)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    for internal in ("--measure", "--cache"):
        parser.add_argument(internal, type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.measure:
        print(json.dumps(measure(options.measure, options.cache)))
        return {}
    few, many = sorted(options.images)
    results = {str(count): measure_alone(count) for count in (few, many)}
    growth = results[str(many)]["peak"] - results[str(few)]["peak"]
    found = results | {
        "ratio": round(results[str(many)]["peak"] / results[str(few)]["peak"], 3),
        "bytes_an_image": round(growth / max(1, many - few)),
    }
    print(json.dumps(found, indent=1) if options.json else table(found))
    return found


def table(found: dict[str, Any]) -> str:
    """Write the figures for people."""
    lines = [
        f"{count:>7} images  peak {one['peak'] / MIB:>5.0f} MiB ({one['loaded'] / MIB:.0f} MiB of it before the first "
        f"image is listed)  {one['seconds']:.0f} s"
        for count, one in found.items()
        if isinstance(one, dict)
    ]
    return "\n".join([*lines, f"ratio {found['ratio']}: {found['bytes_an_image']} bytes for each image more"])


if __name__ == "__main__":
    main()
