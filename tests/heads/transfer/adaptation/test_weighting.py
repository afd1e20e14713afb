"""Importance weights: they undo a bias that is known, say how many images they leave, and no class is looked at."""

import numpy as np
import pytest

from headstart.heads.errors import DataError, RareClassError
from headstart.heads.transfer.adaptation import Domains, effective_size, importance_weights, tell_apart
from headstart.heads.transfer.adaptation.linear import _fit
from headstart.heads.transfer.adaptation.weighting import CLIP, weigh

SLOPE = 0.75


def class_of(X: np.ndarray) -> np.ndarray:
    return ((X[:, 0] < -0.8) | (X[:, 0] > 1.6)).astype(np.intp)


@pytest.fixture(scope="module")
def biased() -> tuple[Domains, np.ndarray]:
    """A source of which images with a high first feature were kept more often, and what would undo that.

    One class lies on both sides of the other: which line is best depends on where the images are.
    """
    draw = np.random.default_rng(0)
    everyone = draw.normal(size=(3200, 3)).astype(np.float32)
    share = np.minimum(1, np.exp(SLOPE * (everyone[:, 0] - 2)))
    kept = draw.random(3200) < share
    source = everyone[kept]
    target = draw.normal(size=(800, 3)).astype(np.float32)
    groups = np.arange(len(source) + len(target))
    y = class_of(source)
    undone = share.mean() / share[kept]
    return Domains(source=source, y=y, target=target, groups=groups, n_classes=2), undone


def test_weights_recover_the_bias_of_a_sample(biased: tuple[Domains, np.ndarray]) -> None:
    domains, undone = biased
    told = tell_apart(domains.source, domains.target, domains.groups)
    weights = importance_weights(told.probability, len(domains.source))
    assert np.corrcoef(np.log(weights), np.log(undone))[0, 1] > 0.95
    assert 0.9 < weights.mean() < 1.1
    assert domains.source[:, 0].mean() > 0.4
    assert abs(np.average(domains.source[:, 0], weights=weights)) < 0.12
    assert abs(np.average(domains.source[:, 1], weights=weights)) < 0.12, "what was not biased stays"


def test_a_head_on_weighed_images_does_better_on_the_target(biased: tuple[Domains, np.ndarray]) -> None:
    domains, _ = biased
    truth = class_of(domains.target)
    aligned = weigh(domains)
    plain, weighed = (
        (_fit(domains.source, domains.y, weights, 1.0, 0).predict(domains.target) == truth).mean()
        for weights in (None, aligned.weights)
    )
    assert weighed > plain + 0.05


def test_weights_make_domains_harder_to_tell_apart(biased: tuple[Domains, np.ndarray]) -> None:
    domains, _ = biased
    before = tell_apart(domains.source, domains.target, domains.groups)
    after = tell_apart(domains.source, domains.target, domains.groups, weights=weigh(domains).weights)
    assert before.accuracy > 0.6
    assert after.accuracy < before.accuracy - 0.08


def test_the_weight_is_the_formula_and_is_clipped() -> None:
    probability = np.array([0.5, 0.75, 0.99, 1.0, 0.0, 0.6, 0.6])
    weights = importance_weights(probability, 5)
    np.testing.assert_allclose(weights, [2.5, 7.5, CLIP, CLIP, 0.0])
    assert importance_weights(probability, 5, clip=3.0).max() == 3.0


def test_the_effective_size_is_that_of_as_many_equal_images() -> None:
    assert effective_size(np.full(40, 2.0)) == pytest.approx(40)
    assert effective_size(np.array([1.0, 0.0, 0.0])) == pytest.approx(1)
    assert effective_size(np.array([3.0, 1.0])) == pytest.approx(1.6)
    assert effective_size(np.zeros(3)) == 0


def test_domains_of_one_kind_are_told_apart_by_chance_alone() -> None:
    X = np.random.default_rng(1).normal(size=(300, 4))
    assert 0.5 <= tell_apart(X[:150], X[150:], np.arange(300)).accuracy < 0.6
    centred = [part - part.mean(axis=0) for part in (X[:150], X[150:])]
    assert tell_apart(*centred, np.arange(300)).accuracy < 0.55


def test_copies_of_an_image_do_not_tell_their_domain() -> None:
    one = np.random.default_rng(2).normal(size=(20, 30))
    X = np.repeat(one, 10, axis=0)  # ten copies each, by which a fit would know them again
    groups, domain = np.repeat(np.arange(20), 10), np.repeat(np.arange(20) % 2, 10)
    order = np.argsort(domain, kind="stable")
    apart = tell_apart(X[order][:100], X[order][100:], groups[order])
    alone = tell_apart(X[order][:100], X[order][100:], np.arange(200))
    assert alone.accuracy == 1.0
    assert apart.accuracy < 0.9


@pytest.mark.parametrize("small", ["source", "target"])
def test_a_domain_of_a_few_images_is_refused(small: str) -> None:
    sizes = {"source": 30, "target": 30, small: 9}
    source, target = (np.zeros((sizes[name], 2), np.float32) for name in ("source", "target"))
    with pytest.raises(DataError, match=f"the {small} has 9 images, expected at least 10.*add images"):
        Domains(source=source, y=np.zeros(len(source), int), target=target, groups=np.arange(39), n_classes=2)


def test_a_domain_that_is_one_group_is_refused() -> None:
    X = np.random.default_rng(3).normal(size=(40, 2))
    with pytest.raises(RareClassError, match="'target' has 1 groups"):
        tell_apart(X[:20], X[20:], np.r_[np.arange(20), np.full(20, 99)])
