"""Guided transfer learning beside its three controls, on three bodies, and what a guided step costs.

- The small encoder, from pixels: pre-trained on the digits 0–4 of scikit-learn, scouts on pairs of these, target 5–9.
- Hidden layers of a perceptron on features of mobilenet_v2 (with --weights): the same digits.
- The tail of mobilenet_v2 on photographs (with --weights and images): scouts on pairs of clusters of the photographs
  themselves, without their labels; the photographs that are scored are left out of the source.

Each is run with every temperature that is asked for. Then a step of each network is timed with a guide and without,
alternating, and the median of the ratios is printed.
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

WEIGHTS = "mobilenet_v2-imagenet.pth"
LAYER = "features.18"
BODIES = ["encoder", "perceptron", "tail"]


def write_digits(folder: Path) -> tuple[Path, Path]:
    """Write scikit-learn's digits as PNG files: 0–4 as the source, 5–9 as the target."""
    from PIL import Image
    from sklearn.datasets import load_digits

    digits = load_digits()
    for number, (pixels, label) in enumerate(zip(digits.images, digits.target, strict=True)):
        place = folder / ("source" if label < 5 else "target") / str(label)
        place.mkdir(parents=True, exist_ok=True)
        image = Image.fromarray((pixels * (255 / 16)).astype(np.uint8))
        image.resize((32, 32), Image.Resampling.BICUBIC).save(place / f"{number:04d}.png")
    return folder / "target", folder / "source"


def digits_from_pixels(room: Path) -> dict[str, Any]:
    """Embed the digits by the small encoder, pre-trained on the source; returns how to call the job."""
    from headstart.flows import extract
    from headstart.flows.demo import pretrain_on_digits

    target, source = write_digits(room / "encoder")
    pretrain_on_digits(source, room / "encoder.safetensors")
    by = {"weights": str(room / "encoder.safetensors"), "precision": "fp32"}
    caches = [extract(one, "small_cnn", cache=room / f"{one.name}.encoder", **by).cache for one in (target, source)]
    return {"cache": caches[0], "source": caches[1], "from_layer": "pixels", "test_size": 0.5}


def digits_on_features(room: Path, weights: Path) -> dict[str, Any]:
    """Embed the digits by mobilenet_v2; returns how to call the job."""
    from headstart.flows import extract

    by = {"weights": str(weights / WEIGHTS), "precision": "fp32"}
    folders = write_digits(room / "features")
    caches = [extract(one, "mobilenet_v2", cache=room / f"{one.name}.features", **by).cache for one in folders]
    return {"cache": caches[0], "source": caches[1], "test_size": 0.5}


def photographs_by_tail(images: Path, room: Path, weights: Path) -> dict[str, Any]:
    """Embed photographs by mobilenet_v2; returns how to call the job: they are their own source, in clusters."""
    from headstart.flows import extract

    by = {"weights": str(weights / WEIGHTS), "precision": "fp32"}
    cache = extract(images, "mobilenet_v2", cache=room / "photographs", **by).cache
    return {"cache": cache, "source": cache, "clusters": 8, "from_layer": LAYER}


def compare(given: dict[str, Any], temperature: str, options: argparse.Namespace, room: Path) -> dict[str, Any]:
    """Run the job once."""
    from headstart.flows.transfer.guidance import guide

    by = {"shots": options.shots, "draws": options.draws, "scouts": options.scouts, "temperature": temperature}
    found = guide(given["cache"], out=room / "guides", **by, **{k: v for k, v in given.items() if k != "cache"})
    return {
        "body": found.body,
        "images": found.images,
        "mean_share": round(statistics.fmean(found.shares.values()), 3),
        "seconds": found.seconds,
        "verdict": found.verdict,
        "rows": found.to_pandas().drop(columns="tests").to_dict("records"),
        "tests": [vars(test) for row in found.rows for test in row.tests],
    }


