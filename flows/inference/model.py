"""A saved model, ready to predict: its head is loaded at once, its network when it is first needed, and both stay."""

import tempfile
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
import pandas as pd

from headstart.extractors.backbones import resolve_backbone
from headstart.extractors.cache import EmbeddingCache
from headstart.extractors.decoding import Remarks
from headstart.extractors.images import OK
from headstart.extractors.results import JobResult
from headstart.extractors.spec import EmbeddingKey, Settings, View, claimed, short_name
from headstart.flows.errors import JobError
from headstart.flows.inference.answers import Predictions, answer, answer_columns
from headstart.flows.inference.doubts import add_doubt, judge_images, refuse_without_doubt
from headstart.flows.inference.given import images_given, notes_on
from headstart.flows.inference.options import PredictKeywords, PredictOptions
from headstart.flows.inference.prediction_page import check_page, write_page
from headstart.flows.options import taken
from headstart.heads.coverage import read_doubt
from headstart.heads.prediction import predict_numbers
from headstart.heads.saving import CARD_FILE, Card, load_model
from headstart.heads.scoring import Decision

if TYPE_CHECKING:
    from headstart.extractors.backbones import Backbone
    from headstart.flows.inference.network import Network


DECIDED = (
    "classes are decided as the fit chose it on its folds (by {by}), and are not always the likeliest: probabilities "
    "are as they were"
)
"""Note where a model has a decision of its own."""


