from sklearn.utils.estimator_checks import parametrize_with_checks

from heads.boosting import BoostedTreesClassifier, BoostedTreesRegressor
from heads.centroid import NearestMeanClassifier
from heads.cosine import CosineClassifier
from heads.lda import ShrunkDiscriminantClassifier
from heads.linear_torch import TorchLinearClassifier
from heads.mlp import TorchMLPClassifier, TorchMLPRegressor
from heads.naive_bayes import GaussianBayesClassifier
from heads.neighbors import NearestImagesClassifier, NearestImagesRegressor
from heads.ridge import RidgeRegressor, RidgeSoftmaxClassifier
from heads.svm import RbfSupportVectorClassifier


@parametrize_with_checks(
    [
        RidgeSoftmaxClassifier(),
        ShrunkDiscriminantClassifier(),
        NearestMeanClassifier(),
        NearestImagesClassifier(),
        TorchLinearClassifier(),
        TorchMLPClassifier(),
        RbfSupportVectorClassifier(),
        BoostedTreesClassifier(max_iter=20),
        GaussianBayesClassifier(),
        CosineClassifier(),
        RidgeRegressor(),
        NearestImagesRegressor(),
        TorchMLPRegressor(),
        BoostedTreesRegressor(max_iter=20),
    ]
)
def test_every_own_estimator_passes_scikit_learns_checks(estimator, check):
    check(estimator)
