from sklearn.utils.estimator_checks import parametrize_with_checks

from heads.centroid import NearestMeanClassifier
from heads.linear_torch import TorchLinearClassifier
from heads.mlp import TorchMLPClassifier
from heads.ridge import RidgeSoftmaxClassifier


@parametrize_with_checks(
    [RidgeSoftmaxClassifier(), NearestMeanClassifier(), TorchLinearClassifier(), TorchMLPClassifier()]
)
def test_every_own_estimator_passes_scikit_learns_checks(estimator, check):
    check(estimator)