def cost_of_a_step(given: dict[str, Any], n_steps: int) -> dict[str, float]:
    """Time steps with a guide and without, alternating; returns both medians and the median ratio."""
    import torch

    from headstart.extractors.cache import EmbeddingCache
    from headstart.flows.transfer.guidance import GuideOptions
    from headstart.flows.transfer.guidance.bodies import open_sides
    from headstart.heads.finetuning.training import take_step
    from headstart.heads.neural import share_steps

    options = GuideOptions(**{name: value for name, value in given.items() if name not in ("cache", "source")})
    sides = open_sides(EmbeddingCache(given["cache"]), EmbeddingCache(given["source"]), options)
    rows = torch.from_numpy(np.array(sides.target_rows[np.arange(32)], np.float32))
    codes, taken = torch.arange(32) % 2, []
    for guided in (False, True):
        network: Any = sides.body.build(2, 0)  # type: ignore[attr-defined]  # both bodies here are networks
        parameters = [one.requires_grad_(True) for one in network.parameters()]
        optimizer = torch.optim.SGD(parameters, lr=0.003, momentum=0.9)
        if guided:
            share_steps(optimizer, parameters, [torch.rand_like(one) for one in parameters])
        taken.append(lambda network=network, optimizer=optimizer: take_step(network, optimizer, rows, codes))
    seconds = []
    for _ in range(n_steps):
        one = []
        for step in taken:
            started = time.process_time()  # a busy machine would be timed, too
            step()
            one.append(time.process_time() - started)
        seconds.append(one)
    plain, guided_one = np.median(seconds[2:], axis=0).tolist()
    ratio = float(np.median([guided / own for own, guided in seconds[2:]]))
    return {"ms": round(1000 * plain, 2), "guided_ms": round(1000 * guided_one, 2), "ratio": round(ratio, 3)}


def show(found: dict[str, Any]) -> None:
    """Print tables for people, 80 columns wide."""
    for name, by_temperature in found["sets"].items():
        for temperature, one in by_temperature.items():
            print(f"\n{name}, {temperature}: {one['body']}, mean share {one['mean_share']}, {one['seconds']:.0f} s")
            print(f"{'shots':>6}{'guided':>9}" + "".join(f"{arm:>20}" for arm in ("unguided", "shuffled", "constant")))
            for row in one["rows"]:
                tests = [test for test in one["tests"] if test["shots"] == row["shots"]]
                beside = "".join(
                    f"{100 * row[test['control']]:>8.1f} {100 * test['difference']:>+5.1f} {test['p_value']:.3f}"
                    for test in tests
                )
                print(f"{row['shots']:>6}{100 * row['guided']:>9.1f}{beside}")
            print(one["verdict"])
    for name, cost in found["steps"].items():
        print(f"\na step of {name}: {cost['ms']} ms, guided {cost['guided_ms']} ms, ratio {cost['ratio']}")


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", nargs="*", type=Path, help="photographs of two classes or more")
    parser.add_argument("--weights", type=Path, help=f"folder with {WEIGHTS}")
    parser.add_argument("--temperatures", nargs="+", default=["room", "warm"])
    parser.add_argument("--shots", nargs="+", type=int, default=[1, 5])
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--scouts", type=int, default=10)
    parser.add_argument("--steps", type=int, default=40, help="pairs of steps that are timed")
    parser.add_argument("--bodies", nargs="+", default=BODIES, choices=BODIES)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        room = Path(folder)
        given = {"digits, encoder": digits_from_pixels(room)} if "encoder" in options.bodies else {}
        if options.weights and "perceptron" in options.bodies:
            given["digits, perceptron"] = digits_on_features(room, options.weights)
        if options.weights and "tail" in options.bodies:
            given |= {f"{one.name}, tail": photographs_by_tail(one, room, options.weights) for one in options.images}
        found: dict[str, Any] = {
            "sets": {
                name: {heat: compare(one, heat, options, room) for heat in options.temperatures}
                for name, one in given.items()
            },
            "steps": {name: cost_of_a_step(one, options.steps) for name, one in given.items() if "from_layer" in one},
        }
    print(json.dumps(found, indent=1)) if options.json else show(found)
    return found


if __name__ == "__main__":
    main()
