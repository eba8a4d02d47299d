"""Random problems for a diagnosis, and what estimators return on them."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from pgrad import exact
from pgrad.errors import EstimatorError
from pgrad.exact.mdp import Floats
from pgrad.exact.trajectories import EstimatorFunction, Trajectory, checked_call
from pgrad.verify.known_forms import KnownForm

BATCH_SIZES = (2, 2, 3, 4)  # trajectories in the batches compared
SAME = 1e-5  # relative difference of equal estimates: room for float32, and for 1e-8 added to a deviation
APART = 1e-3  # relative difference from which a problem distinguishes two known forms
ATTEMPTS = 100  # to find a problem that distinguishes all
TIME_LIMIT = 2  # steps


def same(found: Floats, expected: Floats) -> bool:
    """Return True if two estimates are equal up to rounding."""
    scale = max(float(np.linalg.norm(found)), float(np.linalg.norm(expected)))
    return bool(np.linalg.norm(found - expected) <= SAME * scale)


@dataclass(frozen=True, eq=False)
class RandomProblem:
    """A random MDP and policy, batches drawn from them, and what the known forms return for these batches."""

    mdp: exact.MDP
    policy: exact.SoftmaxPolicy
    batches: list[list[Trajectory]]
    known: list[Floats] = field(default_factory=list)  # the `outputs` of each known form
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

    @property
    def sizes(self) -> Floats:
        """The batch size behind each number of `outputs`; [batches · P]."""
        return np.repeat([float(len(batch)) for batch in self.batches], self.policy.num_parameters)

    def outputs(self, function: EstimatorFunction) -> Floats:
        """Return the function's estimates from all batches, one after the other; [batches · P]."""
        size = self.policy.num_parameters
        return np.concatenate([checked_call(function, batch, size) for batch in self.batches])

    def mean(
        self, function: EstimatorFunction, trajectories: int = 2, greedy: bool = False, other_values: bool = False
    ) -> Floats:
        """Return the function's exact expectation over all batches of `trajectories` trajectories, [P].

        greedy        draw trajectories by always taking the most probable action
        other_values  give the trajectories a random V
        """
        behaviour = np.eye(self.mdp.num_actions)[self.policy.probabilities.argmax(axis=1)] if greedy else None
        values = np.random.default_rng(0).normal(size=self.mdp.num_states) if other_values else None
        return exact.moments(self.mdp, self.policy, function, trajectories, behaviour, values).mean

    def differs(self, function: EstimatorFunction, change: Callable[[Trajectory], Trajectory]) -> bool:
        """Return True if changing the trajectories changes the function's estimates."""
        changed = dataclasses.replace(self, batches=[[change(one) for one in batch] for batch in self.batches])
        return not same(self.outputs(function), changed.outputs(function))


def with_other_values(trajectory: Trajectory) -> Trajectory:
    """Return the trajectory with random numbers added to V, except in a terminal state."""
    off = np.random.default_rng(len(trajectory)).normal(size=len(trajectory) + 1)
    off[-1] *= trajectory.truncated
    return dataclasses.replace(trajectory, values=trajectory.values + off)


def as_if_terminated(trajectory: Trajectory) -> Trajectory:
    """Return a truncated trajectory as if its last state were terminal."""
    alive = np.append(np.ones(len(trajectory)), 0.0 if trajectory.truncated else 1.0)
    return dataclasses.replace(trajectory, values=trajectory.values * alive, terminated=True, truncated=False)


def distinguishing_problem(known: list[KnownForm], rng: np.random.Generator) -> RandomProblem:
    """Return a random problem without a time limit on whose batches all known forms differ.

    Raises EstimatorError if there is none after 100 attempts: then two of pgrad's own estimators coincide, by a bug.
    """
    alike = None
    for _ in range(ATTEMPTS):
        num_actions, depth = ((2, 3), (3, 2))[int(rng.integers(2))]
        mdp = exact.layered(num_actions, depth, int(rng.integers(2**31)), rng.uniform(0.5, 0.9))
        problem = _with_batches(mdp, rng)
        outputs = [problem.outputs(form.function) for form in known]
        alike = _alike(outputs, known)
        if alike is None:
            return dataclasses.replace(problem, known=outputs)
    raise EstimatorError(f"none of {ATTEMPTS} random problems distinguishes all known forms: {alike} are alike")


def truncated_problem(rng: np.random.Generator, limit_is_part: bool = False) -> RandomProblem:
    """Return a random problem whose episodes are often truncated by its time limit."""
    mdp = exact.layered(2, TIME_LIMIT + 2, int(rng.integers(2**31)), rng.uniform(0.5, 0.9))
    problem = _with_batches(dataclasses.replace(mdp, time_limit=TIME_LIMIT), rng)
    return dataclasses.replace(problem, limit_is_part=limit_is_part)


def _with_batches(mdp: exact.MDP, rng: np.random.Generator) -> RandomProblem:
    family = exact.Tabular(mdp.num_states, mdp.num_actions)
    policy = family(rng.normal(scale=0.7, size=family.num_parameters))
    return RandomProblem(mdp, policy, [exact.sample_trajectories(mdp, policy, n, rng) for n in BATCH_SIZES])


def _alike(outputs: list[Floats], known: list[KnownForm]) -> str | None:
    """Return the names of two known forms whose outputs coincide, or None."""
    rows = np.array(outputs)
    norms = np.linalg.norm(rows, axis=1)
    distances = np.linalg.norm(rows[:, None] - rows[None], axis=2)
    alike = distances < APART * np.maximum(norms[:, None], norms[None])
    pairs = ((known[i].title, known[j].title) for i, j in np.argwhere(alike))
    return next((f"'{one}' and '{other}'" for one, other in pairs if one != other), None)
