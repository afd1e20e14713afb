"""The report's map against scikit-learn's t-SNE as it comes: ``python benchmarks/bench_map.py --images 1000 10000``.

Both sides place the same images, in turns and on one thread. `trust` is scikit-learn's trustworthiness over ten
neighbours, of at most 2000 images: 1 where whoever is near on the map is near in the embedding. Of more than a thousand
images ours places a thousand by t-SNE, and the others between their neighbours.
"""

import argparse
import statistics
import time

import numpy as np
from bench_sweep import make_embeddings
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE, trustworthiness
from threadpoolctl import threadpool_limits

from headstart.heads.report.charts import project

MOST_JUDGED = 2000


def plain(embedding: NDArray[np.float64]) -> NDArray[np.float64]:
    """Place all images by t-SNE, as most notebooks do."""
    reduced = PCA(50, random_state=0).fit_transform(embedding)
    return np.asarray(TSNE(init="pca", random_state=0).fit_transform(reduced))


def compare(name: str, embedding: NDArray[np.float64], rounds: int) -> None:
    """Print a row: seconds of the processor, and what stayed near."""
    seconds: dict[str, list[float]] = {"headstart": [], "t-SNE": []}
    points = {}
    for _ in range(rounds):
        for side, place in (("headstart", project), ("t-SNE", plain)):
            begun = time.process_time()
            points[side] = place(embedding)
            seconds[side].append(time.process_time() - begun)
    some = np.random.default_rng(0).permutation(len(embedding))[:MOST_JUDGED]
    trust = {side: trustworthiness(embedding[some], at[some], n_neighbors=10) for side, at in points.items()}
    ours, theirs = (statistics.median(one) for one in seconds.values())
    ratio = statistics.median(b / a for a, b in zip(*seconds.values(), strict=True))
    print(
        f"{name:<16}{ours:>10.2f}{trust['headstart']:>8.4f}{theirs:>10.2f}{trust['t-SNE']:>8.4f}{ratio:>8.1f}",
        flush=True,
    )


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, nargs="+", default=[1000, 10_000])
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    print(f"{'images':<16}{'headstart':>10}{'trust':>8}{'t-SNE':>10}{'trust':>8}{'×':>8}   (seconds of one processor)")
    with threadpool_limits(limits=1):
        compare("1000 digits", load_digits().data[:1000].astype(np.float64), options.rounds)
        for n_images in options.images:
            compare(f"{n_images} made", make_embeddings(n_images, 512, 10)[0].astype(np.float64), options.rounds)


if __name__ == "__main__":
    main()
