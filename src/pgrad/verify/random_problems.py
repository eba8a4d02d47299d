"""Random problems with few possible trajectories, on which exact means over batches of 1, 2, 3 and 5 are cheap."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pgrad import exact
from pgrad.exact.mdp import MDP, Floats
from pgrad.exact.trajectories import EstimatorFunction, Trajectory, moments_over
from pgrad.verify.parts import discounted
from pgrad.verify.returns import reward_to_go

# A float32 number is off by 6e-8 of itself, and an estimate is a sum of up to 60 products of a few such numbers, which
# together are off by some 1e-6 of an estimate's size.
UNBIASED = 1e-5
LARGE = 0.2  # least share of ‖∇J‖ in the size of an estimate, so that a relative error of the mean says something
FORCED = 1e-10  # probability of another action where one is forced
TIME_LIMIT = 2  # steps, of the problem whose episodes are often truncated

# A tree of decisions: how many steps follow in which nothing is decided, and then the branches; none is the end.
Tree = tuple[int, tuple["Tree", ...]]
TWO: Tree = (0, ((0, ()), (2, ())))
THREE: Tree = (0, ((1, ()), (0, ()), (3, ())))
LONG: Tree = (0, ((3, ((5, ()), (0, ((0, ()), (6, ()))))), (1, ((0, ()), (4, ())))))  # 3 to 12 steps


@dataclass(frozen=True, eq=False)
class RandomProblem:
    """A random MDP and policy, and the sizes of the batches over which means are taken."""

    mdp: MDP
    policy: exact.SoftmaxPolicy
    sizes: tuple[int, ...] = (1,)
    limit_is_part: bool = False  # True: the return ends at the time limit; False: the recording is truncated there

    @cached_property
    def solution(self) -> exact.Solution:
        """J, ∇J and more."""
        return exact.solve(self.mdp, self.policy)

    @property
    def truth(self) -> Floats:
        """The mean of a right estimator: ∇J, or its part before the limit if that truncates the recording; [P]."""
        limit = self.mdp.time_limit
        return self.solution.gradient if limit is None or self.limit_is_part else self.solution.gradient_cut(limit)

    @cached_property
    def behaviour(self) -> Floats:
        """π, with 0 and 1 in place of probabilities that are next to them; [|S|, A]."""
        probabilities = self.policy.probabilities
        drawn = np.where(probabilities > 2 * FORCED, probabilities, 0.0)
        return np.asarray(drawn / drawn.sum(axis=1, keepdims=True))

    @cached_property
    def possible(self) -> tuple[list[Trajectory], Floats]:
        """All trajectories with the true V, and their probabilities."""
        return exact.enumerate_trajectories(self.mdp, self.policy, behaviour=self.behaviour)

    @cached_property
    def possible_with_other_values(self) -> tuple[list[Trajectory], Floats]:
        """The same with a random V."""
        values = np.random.default_rng(self.mdp.num_states).normal(size=self.mdp.num_states)
        return exact.enumerate_trajectories(self.mdp, self.policy, values, self.behaviour)

    def mean(self, function: EstimatorFunction, size: int, other_values: bool = False) -> "MeanOn":
        """Return the function's exact mean over batches of `size` trajectories."""
        possible = self.possible_with_other_values if other_values else self.possible
        moments = moments_over(*possible, function, size, self.policy.num_parameters)
        noise = float(np.trace(moments.covariance) * size / np.trace(self.reference.covariance))
        return MeanOn(self, size, moments.mean, noise)

    def greedy_mean(self, function: EstimatorFunction, size: int) -> "MeanOn":
        """Return the exact mean if always the most probable action is taken."""
        greedy = np.eye(self.mdp.num_actions)[self.policy.probabilities.argmax(axis=1)]
        mean = exact.moments(self.mdp, self.policy, function, size, greedy).mean
        return MeanOn(self, size, mean, 0.0)

    @cached_property
    def reference(self) -> exact.Moments:
        """Mean and covariance of the reward-to-go estimate from one trajectory."""
        return moments_over(*self.possible, _reference, 1, self.policy.num_parameters)

    @cached_property
    def scale(self) -> float:
        """√E‖ĝ‖² of the reward-to-go estimate from one trajectory."""
        moments = self.reference
        return float(np.sqrt(np.trace(moments.covariance) + moments.mean @ moments.mean))

    def equal(self, mean: Floats, expected: Floats) -> bool:
        """Return True if two means are equal up to rounding, of estimates that another V may make larger."""
        size = max(self.scale, float(np.linalg.norm(expected)))
        return float(np.linalg.norm(mean - expected)) <= UNBIASED * size


