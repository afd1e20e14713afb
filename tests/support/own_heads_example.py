"""A module that a user might write, and packages that bring it, in a folder of the test's own."""

import textwrap

MODULE = '''
    """What a user might write."""
    import numpy as np
    from sklearn.base import BaseEstimator, ClassifierMixin
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.utils.validation import check_is_fitted, validate_data
    from headstart.heads import Head

    class Offset:
        """Holds a number, and is no estimator."""
        def __init__(self):
            self.value = 0.5

    class Nearest(ClassifierMixin, BaseEstimator):
        """The class whose mean is nearest, by one of two distances.

        And more that a listing leaves out.
        """
        headstart_grid = {"power": (1, 2)}

        def __init__(self, power=2, random_state=None):
            self.power = power
            self.random_state = random_state

        def fit(self, X, y):
            X, y = validate_data(self, X, y)
            self.classes_ = np.unique(y)
            self.means_ = np.stack([X[y == label].mean(axis=0) for label in self.classes_])
            return self

        def predict(self, X):
            check_is_fitted(self)
            X = validate_data(self, X, reset=False)
            far = (np.abs(X[:, None] - self.means_) ** self.power).sum(axis=2)
            return self.classes_[far.argmin(axis=1)]

    class Holding(Nearest):
        """Fits an object of a type of its own."""
        def fit(self, X, y):
            self.offset_ = Offset()
            return super().fit(X, y)

    class NeedsMore(Nearest):
        def __init__(self, needed):
            self.needed = needed

    class Odd(Nearest):
        headstart_grid = {"power": 2}

    def make(params, seed):
        """Return scaled features and the nearest mean."""
        return make_pipeline(StandardScaler(), Nearest(**params, random_state=seed))

    def make_scaler(params, seed):
        return StandardScaler()

    def make_nothing(params, seed):
        raise RuntimeError("no licence")

    def make_strict(params, seed):
        if "power" not in params:
            raise TypeError("power is needed")
        return Nearest(**params)

    HEAD = Head(name="theirs", summary="A whole head.", make=make, grid={"power": (1,)})
    NUMBER = 7
'''


def write_module(folder):
    """Write `my_heads`, and `broken_heads`, which cannot be imported."""
    folder.mkdir()
    (folder / "my_heads.py").write_text(textwrap.dedent(MODULE))
    (folder / "broken_heads.py").write_text("import no_such_library\n")


def write_package(folder, package, heads):
    """Write what pip leaves of a package that has these entry points (name → `module:object`)."""
    info = folder / f"{package.replace('-', '_')}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    lines = [f"{name} = {value}" for name, value in heads.items()]
    (info / "entry_points.txt").write_text("\n".join(["[headstart.heads]", *lines]))
