from sklearn.utils.estimator_checks import parametrize_with_checks

from heads.centroid import NearestMeanClassifier
from heads.lda import ShrunkDiscriminantClassifier
from heads.linear_torch import TorchLinearClassifier
from heads.mlp import TorchMLPClassifier
from heads.neighbors import NearestImagesClassifier
from heads.ridge import RidgeSoftmaxClassifier


@parametrize_with_checks(
    [
        RidgeSoftmaxClassifier(),
        ShrunkDiscriminantClassifier(),
        NearestMeanClassifier(),
        NearestImagesClassifier(),
        TorchLinearClassifier(),
        TorchMLPClassifier(),
    ]
)
def test_every_own_estimator_passes_scikit_learns_checks(estimator, check):
    check(estimator)
