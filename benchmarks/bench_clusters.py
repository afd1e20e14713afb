"""Choice of a layer without labels, names of clusters by a few labels, and fewer dimensions, each beside its control.

Encoders are read from a folder of weights as in `bench_rank.py`; a mobilenet_v2 with random weights stands beside. The
labels of each set are looked at only to score: the adjusted Rand index of k-means with as many clusters as classes. Of
the layers, the order by stability is held against that, beside the last layer, a layer drawn at random, and the best
silhouette. Names: the share of the images without a label that the names of clusters tell right, beside the nearest
labelled image and the nearest class mean with the same labels. Dimensions: what `headstart reduce` prints.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
from bench_rank import embed, over_sets, parser_of_sets
from scipy.stats import kendalltau

FEW = (2, 5, 10, 20)
"""Clusters, of which a layer has the best silhouette."""


def layers_of(cache: Path, seed: int) -> list[dict[str, Any]]:
    """Return stability, silhouette and agreement with the labels of each layer."""
    from headstart.extractors.cache import EmbeddingCache
    from headstart.flows.exploring.clusters import choose_layer
    from headstart.flows.problem import pose_problem
    from headstart.heads.analysis import agreement, cluster_by_kmeans, reduce_features

    problem = pose_problem(EmbeddingCache(cache))
    _, ranked = choose_layer(problem.embedded, problem.groups, [], seed=seed, progress=False)
    found, n_classes = [], len(problem.class_names)
    for row in ranked:
        X = np.asarray(problem.find(row.key, row.tap).features.take(np.arange(len(problem.y))), np.float32)
        reduced = reduce_features(X, len(X), seed=seed)
        (true,) = cluster_by_kmeans(reduced, [n_classes], seed)
        best = cluster_by_kmeans(reduced, FEW, seed)[0]
        found.append(
            {
                "layer": f"{row.label} · {row.tap}",
                "last": row.tap == "penultimate",
                "random": row.random,
                "gain": row.gain,
                "stability": row.stability,
                "silhouette": best.silhouette,
                "ari": agreement(true.clusters, problem.y)[0],
            }
        )
    return found


def score_orders(layers: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Return Kendall's τ with the agreement, and the agreement of the layer that is taken, for each way to choose."""
    trained = [one for one in layers if not one["random"]]
    ari = np.array([one["ari"] for one in trained])
    found = {}
    for name in ("gain", "stability", "silhouette", "last"):
        values = np.array([float(one[name]) for one in trained])
        found[name] = {
            "tau": round(float(kendalltau(values, ari).statistic), 2),
            "ari": round(float(ari[values == values.max()].mean()), 3),
        }
    return found | {
        "a layer at random": {"tau": 0.0, "ari": round(float(ari.mean()), 3)},
        "the best layer": {"tau": 1.0, "ari": round(float(ari.max()), 3)},
    }


def name_images(cache: Path, key: str, tap: str, each: int, draws: int) -> dict[str, float]:
    """Return the share of unlabelled images told right by names, by the nearest labelled image, and by class means."""
    from headstart.extractors.cache import EmbeddingCache
    from headstart.flows.problem import pose_problem
    from headstart.heads.analysis import KS, cluster_by_kmeans, reduce_features
    from headstart.heads.registry import find_head
    from headstart.heads.transfer.clusters import name_clusters

    problem = pose_problem(EmbeddingCache(cache), keys=[key])
    X = np.asarray(problem.find(key, tap).features.take(np.arange(len(problem.y))), np.float32)
    clusters = cluster_by_kmeans(reduce_features(X, len(X)), KS)[0].clusters
    numbers = {name: str(code) for code, name in enumerate(problem.class_names)}
    totals: dict[str, list[float]] = {"named": [], "right of named": [], "knn": [], "centroid": []}
    for seed in range(draws):
        rng = np.random.default_rng(seed)
        own = np.concatenate([rng.permutation(np.flatnonzero(problem.y == code))[:each] for code in set(problem.y)])
        labels = np.full(len(X), -1)
        labels[own] = problem.y[own]
        rest = np.flatnonzero(labels < 0)
        names = [one.name for one in name_clusters(clusters, labels, problem.groups, problem.class_names)]
        given = np.array([-1 if names[c] is None else int(numbers[names[c]]) for c in clusters])[rest]
        totals["named"].append(float((given >= 0).mean()))
        totals["right of named"].append(
            float((given == problem.y[rest])[given >= 0].mean()) if (given >= 0).any() else 0.0
        )
        for head, params in (("knn", {"n_neighbors": 1}), ("centroid", {})):
            fitted = find_head(head).make(params, 0).fit(X[own], problem.y[own])
            totals[head].append(float((fitted.predict(X[rest]) == problem.y[rest]).mean()))
    return {name: round(float(np.mean(values)), 3) for name, values in totals.items()} | {"labels": each}


def measure(images: Path, weights: Path, room: Path, seed: int) -> dict[str, Any]:
    """Run all three on one set."""
    from headstart.extractors.cache import EmbeddingCache
    from headstart.flows import extract
    from headstart.flows.exploring.reduction import reduce
    from headstart.flows.problem import pose_problem

    cache = room / f"{images.name}.headstart"
    embed(images, weights, cache)
    extract(images, "mobilenet_v2", weights="none", cache=cache, precision="fp32")
    layers = layers_of(cache, seed)
    first = next(one for one in layers if not one["random"])
    problem = pose_problem(EmbeddingCache(cache))
    taken = next(one for one in problem.embedded if f"{one.label} · {one.tap}" == first["layer"])
    key, tap = taken.store.key.id, taken.tap
    kept = reduce(cache, key=key, tap=tap, out=room / "reduced").kept
    return {
        "images": len(problem.y),
        "layers": layers,
        "orders": score_orders(layers),
        "names": [name_images(cache, key, tap, each, 20) for each in (3, 5, 10)],
        "kept": [vars(one) for one in kept],
    }


def show(results: dict[str, dict[str, Any]]) -> None:
    """Print tables for people."""
    for name, found in results.items():
        print(f"{name}: {len(found['layers'])} layers on {found['images']} images")
        for one in found["layers"]:
            print(f"{one['layer']:<52}{one['gain']:>8.3f}{one['silhouette']:>8.3f}{one['ari']:>8.3f}")
        print(f"{'layer chosen by':<30}{'τ with ARI':>12}{'its ARI':>10}")
        for order, one in found["orders"].items():
            print(f"{order:<30}{one['tau']:>12.2f}{one['ari']:>10.3f}")
        print(*found["names"], *found["kept"], sep="\n")


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Run the benchmark from the command line."""
    parser = parser_of_sets(__doc__, digits=1000)
    parser.add_argument("--seed", type=int, default=0, help="of parts, draws and k-means (0)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)
    results = over_sets(options, lambda one, folder: measure(one, options.weights, folder, options.seed))
    print(json.dumps(results, indent=1)) if options.json else show(results)
    return results


if __name__ == "__main__":
    main()
