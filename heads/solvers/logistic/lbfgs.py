"""L-BFGS on many problems at once: losses are evaluated together, and each problem steps and stops by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

_DECREASE, _CURVATURE = 1e-3, 0.9  # what scipy's line search asks of a step
_ROUNDING = 1e-6  # of a loss in float32: a step that leaves it where it was is no failure
_UPWARDS = 1e-10  # of a change's square: its product with a step that is no more is rounding
_TRIALS = 15  # of one step, which otherwise may grow beyond all numbers
_SMALLEST = 1e-8  # a step so short changes no number in float32


class Found(NamedTuple):
    """A loss at n points: values (n,), float64, gradients (n, n_params), and how far from minima they are, (n,)."""

    values: Tensor
    gradients: Tensor
    distances: Tensor


Loss = Callable[[Tensor, Tensor], Found]
"""Problems (n,) and their points (n, n_params) → what is found there."""


class Search:
    """Where each problem stands, and its own line search.

    It takes the steps of scipy's L-BFGS-B without bounds, as far as float32 and a simpler choice of the next trial in a
    line search let it: the first trial of a line search is nearly always taken.

    Parameters
    ----------
    n_problems, n_params : int
    start : float32 tensor of shape (n_problems, n_params), optional
        Points to start from; zero by default.
    memory : LbfgsMemory, optional
        What is known already.
    first_lengths : float32 tensor of shape (n_problems,), or None
        Of the first step of a problem that nothing is known of; None is as long as its gradient.
    patience : int, optional
        So many steps in a row that leave a value where it was, as far as float32 tells, end a problem's search; as a
        rule none do.

    Attributes
    ----------
    points : float32 tensor of shape (n_problems, n_params)
    memory : LbfgsMemory
    n_steps : int64 tensor of shape (n_problems,)
        That each problem has taken.
    """

    def __init__(
        self,
        n_problems: int,
        n_params: int,
        *,
        start: Tensor | None = None,
        memory: LbfgsMemory | None = None,
        first_lengths: Tensor | None = None,
        patience: int | None = None,
    ) -> None:
        self._first_lengths, self._patience = first_lengths, patience
        self._n_flat, self._n_trials = (torch.zeros(n_problems, dtype=torch.long) for _ in range(2))
        self.points = torch.zeros(n_problems, n_params) if start is None else start.clone()
        self.memory = LbfgsMemory(n_problems, n_params) if memory is None else memory
        self._directions = torch.zeros_like(self.points)
        self._slopes = torch.zeros(n_problems, dtype=torch.float64)
        self._sizes, self._firsts = torch.ones(n_problems), torch.ones(n_problems)  # of a step: tried now, tried first
        self.n_steps = torch.zeros(n_problems, dtype=torch.long)

    def run(self, loss: Loss, tol: float | Tensor, max_iter: int, smallest: float = _SMALLEST) -> Tensor:
        """Step until no problem's distance is above `tol`, or its own one; return those, (n,), that have not got there.

        They took `max_iter` steps, or no part of a step that is not below the `smallest` leads down: by default, none
        that float32 can tell from standing still. Another run goes on from there, with what is remembered of the
        curvature, and may do so on another loss.
        """
        self._sizes.copy_(self._firsts)
        self._n_trials.zero_()
        self._values, self._gradients, self._distances = loss(torch.arange(len(self.points)), self.points)
        active = arrived = torch.arange(len(self.points))
        limits = torch.as_tensor(tol).expand(len(self.points))
        failed = active[:0]
        while True:
            near = self._distances[arrived] <= limits[arrived]
            if self._patience is not None:
                near |= self._n_flat[arrived] >= self._patience
            spent = ~near & (self.n_steps[arrived] >= max_iter)
            tried_out = self._n_trials[active] >= _TRIALS
            stuck = active[tried_out | ~(self._sizes[active] >= smallest * self._firsts[active])]  # NaN, too
            failed = torch.cat([failed, arrived[spent], stuck])
            active = active[~torch.isin(active, torch.cat([arrived[near | spent], stuck]))]
            if not len(active):
                return failed
            self._set_out(arrived[~(near | spent)])
            arrived = self._try(active, loss)

    def _set_out(self, problems: Tensor) -> None:
        """Give problems that stand on a new point their next direction."""
        if not len(problems):
            return
        gradients = self._gradients[problems]
        directions = self.memory.direction(problems, gradients)
        self._directions[problems] = directions
        self._slopes[problems] = (gradients * directions).sum(dim=1).double()
        self._firsts[problems] = 1.0
        if self._first_lengths is not None:
            first = self._first_lengths[problems] / torch.linalg.vector_norm(directions, dim=1)
            unknown = (self.n_steps[problems] == 0) & (self.memory.count[problems] == 0)
            self._firsts[problems] = torch.where(unknown, first, 1.0).float()
        self._sizes[problems] = self._firsts[problems]
        self._n_trials[problems] = 0

    def _try(self, problems: Tensor, loss: Loss) -> Tensor:
        """Evaluate each problem's trial step; return those that took it. The others get another size."""
        sizes, slopes, before = self._sizes[problems], self._slopes[problems], self._values[problems]
        directions = self._directions[problems]
        steps = sizes[:, None] * directions
        values, gradients, distances = loss(problems, self.points[problems] + steps)
        slopes_there = (gradients * directions).sum(dim=1).double()
        low = values <= before + _DECREASE * sizes * slopes + _ROUNDING * before.abs()
        flat = (values - before).abs() <= _ROUNDING * before.abs()  # near the end rounding hides how it goes
        taken = low & (flat | (slopes_there.abs() <= _CURVATURE * -slopes))
        another = _another_size(sizes.double(), before - values, slopes, slopes_there)
        self._sizes[problems] = torch.where(taken, sizes, another.float())
        who = problems[taken]
        self.memory.push(who, steps[taken], gradients[taken] - self._gradients[who])
        self.points[who] += steps[taken]
        self._values[who], self._gradients[who], self._distances[who] = (
            some[taken] for some in (values, gradients, distances)
        )
        self._n_trials[problems] += 1
        self.n_steps[who] += 1
        self._n_flat[who] = torch.where(flat[taken], self._n_flat[who] + 1, 0)
        return who


