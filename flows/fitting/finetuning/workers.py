"""Folds of a sweep over tails on Dask workers, which see the cache under the same path."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from distributed import Client, Future
from torch import nn

from headstart.extractors.cache import EmbeddingView
from headstart.extractors.errors import CacheError
from headstart.flows.errors import JobError
from headstart.heads.errors import DataError
from headstart.heads.finetuning import TailClassifier
from headstart.heads.sweep import gather, open_client, place
from headstart.heads.views import Views

_LOST = "every worker that trained it ended without a word: it needs more memory than there is, or its code ends it"


class Outcome(NamedTuple):
    """Outcome of a fold: probabilities (n_scored, n_classes), or why it could not be trained, and seconds."""

    probability: npt.NDArray[np.float64] | None
    seconds: float
    error: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class FoldOnWorker:
    """Training on some images of a problem, and the scores of others: what travels is small, rows are read there.

    Attributes
    ----------
    layer : str
        That it is trained from.
    head : TailClassifier
        Not trained, and without its network, which is sent once for all folds.
    fitted, scored : EmbeddingView
        Rows that it is trained on, and those that it then tells the classes of.
    y, groups : int ndarrays of shape (n_fitted,)
    views : Views
    """

    layer: str
    head: TailClassifier
    fitted: EmbeddingView
    scored: EmbeddingView
    y: npt.NDArray[np.intp]
    groups: npt.NDArray[Any]
    views: Views

    def run(self, network: nn.Module) -> Outcome:
        """Train a copy of `network`, on whatever machine this is called."""
        begun = time.perf_counter()
        try:
            head = self.head.set_params(network=network).fit(self.fitted.mapped(), self.y, groups=self.groups)
        except DataError as error:
            return Outcome(None, time.perf_counter() - begun, str(error))
        probability = self.views.mean(head.predict_proba(self.scored.mapped()))
        return Outcome(probability, time.perf_counter() - begun)


class TailWorkers:
    """Workers of a Dask scheduler, to which the network of each layer is sent once.

    Parameters
    ----------
    client : Client
    network_of : callable
        Gives the network that training from a layer starts with.
    """

    def __init__(self, client: Client, network_of: Callable[[str], nn.Module]) -> None:
        self._client, self._network_of, self._sent = client, network_of, dict[str, Future]()

    def train(self, folds: Mapping[int, FoldOnWorker], receive: Callable[[int, Outcome], None]) -> None:
        """Train all folds, and hand over what comes of each as it ends.

        A worker that dies costs a fold, which is trained again; one that ends its worker twice could not be trained.
        """

        def start(numbers: Iterable[int]) -> dict[Any, int]:
            return {
                self._client.submit(FoldOnWorker.run, folds[one], self._network(folds[one].layer), pure=False): one
                for one in numbers
            }

        def hand_over(number: int, outcome: Outcome | Exception) -> None:
            if isinstance(outcome, Exception):
                raise outcome
            receive(number, outcome)

        for number in gather(self._client, start(folds), hand_over):
            if gather(self._client, start([number]), hand_over):
                receive(number, Outcome(None, 0.0, _LOST))

    def _network(self, layer: str) -> Future:
        if layer not in self._sent:
            self._sent[layer] = place(self._client, self._network_of(layer))
        return self._sent[layer]


@contextmanager
def tail_workers(address: str, network_of: Callable[[str], nn.Module]) -> Iterator[TailWorkers]:
    """Open the workers of a scheduler, which is left running.

    Raises
    ------
    JobError
        No scheduler answers.
    """
    try:
        with open_client(address, None) as client:
            yield TailWorkers(client, network_of)
    except OSError as error:
        if isinstance(error, CacheError):  # it is the results folder that cannot be written
            raise
        raise JobError(f"no Dask scheduler answers at {address} ({error}); start one, or leave --dask out") from error
