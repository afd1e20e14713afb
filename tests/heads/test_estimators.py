from sklearn.utils.estimator_checks import parametrize_with_checks

from headstart.heads.boosting import BoostedTreesClassifier, BoostedTreesRegressor
from headstart.heads.centroid import NearestMeanClassifier
from headstart.heads.cosine import CosineClassifier
from headstart.heads.lda import ShrunkDiscriminantClassifier
from headstart.heads.linear import LogisticRegression
from headstart.heads.linear_torch import TorchLinearClassifier
from headstart.heads.mlp import TorchMLPClassifier, TorchMLPRegressor
from headstart.heads.naive_bayes import GaussianBayesClassifier
from headstart.heads.neighbors import NearestImagesClassifier, NearestImagesRegressor
from headstart.heads.ridge import RidgeRegressor, RidgeSoftmaxClassifier
from headstart.heads.svm import RbfSupportVectorClassifier


@parametrize_with_checks(
    [
        RidgeSoftmaxClassifier(),
        ShrunkDiscriminantClassifier(),
        NearestMeanClassifier(),
        NearestImagesClassifier(),
        LogisticRegression(max_iter=1000),
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