class Model(JobResult, says="{card[head]} of {_answers}, on {_backbone}, in {folder}", tables=("about",)):
    """A head on its frozen backbone, as `load` reads it from a folder.

    Parameters
    ----------
    folder : Path
        Of the model, or of results with one model in them.
    options : PredictOptions
        How to predict, see `flows.inference.options.PredictOptions`.

    Attributes
    ----------
    folder : Path
        Of the model itself.
    head : fitted scikit-learn estimator
    card : dict
        All that is known of the model.
    key : EmbeddingKey
        What its embeddings are made by.
    doubt : Doubt or None
        Its sets of classes and its measure of outliers, after ``fit --coverage``.

    Examples
    --------
    >>> model = headstart.load("photos.results")
    >>> model.classes
    ['cat', 'dog', 'owl']
    >>> model.predict(["new-photos/owl.png", "new-photos/cat.png"])["label"].tolist()
    ['owl', 'cat']
    """

    def __init__(self, folder: Path, options: PredictOptions) -> None:
        self.folder, self.options = model_folder(folder), options
        self.head, self.card = load_model(self.folder, own=options.trust)
        self.key = _embedding_key(self.card, self.folder)
        refuse_unnamed_code(self.key, options.backbone, self.folder)
        self.doubt = read_doubt(self.folder.resolve(), self.card)
        if options.abstain:
            refuse_without_doubt(self.doubt, self.folder)

    @property
    def classes(self) -> list[str]:
        """Names of the classes; none where it predicts a number, or several label columns."""
        return [] if self.card.get("task") == "regress" else list(self.card["class_names"])

    @property
    def columns(self) -> list[tuple[str, list[str]]]:
        """Name and classes of each label column, of a trunk that several share; none of another model."""
        return [(one["name"], one["class_names"]) for one in self.card.get("columns", ())]

    @property
    def decision(self) -> Decision | None:
        """How classes are made of probabilities, where that was chosen; None where the likeliest is taken."""
        found = self.card.get("decision")
        return None if found is None else Decision.from_dict(found, len(self.classes))

    @property
    def about(self) -> list[dict[str, object]]:
        """Facts about the model, a row each: backbone, head, target, classes and the like."""
        names = ("head", "params", "decision", "target", "task", "tap", "weights_name", "run")
        facts = {"backbone": self._backbone} | {name: self.card.get(name) for name in names}
        facts |= {"classes": ", ".join(self.classes), "columns": ", ".join(name for name, _ in self.columns)}
        return [{"what": name, "value": value} for name, value in facts.items() if value]

    @property
    def _answers(self) -> str:
        names, what = self.classes or [name for name, _ in self.columns], "label columns" if self.columns else "classes"
        return f"{len(names)} {what}: {', '.join(names[:5])}{', …' if len(names) > 5 else ''}" if names else "numbers"

    @property
    def _backbone(self) -> str:
        return short_name(self.key.backbone)

    def predict(self, images: Any, *, all_classes: bool | None = None, page: str | Path | None = None) -> Predictions:
        """Predict one image or several; what cannot be read keeps its row, with the reason.

        Parameters
        ----------
        images : path-like, bytes, PIL image, array, or several of these
            See `flows.inference.given.images_given`.
        all_classes : bool, optional
            Add the probability of every class; by default as the model was loaded.
        page : path-like, optional
            Write a page of pictures here; by default as the model was loaded.

        Returns
        -------
        Predictions
            As `flows.inference.prediction.predict` returns them.
        """
        return Predictions(self.predict_noted(images, all_classes=all_classes, page=page)[0])

    def predict_noted(
        self, images: Any, *, all_classes: bool | None = None, page: str | Path | None = None
    ) -> tuple[pd.DataFrame, list[str]]:
        """Predict, and give notes for people beside the rows: files passed over, and pictures to look at."""
        page = page or self.options.page
        if page is not None:
            check_page(Path(page), [name for name, _ in self.columns])
        every = self.options.all_classes if all_classes is None else all_classes
        with tempfile.TemporaryDirectory(prefix="headstart-") as place:
            given = images_given(images, Path(place))
            kept = self.options.cache
            cache = EmbeddingCache(kept or Path(place) / "cache", create=True)
            tables, remarks = [], Remarks()
            names: dict[str, str] = {}
            for part in given:
                rows, features, found = self._network.embed(part.images, cache, kept=kept is not None)
                of_views = [
                    self._network.of_view(view).embed(part.images, cache, kept=kept is not None)[1]
                    for view in self._averaged
                ]
                digests = rows["digest"][rows["status"] == OK].tolist()
                predicted = self._speak([features, *of_views], digests, all_classes=every)
                predicted = predicted.set_index(np.flatnonzero(rows["status"] == OK))
                named = pd.DataFrame({"path": pd.Series(part.names, dtype=object)})
                remarks.update(found.as_dict())
                names |= dict(zip(rows["digest"], part.names, strict=True))
                tables.append(named.join(predicted).join(rows["reason"]))
            table = pd.concat(tables, ignore_index=True)
            ends, title = self.key.range, f"{self.card['head']} on {self._backbone}"
            cut = write_page(Path(page), table, given, self.classes, title, ends) if page is not None else []
        noticed = remarks.notes(names, leave_out=["equal"], settled=True)  # equal answers are no wonder
        mean = f"each answer is the mean over {len(self._averaged) + 1} views of the image, as the model was scored"
        own = [*([mean] if self._averaged else []), *([DECIDED.format(by=self.decision.by)] if self.decision else [])]
        return table, [*notes_on(given), *own, *noticed, *cut]

    @property
    def tail_layer(self) -> str | None:
        """Layer behind which a fine-tuned tail begins; None of other heads.

        Raises
        ------
        JobError
            The card does not say it.
        """
        tail = self.card.get("tail")
        if tail is None:
            return None
        if not isinstance(tail, dict) or not isinstance(tail.get("layer"), str):
            raise JobError(f"{self.folder}: its card does not say behind which layer the tail begins; fine-tune again")
        return str(tail["layer"])

    @property
    def backbone(self) -> "Backbone":
        """The network as pretrained, held against the key of the model."""
        return self._network.backbone

    @cached_property
    def _network(self) -> "Network":
        from headstart.flows.inference.network import Network  # noqa: PLC0415 - loads torch

        options = self.options
        settings = Settings.for_key(self.key, device=options.device, workers=options.workers)
        source = options.weights or self.card["weights_source"]
        return Network(self.key, self.card["tap"], source, settings, model=self.folder, progress=options.progress)

    @cached_property
    def averages_views(self) -> bool:
        """Whether an answer is the mean over views of the image, which are drawn anew for each: as it was scored."""
        return bool(self._averaged)

    @cached_property
    def _averaged(self) -> list[View]:
        views = self.card.get("views", {})
        try:
            return [claimed(View, one) for one in views["drawn"]] if views.get("average") else []
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise JobError(f"{self.folder}: its views cannot be read ({error}); fit the model again") from error

    @cached_property
    def _ready_head(self) -> Any:
        """The head; a tail with the network that its weights are of."""
        layer = self.tail_layer
        return self.head if layer is None else self._network.bind(self.head, layer, len(self.classes))

    def _speak(self, views: list[Any], digests: list[str], *, all_classes: bool) -> pd.DataFrame:
        """Answer for images, given the features of each view of them, of which the plain one may be all."""
        if len({len(features) for features in views}) > 1:
            raise JobError("some of the images could be read only once; leave them in place, and predict again")
        if self.columns:
            return answer_columns(self.head, views, self.columns, all_classes=all_classes)
        if self.card.get("task") == "regress":
            numbers = [predict_numbers(self.head, features) if len(features) else np.empty(0) for features in views]
            return pd.DataFrame({"value": np.mean(numbers, axis=0)})
        predicted = answer(self._ready_head, views, self.card["class_names"], self.decision, all_classes=all_classes)
        if self.doubt is None:
            return predicted
        judged = judge_images(self.doubt, self.head, views, digests)
        return add_doubt(predicted, judged, self.card["class_names"], abstain=self.options.abstain)


