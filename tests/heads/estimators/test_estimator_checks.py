from sklearn.utils.estimator_checks import parametrize_with_checks

from headstart.heads.estimators.boosting import BoostedTreesClassifier, BoostedTreesRegressor
from headstart.heads.estimators.centroid import NearestMeanClassifier
from headstart.heads.estimators.cosine import CosineClassifier
from headstart.heads.estimators.lda import ShrunkDiscriminantClassifier
from headstart.heads.estimators.naive_bayes import GaussianBayesClassifier
from headstart.heads.estimators.neighbors import NearestImagesClassifier, NearestImagesRegressor
from headstart.heads.estimators.ridge import RidgeRegressor, RidgeSoftmaxClassifier
from headstart.heads.estimators.stock import LogisticRegression
from headstart.heads.estimators.svm import RbfSupportVectorClassifier
from headstart.heads.neural.linear_torch import TorchLinearClassifier
from headstart.heads.neural.mlp import TorchMLPClassifier, TorchMLPRegressor
from headstart.heads.transfer.zero_shot.classifier import ZeroShotClassifier

_NO_WEIGHT_WINS = {
    "check_class_weight_classifiers": "cosines are bounded, without a bias: no weight makes one class the nearest"
}


@parametrize_with_checks(
    [
        RidgeSoftmaxClassifier(),
        ShrunkDiscriminantClassifier(),
        NearestMeanClassifier(),
        NearestImagesClassifier(),
        LogisticRegression(max_iter=1000),
        TorchLinearClassifier(learning_rate=0.1, min_steps=80),
        TorchMLPClassifier(learning_rate=0.01, min_steps=80),
        RbfSupportVectorClassifier(),
        BoostedTreesClassifier(max_iter=20),
        GaussianBayesClassifier(),
        CosineClassifier(),
        ZeroShotClassifier(gamma=0.01),
        ZeroShotClassifier(method="ridge", gamma=0.01),
        RidgeRegressor(),
        NearestImagesRegressor(),
        TorchMLPRegressor(learning_rate=0.01, min_steps=80),
        BoostedTreesRegressor(max_iter=20),
    ],
    expected_failed_checks=lambda estimator: _NO_WEIGHT_WINS if isinstance(estimator, CosineClassifier) else {},
)
def test_every_own_estimator_passes_scikit_learns_checks(estimator, check):
    check(estimator)
