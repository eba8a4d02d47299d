"""The parts of an estimator as people write them, right and wrong: γ^t, the average, the scores; verify.returns has Ψ.

    ĝ = Σ_i Σ_t  share_it · power_t · Ψ_it · score_it        i the trajectory, t its step

Right are share 1/N, power γ^t with Ψ_t = G_t (or power 1 with Ψ_t = G_0), and the score of the action taken. Functions
of a batch return one array [T] for each trajectory, functions of a trajectory [T] or, for scores, [T, P].
"""

from collections.abc import Callable, Sequence

import numpy as np

from pgrad.exact.mdp import Floats
from pgrad.exact.trajectories import Integers, Trajectory

Batch = Sequence[Trajectory]
OfTrajectory = Callable[[Trajectory], Floats]
OfBatch = Callable[[Batch], list[Floats]]


def each(function: OfTrajectory) -> OfBatch:
    """Return the function of a batch that applies `function` to each trajectory."""
    return lambda batch: [function(trajectory) for trajectory in batch]


def at_every_step(number: float, trajectory: Trajectory) -> Floats:
    """Return the number T times."""
    return np.full(len(trajectory), number)


# Powers of γ


def discounted(trajectory: Trajectory) -> Floats:
    """Return γ^t, which is right with G_t."""
    return np.asarray(trajectory.discount ** np.arange(len(trajectory)))


def ones(trajectory: Trajectory) -> Floats:
    """Return 1, which is right with G_0."""
    return np.ones(len(trajectory))


def discounted_twice(trajectory: Trajectory) -> Floats:
    """Return γ^2t."""
    return discounted(trajectory) ** 2


def discounted_from_one(trajectory: Trajectory) -> Floats:
    """Return γ^(t+1)."""
    return trajectory.discount * discounted(trajectory)


def discounted_backwards(trajectory: Trajectory) -> Floats:
    """Return γ^(T-1-t)."""
    return discounted(trajectory)[::-1]


# Shares: what the sum over steps and trajectories is divided by


def share(of_length: Callable[[int, int, Sequence[int]], float]) -> OfBatch:
    """Return the share of each trajectory's steps, `of_length(n, N, lengths)`."""

    def shares(batch: Batch) -> list[Floats]:
        lengths = [len(trajectory) for trajectory in batch]
        return [at_every_step(of_length(n, len(batch), lengths), own) for n, own in enumerate(batch)]

    return shares


def all_but(index: int, least: int) -> OfBatch:
    """Return 1/N for all trajectories but that of an index, if there are more than `least`."""
    return share(lambda n, count, lengths: (n != index % count or count <= least) / count)


def steps(kept: Callable[[int, int], bool]) -> OfBatch:
    """Return 1/N for the steps for which `kept(t, T)`, 0 for others."""
    return lambda batch: [
        np.array([kept(t, len(own)) / len(batch) for t in range(len(own))], dtype=np.float64) for own in batch
    ]


# Scores


def of_action_taken(trajectory: Trajectory) -> Floats:
    """Return ∇log π(a_t | s_t), the right score."""
    return trajectory.scores


def of_next_action(trajectory: Trajectory) -> Floats:
    """Return the score of action a_t + 1, modulo A."""
    return _of(trajectory, (trajectory.actions + 1) % trajectory.probabilities.shape[1])


def of_first_action(trajectory: Trajectory) -> Floats:
    """Return the score of action 0, whatever was taken."""
    return _of(trajectory, np.zeros_like(trajectory.actions))


def of_most_probable_action(trajectory: Trajectory) -> Floats:
    """Return the score of the most probable action, whatever was taken."""
    return _of(trajectory, trajectory.probabilities.argmax(axis=1))


def of_following_action(trajectory: Trajectory) -> Floats:
    """Return ∇log π(a_{t+1} | s_t): the two lists are misaligned by one step."""
    return _of(trajectory, np.append(trajectory.actions[1:], trajectory.actions[-1]))


def of_probability(trajectory: Trajectory) -> Floats:
    """Return ∇π(a_t | s_t) = π ∇log π."""
    return np.asarray(_taken(trajectory)[:, None] * trajectory.scores)


def divided_by_probability(trajectory: Trajectory) -> Floats:
    """Return ∇log π(a_t | s_t) / π(a_t | s_t)."""
    return np.asarray(trajectory.scores / _taken(trajectory)[:, None])


def of_logit(trajectory: Trajectory) -> Floats:
    """Return the gradient of the logit of a_t, without the mean over actions; for tabular policies."""
    result, actions = np.zeros_like(trajectory.scores), trajectory.probabilities.shape[1]
    result[np.arange(len(trajectory)), trajectory.states * actions + trajectory.actions] = 1.0
    return result


def _taken(trajectory: Trajectory) -> Floats:
    return np.asarray(trajectory.probabilities[np.arange(len(trajectory)), trajectory.actions])


def _of(trajectory: Trajectory, actions: Integers) -> Floats:
    return np.asarray(trajectory.all_scores[np.arange(len(trajectory)), actions])
