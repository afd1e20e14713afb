"""Optimal transport, where POT is installed: the source lands on the target, in the cheapest way."""

import numpy as np
import pytest

from headstart.heads.transfer.adaptation import METHODS, Domains, adapt_by
from headstart.heads.transfer.adaptation.transport import move_by_transport

pytest.importorskip("ot")


def test_images_that_were_moved_alike_are_found_again() -> None:
    draw = np.random.default_rng(0)
    X, step = draw.normal(size=(30, 3)), np.array([10.0, 0.0, -5.0])
    order = draw.permutation(30)
    domains = Domains(
        source=X.astype(np.float32),
        y=np.arange(30) % 2,
        target=(X + step)[order].astype(np.float32),
        groups=np.arange(60),
        n_classes=2,
    )
    aligned = move_by_transport(domains)
    np.testing.assert_allclose(aligned.source, X + step, atol=1e-5)


def test_large_domains_are_drawn_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headstart.heads.transfer.adaptation.transport.MOST_TRANSPORTED", 60)
    draw = np.random.default_rng(1)
    y = np.arange(160) % 2
    X = (draw.normal(size=(160, 3)) + 6 * y[:, None]).astype(np.float32)
    domains = Domains(source=X[:80], y=y[:80], target=X[80:] + 30, groups=np.arange(160), n_classes=2)
    folds = [(np.arange(40), np.arange(40, 80)), (np.arange(40, 80), np.arange(40))]
    chosen = adapt_by(METHODS["transport"], domains, folds)
    assert chosen.adapted.rows is not None
    assert len(chosen.adapted.source) == len(chosen.adapted.rows) == 60
    assert (chosen.adapted.model.predict(domains.target) == y[80:]).mean() > 0.9