def _another_size(size: Tensor, gain: Tensor, slope: Tensor, slope_there: Tensor) -> Tensor:
    """Return the sizes to try after steps of `size` with a `gain` in value, from the slopes at both ends.

    The minimum of the cubic through both ends, or one nearer to that of a parabola, as in scipy's line search after its
    first trial: Moré & Thuente, "Line search algorithms with guaranteed sufficient decrease", ACM TOMS 20, 1994.
    """
    theta = 3 * gain / size + slope + slope_there
    gamma = (theta * theta - slope * slope_there).clamp(min=0).sqrt()
    # From the start, where the value rose.
    cubic = size * (gamma - slope + theta) / (2 * gamma - slope + slope_there)
    parabola = size * slope / (gain / size + slope) / 2
    shorter = torch.where(cubic < parabola, cubic, (cubic + parabola) / 2)
    # From the end, where it fell: back if it rises again there, on if it still falls steeply.
    cubic = size * (1 + (gamma + slope_there - theta) / (slope - slope_there - 2 * gamma))
    secant = size * (1 + slope_there / (slope - slope_there))
    back = torch.minimum(cubic, secant)
    on = torch.maximum(torch.where(cubic > size, cubic, 5 * size), secant).clamp(2.1 * size, 5 * size)
    on = torch.where(slope_there > slope, on, 5 * size)
    found = torch.where(gain <= 0, shorter, torch.where(slope_there > 0, back, on))
    usable = torch.isfinite(found) & (found > 0)
    return torch.where(usable, found, size / 2)