def load(model: str | Path, *, options: PredictOptions | None = None, **named: Unpack[PredictKeywords]) -> Model:
    """Load a saved model; it keeps head and network, so that only the first prediction waits for them.

    Parameters
    ----------
    model : path-like
        Folder that `fit` wrote: the model, or the results in which it is.
    options : PredictOptions, optional
        See `flows.inference.options.PredictOptions`.
    **named
        Options by their names; they go before those of `options`.

    Raises
    ------
    ModelFileError
        The model cannot be read.
    JobError
        It would run code that nobody named.

    Examples
    --------
    >>> model = headstart.load("photos.results")
    >>> model.predict("new-photos/owl.png")["label"].item()
    'owl'
    """
    return Model(Path(model), taken("load", options or PredictOptions(), named))


def model_folder(place: Path) -> Path:
    """Return the folder of a model: the place itself, or the one model in a folder of results.

    Raises
    ------
    JobError
        There are several.
    """
    for folder in (place, place / "model"):
        if (folder / CARD_FILE).is_file():
            return folder
    found = sorted(file.parent for file in place.glob(f"*/model/{CARD_FILE}"))
    if len(found) > 1:
        raise JobError(f"{place}: holds {len(found)} models; name one, such as {found[0]}")
    return found[0] if found else place  # whoever reads it says what is wrong


def _embedding_key(card: Card, model: Path) -> EmbeddingKey:
    try:
        return EmbeddingKey.from_dict(card["embedding"])
    except (KeyError, TypeError, ValueError) as error:
        raise JobError(f"{model}: its embedding key cannot be read ({error}); fit the model again") from error


def refuse_unnamed_code(key: EmbeddingKey, backbone: str | None, place: Path) -> None:
    """Let a callable be imported only on the word of the caller: a model may come from anywhere, a cache too.

    Raises
    ------
    JobError
        The key's backbone is a callable, and not the one that was named.
    """
    if resolve_backbone(key.backbone)[0] == "callable" and backbone != key.backbone:
        raise JobError(
            f"{place}: its embeddings are those of {key.backbone}, which is code that would run now; "
            f"if you trust it, say so with --backbone {key.backbone}"
        )
