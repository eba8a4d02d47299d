"""Random problems for a diagnosis, and what functions make of them."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from pgrad import exact
from pgrad.errors import EstimatorError
from pgrad.exact.mdp import Floats
from pgrad.exact.trajectories import EstimatorFunction, Trajectory, checked_call
from pgrad.verify.known_forms import Known

BATCH_SIZES = (2, 2, 3, 4)  # of the batches compared: trajectories
SAME = 1e-5  # relative, of two estimates of one batch: room for float32, and for 1e-8 added to a deviation
APART = 1e-3  # relative, of what two known forms return: less, and the problem does not tell them apart
ATTEMPTS = 100  # to find a problem that does
CUT_AFTER = 2  # steps


def same(found: Floats, expected: Floats) -> bool:
    """Whether two estimates are the same numbers."""
    scale = max(float(np.linalg.norm(found)), float(np.linalg.norm(expected)))
    return bool(np.linalg.norm(found - expected) <= SAME * scale)


@dataclass(frozen=True, eq=False)
class Trial:
    """A random problem and policy, batches drawn from it, and what the known forms return for them."""

    problem: exact.MDP
    policy: exact.SoftmaxPolicy
    batches: list[list[Trajectory]]
    outputs: list[Floats] = field(default_factory=list)  # of each known form, as `of` returns them
    limit_is_part: bool = False  # whether a time limit is part of the problem; else it cuts what is recorded

    @cached_property
    def solution(self) -> exact.Solution:
        """J, ∇J and the rest."""
        return exact.solve(self.problem, self.policy)

    @property
    def truth(self) -> Floats:
        """What the mean should be: ∇J; where a limit cuts what is recorded, its part before the cut."""
        limit = self.problem.time_limit
        return self.solution.gradient if limit is None or self.limit_is_part else self.solution.gradient_cut(limit)

    @property
    def sizes(self) -> Floats:
        """The number of trajectories behind each number of an output; [batches · P]."""
        return np.repeat([float(len(batch)) for batch in self.batches], self.policy.num_parameters)

    def of(self, function: EstimatorFunction) -> Floats:
        """What the function returns for all batches, one after the other; [batches · P]."""
        size = self.policy.num_parameters
        return np.concatenate([checked_call(function, batch, size) for batch in self.batches])

    def mean(
        self, function: EstimatorFunction, trajectories: int = 2, greedy: bool = False, other_values: bool = False
    ) -> Floats:
        """Its exact expectation over all batches of so many trajectories, [P].

        greedy        trajectories in which the most probable action is always taken
        other_values  V off by random numbers
        """
        behaviour = np.eye(self.problem.num_actions)[self.policy.probabilities.argmax(axis=1)] if greedy else None
        values = np.random.default_rng(0).normal(size=self.problem.num_states) if other_values else None
        return exact.moments(self.problem, self.policy, function, trajectories, behaviour, values).mean

    def differs(self, function: EstimatorFunction, change: Callable[[Trajectory], Trajectory]) -> bool:
        """Whether the function returns something else once the trajectories are changed."""
        changed = dataclasses.replace(self, batches=[[change(one) for one in batch] for batch in self.batches])
        return not same(self.of(function), changed.of(function))


def with_other_values(trajectory: Trajectory) -> Trajectory:
    """V off by random numbers, except in a terminal state."""
    off = np.random.default_rng(len(trajectory)).normal(size=len(trajectory) + 1)
    off[-1] *= trajectory.truncated
    return dataclasses.replace(trajectory, values=trajectory.values + off)


def as_if_terminated(trajectory: Trajectory) -> Trajectory:
    """A cut trajectory as if it had ended in a terminal state."""
    alive = np.append(np.ones(len(trajectory)), 0.0 if trajectory.truncated else 1.0)
    return dataclasses.replace(trajectory, values=trajectory.values * alive, terminated=True, truncated=False)


def telling_trial(known: list[Known], rng: np.random.Generator) -> Trial:
    """A random problem whose batches tell all known forms apart; episodes end by themselves, at different lengths.

    Raises EstimatorError where none does: then two of pgrad's own estimators have become one, by a fault of theirs.
    """
    alike = None
    for _ in range(ATTEMPTS):
        num_actions, depth = ((2, 3), (3, 2))[int(rng.integers(2))]
        trial = _trial(exact.layered(num_actions, depth, int(rng.integers(2**31)), rng.uniform(0.5, 0.9)), rng)
        outputs = [trial.of(form.function) for form in known]
        alike = _alike(outputs, known)
        if alike is None:
            return dataclasses.replace(trial, outputs=outputs)
    raise EstimatorError(f"{ATTEMPTS} random problems, and none tells all known forms apart, such as {alike}")


def cut_trial(rng: np.random.Generator, limit_is_part: bool = False) -> Trial:
    """A random problem whose episodes are often cut."""
    problem = exact.layered(2, CUT_AFTER + 2, int(rng.integers(2**31)), rng.uniform(0.5, 0.9))
    trial = _trial(dataclasses.replace(problem, time_limit=CUT_AFTER), rng)
    return dataclasses.replace(trial, limit_is_part=limit_is_part)


def _trial(problem: exact.MDP, rng: np.random.Generator) -> Trial:
    family = exact.Tabular(problem.num_states, problem.num_actions)
    policy = family(rng.normal(scale=0.7, size=family.num_parameters))
    return Trial(problem, policy, [exact.sample_trajectories(problem, policy, n, rng) for n in BATCH_SIZES])


def _alike(outputs: list[Floats], known: list[Known]) -> str | None:
    """Two different names whose outputs do not differ, if there are any."""
    rows = np.array(outputs)
    norms = np.linalg.norm(rows, axis=1)
    distances = np.linalg.norm(rows[:, None] - rows[None], axis=2)
    alike = distances < APART * np.maximum(norms[:, None], norms[None])
    pairs = ((known[i].title, known[j].title) for i, j in np.argwhere(alike))
    return next((f"'{one}' and '{other}'" for one, other in pairs if one != other), None)
