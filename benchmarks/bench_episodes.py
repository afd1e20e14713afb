"""Few-shot episodes on real features: every method beside the plain mean, random weights and chance, and their time.

Encoders are read from a folder of weights as in `bench_rank.py`; a mobilenet_v2 with random weights stands beside. Of
each set of images all layers are scored on the same episodes. Both sides of the time are measured in turn on the first
layer: all episodes of the nearest class mean in batched products, and the same episodes one by one with scikit-learn.
"""

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from bench_rank import embed, over_sets, parser_of_sets


def one_by_one(X: np.ndarray, drawn: Any, shots: int) -> np.ndarray:
    """Return the accuracy of the nearest class mean in each episode, a fit at a time."""
    from sklearn.neighbors import NearestCentroid

    _, ways, each = drawn.images.shape
    truth = np.repeat(np.arange(ways), each - max(drawn.shots))
    shares = []
    for images in drawn.images:
        head = NearestCentroid().fit(X[images[:, :shots].ravel()], np.repeat(np.arange(ways), shots))
        shares.append((head.predict(X[images[:, max(drawn.shots) :].ravel()]) == truth).mean())
    return np.array(shares)


def compare_times(cache: Path, count: int) -> dict[str, Any]:
    """Time both ways on the same episodes, and return how far their means are apart."""
    from headstart.extractors.cache import EmbeddingCache
    from headstart.flows.problem import pose_problem
    from headstart.heads.transfer.episodes import METHODS, draw_episodes, score_episodes

    problem = pose_problem(EmbeddingCache(cache))
    X = np.asarray(problem.embedded[0].features.take(np.arange(len(problem.y))), np.float32)
    drawn = draw_episodes(problem.y, problem.groups, ways=5, shots=(5,), queries=15, count=count)
    started = time.perf_counter()
    (batched,) = score_episodes(X, problem.y, drawn, methods=METHODS[:1])
    between = time.perf_counter()
    single = one_by_one(X, drawn, 5)
    ended = time.perf_counter()
    return {
        "episodes": count,
        "batched_seconds": round(between - started, 2),
        "one_by_one_seconds": round(ended - between, 2),
        "apart": round(float(np.abs(batched.shares - single).max()), 4),
    }


def measure(images: Path, weights: Path, room: Path, count: int) -> dict[str, Any]:
    """Embed one set and score its episodes."""
    from headstart.flows import extract
    from headstart.flows.transfer.episodes import episodes

    cache = room / f"{images.name}.headstart"
    embed(images, weights, cache)
    extract(images, "mobilenet_v2", weights="none", cache=cache, precision="fp32")
    ways = min(5, len({path.parent.name for path in images.rglob("*.*")}))
    started = time.perf_counter()
    found = episodes(cache, ways=ways, shots=(1, 5), count=count, out=room / "episodes")
    return {
        "images": found.images,
        "ways": ways,
        "chance": found.chance,
        "episodes": found.episodes,
        "seconds": round(time.perf_counter() - started, 1),
        "findings": found.findings,
        "rows": [
            {
                "layer": " · ".join(row.layer),
                "shots": row.shots,
                "method": row.method,
                "accuracy": round(row.accuracy, 4),
                "half_width": round(row.half_width, 4),
                "gain": None if row.gain is None else round(row.gain, 4),
            }
            for row in found.rows
        ],
        "time": compare_times(cache, count) if ways == 5 else None,
    }


def show(results: dict[str, dict[str, Any]]) -> None:
    """Print tables for people."""
    for name, found in results.items():
        print(
            f"{name}: {found['episodes']} episodes of {found['ways']} ways on {found['images']} images, all layers in"
        )
        print(f"{found['seconds']} s; chance {100 * found['chance']:.1f} %")
        methods = list(dict.fromkeys(row["method"] for row in found["rows"]))
        for shots in (1, 5):
            print(f"{shots} of a class".ljust(52) + "".join(f"{method:>11}" for method in methods))
            for layer in dict.fromkeys(row["layer"] for row in found["rows"]):
                own = {row["method"]: row for row in found["rows"] if (row["layer"], row["shots"]) == (layer, shots)}
                print(layer.ljust(52) + "".join(f"{100 * own[method]['accuracy']:>11.1f}" for method in methods))
        print(*found["findings"], sep="\n")
        if found["time"]:
            print(found["time"])


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Run the benchmark from the command line."""
    parser = parser_of_sets(__doc__, digits=1797)
    parser.add_argument("--count", type=int, default=2000, help="episodes (2000)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)
    results = over_sets(options, lambda one, folder: measure(one, options.weights, folder, options.count))
    print(json.dumps(results, indent=1)) if options.json else show(results)
    return results


if __name__ == "__main__":
    main()