class MeanOn(NamedTuple):
    """A function's exact mean on one problem, for one size of batch."""

    problem: RandomProblem
    size: int  # N
    mean: Floats  # E[ĝ], [P]
    noise: float  # tr Cov(ĝ) in units of that of the reward-to-go estimate from N trajectories

    @property
    def right(self) -> bool:
        """True if the mean is ∇J."""
        return self.problem.equal(self.mean, self.problem.truth)


def _reference(trajectories: list[Trajectory]) -> Floats:
    (one,) = trajectories
    return np.asarray((discounted(one) * reward_to_go(one)) @ one.scores)


def random_problems(rng: np.random.Generator) -> list[RandomProblem]:
    """Return random problems without a time limit: states that many paths lead to, long episodes, large batches."""
    return [
        _drawn(lambda: exact.layered(2, 3, int(rng.integers(2**31)), rng.uniform(0.5, 0.9)), rng, (1,)),
        _drawn(lambda: exact.layered(2, 2, int(rng.integers(2**31)), rng.uniform(0.5, 0.9)), rng, (2,)),
        _drawn(lambda: tree(LONG, rng), rng, (1, 2)),
        _drawn(lambda: tree(THREE, rng), rng, (1, 2, 3)),
        _drawn(lambda: tree(TWO, rng), rng, (1, 5)),
    ]


def truncated_problem(rng: np.random.Generator) -> RandomProblem:
    """Return a random problem whose episodes are often truncated by its time limit."""

    def limited() -> MDP:
        endless = exact.layered(2, TIME_LIMIT + 2, int(rng.integers(2**31)), rng.uniform(0.5, 0.9))
        return dataclasses.replace(endless, time_limit=TIME_LIMIT)

    return _drawn(limited, rng, (1, 2))


def _drawn(make: Callable[[], MDP], rng: np.random.Generator, sizes: tuple[int, ...]) -> RandomProblem:
    """Return the first problem whose gradient is not small beside the estimates."""
    while True:
        mdp = make()
        logits = rng.normal(scale=0.7, size=(mdp.num_states, mdp.num_actions))
        logits[_forced(mdp)] = np.log([1.0] + [FORCED] * (mdp.num_actions - 1))
        problem = RandomProblem(mdp, exact.Tabular(mdp.num_states, mdp.num_actions)(logits), sizes)
        if np.linalg.norm(problem.reference.mean) >= LARGE * problem.scale:
            return problem


def _forced(mdp: MDP) -> npt.NDArray[np.bool_]:
    """Return the states in which all actions do the same, [|S|]."""
    return np.asarray((np.ptp(mdp.transition, axis=1) == 0).all(axis=1) & (np.ptp(mdp.reward, axis=1) == 0).all(axis=1))


def tree(shape: Tree, rng: np.random.Generator) -> MDP:
    """Return the MDP of a tree of decisions, with standard normal rewards.

    Where nothing is decided all actions do the same; the policies of `random_problems` then take the first one but for
    once in 10^10 times, so that long episodes do not make many trajectories.
    """
    following: list[list[int]] = []  # the next state for each action
    _grow(shape, following, len(shape[1]))
    states, actions = len(following) + 1, len(shape[1])
    transition, reward = np.zeros((states, actions, states)), np.zeros((states, actions, states))
    for s, row in enumerate(following):
        transition[s, np.arange(actions), row] = 1.0
        reward[s] = rng.standard_normal(actions if len(set(row)) > 1 else 1)[:, None]
    terminal = np.arange(states) == states - 1
    return MDP(transition, reward, np.eye(states)[0], terminal, rng.uniform(0.7, 0.95), name="tree")


def _grow(shape: Tree, following: list[list[int]], actions: int) -> int:
    """Add the states of a tree and return its first; -1, the last state, is the end."""
    stretch, branches = shape
    first = len(following)
    following.extend([first + k + 1] * actions for k in range(stretch))
    if branches:
        here = len(following)
        following.append([])
        following[here] = [_grow(branch, following, actions) for branch in branches]
    elif stretch:
        following[-1] = [-1] * actions
    return first if branches or stretch else -1
