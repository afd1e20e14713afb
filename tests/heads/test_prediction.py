import numpy as np

from headstart.heads import HEADS
from headstart.heads.prediction import predict

X = np.array([[0.0, 0.1], [0.2, 0.0], [5.0, 5.1], [5.2, 5.0]], dtype=np.float16)


def test_a_class_that_the_head_never_saw_has_a_column_of_zeros():
    model = HEADS["logreg"].make({}, 0).fit(X.astype(np.float32), [1, 1, 3, 3])
    classes, probability = predict(model, X, 5)
    assert classes.tolist() == [1, 1, 3, 3]
    assert probability.shape == (4, 5)
    assert not probability[:, [0, 2, 4]].any()
    assert np.array_equal(probability[:, [1, 3]], model.predict_proba(X.astype(np.float32)))


def test_a_head_without_probabilities_gives_none():
    model = HEADS["linear-svm"].make({}, 0).fit(X.astype(np.float32), [0, 0, 1, 1])
    classes, probability = predict(model, X, 2)
    assert classes.tolist() == [0, 0, 1, 1]
    assert probability is None
