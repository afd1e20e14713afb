"""`[[finetune]]` in an experiment: which network it trains, where its results go, and what is refused in one line."""

from pathlib import Path

import pytest

from headstart.flows.errors import JobError
from headstart.flows.experiment import check_allowed, read_experiment
from headstart.flows.nightly import hold_night
from headstart.flows.orchestration import refuse_misspelt, refuse_tails
from headstart.flows.orchestration.deployments import refitting
from headstart.flows.orchestration.preparation import settle_paths
from headstart.flows.serving import serve

GOOD = """\
images = "photos"

[[extract]]
backbone = "small_cnn"
weights = "none"

[fit]
head = ["logreg"]

[[finetune]]
from = "features.8"
start = "linear"

[finetune.block_rates]
"features.8" = 0.001
"""
TWO_NETWORKS = GOOD.replace("[fit]", '[[extract]]\nbackbone = "small_cnn"\nweights = "own.pth"\n\n[fit]')
LOW = '[[finetune]]\nname = "low"\nfrom = ["features.4", "features.8"]\n\n'
TWO_TAILS = GOOD.replace("[[finetune]]", f"{LOW}[[finetune]]")


def written(folder: Path, text: str) -> Path:
    (folder / "photos").mkdir(exist_ok=True)
    (folder / "birds.toml").write_text(text)
    return folder / "birds.toml"


def test_a_table_names_layer_rates_and_folder(tmp_path: Path) -> None:
    experiment = read_experiment(written(tmp_path, GOOD))
    (table,) = experiment.finetune
    assert (table.from_layer, table.start, table.block_rates) == (["features.8"], "linear", {"features.8": 0.001})
    assert experiment.folder_of(table) == tmp_path / "birds.results" / "finetune"
    alone = read_experiment(written(tmp_path, GOOD.replace("[[finetune]]", "[finetune]")))
    assert alone == experiment


def test_of_several_each_has_a_folder_of_its_own(tmp_path: Path) -> None:
    experiment = read_experiment(written(tmp_path, TWO_TAILS))
    folders = [experiment.folder_of(table).relative_to(tmp_path / "birds.results") for table in experiment.finetune]
    assert folders == [Path("finetune/low"), Path("finetune/finetune-2")]
    assert experiment.finetune[0].from_layer == ["features.4", "features.8"]


def test_a_table_is_the_same_once_it_went_through_prefect(tmp_path: Path) -> None:
    experiment = read_experiment(written(tmp_path, TWO_TAILS.replace('start = "linear"', 'labels = "labels.csv"')))
    assert settle_paths(experiment) == experiment
    assert experiment.finetune[1].labels == tmp_path / "labels.csv"


def test_of_two_networks_the_table_says_which(tmp_path: Path) -> None:
    (tmp_path / "own.pth").touch()
    named = TWO_NETWORKS.replace('start = "linear"', 'weights = "own.pth"')
    experiment = read_experiment(written(tmp_path, named))
    assert experiment.network_of(experiment.finetune[0]).weights == str(tmp_path / "own.pth")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            TWO_NETWORKS,
            r"finetune from features.8: 2 \[\[extract\]\] tables are any backbone .* name one by backbone and",
        ),
        (GOOD.replace('start = "linear"', 'backbone = "resnet18"'), r"0 \[\[extract\]\] tables are resnet18"),
        (GOOD.replace('from = "features.8"', ""), r"finetune\.0\.from: Field required"),
        (GOOD.replace('start = "linear"', "epoch = 3"), r"finetune\.0\.epoch: Extra inputs are not permitted"),
        (GOOD.replace('start = "linear"', "learning_rate = 0"), r"finetune\.0\.learning_rate\.0: .* greater than 0"),
        (TWO_TAILS.replace('"low"', '"Finetune-2"'), "the name 'finetune-2' is given twice"),
        (GOOD.replace("[fit]", '[fit]\nname = "Finetune"'), "a fit is called 'finetune', where the results of"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(JobError, match=words) as refused:
        read_experiment(written(tmp_path, text))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (GOOD.replace('from = "features.8"', 'from = ["features.8", "layer4"]'), "has no layer 'layer4'"),
        (GOOD.replace('start = "linear"', 'metric = "r2"'), "task 'classify' has no metric 'r2'"),
        (GOOD.replace('start = "linear"', 'metric = "acuracy"'), "no metric is called 'acuracy'"),
    ],
)
def test_what_cannot_be_trained_is_told_before_anything_is_embedded(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(Exception, match=words):
        refuse_misspelt(read_experiment(written(tmp_path, text)))


def test_labels_of_a_tail_are_held_to_the_limits(tmp_path: Path) -> None:
    text = GOOD.replace('start = "linear"', 'labels = "/elsewhere/labels.csv"')
    limited = text + f'\n[security]\nroots = ["{tmp_path}"]\n'
    with pytest.raises(JobError, match=r"finetune\.labels: /elsewhere/labels.csv lies outside"):
        check_allowed(read_experiment(written(tmp_path, limited)))


def test_a_night_and_what_is_served_refuse_tails_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = written(tmp_path, GOOD)
    monkeypatch.setattr("headstart.flows.serving.server.require_server", lambda: "http://127.0.0.1:9/api")
    for refuse in (lambda: hold_night(place), lambda: serve(place), lambda: refitting.fn(read_experiment(place))):
        with pytest.raises(JobError, match="'headstart run' alone trains the tails") as refused:
            refuse()
        assert "\n" not in str(refused.value)
    refuse_tails(read_experiment(written(tmp_path, GOOD.partition("[[finetune]]")[0])))