class LbfgsMemory:
    """The last steps of each problem, and the directions that follow from them.

    Everything but three products with all that is remembered is arithmetic on matrices of `size`: in the usual
    recursion each step remembered takes turns, and threads beside each other spend longer on handing over the
    interpreter than on computing.

    Parameters
    ----------
    n_problems, n_params : int
    size : int
        Steps remembered; 10 is scipy's default.

    References
    ----------
    Liu & Nocedal, "On the limited memory BFGS method for large scale optimization", Mathematical Programming 45, 1989.
    Byrd, Nocedal & Schnabel, "Representations of quasi-Newton matrices and their use in limited memory methods",
    Mathematical Programming 63, 1994, theorem 2.2 (the inverse Hessian as one matrix).
    """

    def __init__(self, n_problems: int, n_params: int, size: int = 10) -> None:
        self._size = size
        self._kept = torch.zeros(n_problems, 2 * size, n_params)  # steps, then the changes of the gradient along them
        # Of each pair remembered: step · change and change · change.
        self._step_change = torch.zeros(n_problems, size, size, dtype=torch.float64)
        self._change_change = torch.zeros(n_problems, size, size, dtype=torch.float64)
        self.count = torch.zeros(n_problems, dtype=torch.long)

    @classmethod
    def of(cls, steps: Tensor, changes: Tensor, count: Tensor) -> LbfgsMemory:
        """Return a memory of steps and changes of the gradient, (n_problems, size, n_params), that `count` was of.

        A problem of which one does not curve upwards starts with none.
        """
        n_problems, size, n_params = steps.shape
        memory = cls(n_problems, n_params, size)
        memory._kept = torch.cat([steps, changes], dim=1)
        memory._step_change = torch.bmm(steps, changes.mT).double()
        memory._change_change = torch.bmm(changes, changes.mT).double()
        curvature = memory._step_change.diagonal(dim1=1, dim2=2)
        known = torch.arange(size) < count[:, None]
        bad = (curvature <= _UPWARDS * memory._change_change.diagonal(dim1=1, dim2=2)) & known
        memory.count = torch.where(bad.any(dim=1), 0, count)
        return memory

    @property
    def steps(self) -> Tensor:
        """Steps (n_problems, size, n_params), in no order."""
        return self._kept[:, : self._size]

    @property
    def changes(self) -> Tensor:
        """Changes of the gradient along them."""
        return self._kept[:, self._size :]

    def push(self, problems: Tensor, steps: Tensor, changes: Tensor) -> None:
        """Remember a step and the change of the gradient along it, (len(problems), n_params) each.

        A step along which the gradient did not grow, as rounding can make it at the very end, is not remembered.
        """
        grew = (steps * changes).sum(dim=1) > _UPWARDS * (changes * changes).sum(dim=1)
        if not grew.all():
            problems, steps, changes = problems[grew], steps[grew], changes[grew]
        slot = self.count[problems] % self._size
        self._kept[problems, slot], self._kept[problems, self._size + slot] = steps, changes
        products = self._products(problems, changes)
        self._step_change[problems, :, slot] = products[:, : self._size]
        self._change_change[problems, :, slot] = products[:, self._size :]
        self._change_change[problems, slot] = products[:, self._size :]
        self.count[problems] += 1

    def direction(self, problems: Tensor, gradients: Tensor) -> Tensor:
        """Return −H g for the gradients g (len(problems), n_params), H being each problem's inverse Hessian so far."""
        count = self.count[problems]
        if not count.any():
            return -gradients
        oldest_first, known = self._in_order(count)
        # Sᵀg and Yᵀg; what is not remembered yet is as if it were at right angles to everything.
        both = self._products(problems, gradients).view(-1, 2, self._size)
        of_steps, of_changes = (both[:, row].gather(1, oldest_first) * known for row in (0, 1))
        pairs = (known[:, :, None] & known[:, None, :]).double()
        step_change, squares = (
            _reordered(products[problems], oldest_first) * pairs
            for products in (self._step_change, self._change_change)
        )
        curvature = step_change.diagonal(dim1=1, dim2=2)
        newest = curvature[:, -1:] / squares[:, -1:, -1]  # (7.20) of Nocedal & Wright: the scale of what is not known
        scale = torch.where(known[:, -1:], newest, 1.0)
        upper = step_change.triu() + torch.diag_embed((~known).double())
        p = torch.linalg.solve_triangular(upper, of_steps[..., None], upper=True)
        right = curvature[..., None] * p + scale[..., None] * (squares @ p - of_changes[..., None])
        of_step = torch.linalg.solve_triangular(upper.mT, right, upper=False)
        coefs = torch.stack([of_step[..., 0], -scale * p[..., 0]], dim=1)
        coefs = torch.zeros_like(coefs).scatter_(2, oldest_first[:, None].expand_as(coefs), coefs)
        found = self._combined(problems, coefs.flatten(1).float())
        return -torch.addcmul(found, scale.float(), gradients)

    def _products(self, problems: Tensor, vectors: Tensor) -> Tensor:
        """Return the products (n, 2 · size), float64, of all that is kept of some problems with a vector each."""
        if self._is_most(problems):
            return torch.bmm(self._kept, self._for_all(problems, vectors)[..., None])[problems, :, 0].double()
        return torch.bmm(self._kept[problems], vectors[..., None])[..., 0].double()

    def _combined(self, problems: Tensor, coefs: Tensor) -> Tensor:
        """Return the sums (n, n_params) of what is kept of some problems times coefficients (n, 2 · size)."""
        if self._is_most(problems):
            return torch.bmm(self._for_all(problems, coefs)[:, None], self._kept)[problems, 0]
        return torch.bmm(coefs[:, None], self._kept[problems])[:, 0]

    def _is_most(self, problems: Tensor) -> bool:
        """Say whether to compute with all, for picking some out of what is kept takes longer than the products."""
        return 3 * len(problems) >= len(self._kept)

    def _for_all(self, problems: Tensor, values: Tensor) -> Tensor:
        """Return values (n, …) of some problems as those of all, 0 for the others."""
        if len(problems) == len(self._kept):
            return values
        return values.new_zeros(len(self._kept), *values.shape[1:]).index_copy_(0, problems, values)

    def _in_order(self, count: Tensor) -> tuple[Tensor, Tensor]:
        """Return the places of each problem's steps, the newest last, and which of them hold one: both (n, size)."""
        age = torch.arange(self._size - 1, -1, -1)
        return (count[:, None] - 1 - age) % self._size, age < count[:, None]


def _reordered(products: Tensor, order: Tensor) -> Tensor:
    """Return products (n, size, size) with rows and columns in an order (n, size)."""
    rows = products.gather(1, order[:, :, None].expand_as(products))
    return rows.gather(2, order[:, None, :].expand_as(products))
