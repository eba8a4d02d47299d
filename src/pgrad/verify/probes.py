"""Batches of trajectories on which an estimate can be read: what it multiplies each step's score by.

No state is visited twice in a probe and the policy is tabular, so each step's score has coordinates of its own: A
numbers of the estimate, which are the weight times the score if the estimate is Σ weight · score. Lengths are ragged,
and rewards, values, probabilities and γ random.
"""

import dataclasses

import numpy as np

from pgrad.exact.mdp import Floats
from pgrad.exact.policies import Tabular
from pgrad.exact.trajectories import EstimatorFunction, Integers, Trajectory, checked_call
from pgrad.verify.parts import Batch, OfTrajectory, of_action_taken

NUM_ACTIONS = 3
LENGTHS = ((7,), (12, 2), (4, 1, 6), (2, 6, 3, 1), (3, 5, 1, 4, 2))  # steps of the trajectories of each probe
TRUNCATED = ((4, 3), (2, 5, 3))  # likewise, where a time limit truncates some
LARGEST_RESIDUAL = 1e-5  # relative; see recognition.SAME


def probes(rng: np.random.Generator) -> list[list[Trajectory]]:
    """Return batches of 1 to 5 trajectories that end by themselves; the order of lengths is random.

    In the largest, the longest trajectory and those of the highest and lowest return are three, and neither the first
    nor the last: whoever uses one trajectory alone is not mistaken for one who uses another.
    """
    batches = [probe(rng.permutation(lengths).tolist(), rng) for lengths in LENGTHS]
    while len(set(chosen := _extremes(batches[-1]))) < 3:
        batches[-1] = probe(rng.permutation(LENGTHS[-1]).tolist(), rng)
    first, last = (n for n in range(len(batches[-1])) if n not in chosen)
    batches[-1] = [batches[-1][n] for n in (first, *rng.permutation(chosen), last)]
    return batches


def _extremes(batch: Batch) -> list[int]:
    """Return which trajectory is the longest, and which have the highest and the lowest return."""
    returns = [float(one.discount ** np.arange(len(one)) @ one.rewards) for one in batch]
    return [int(np.argmax([len(one) for one in batch])), int(np.argmax(returns)), int(np.argmin(returns))]


def truncated_probes(rng: np.random.Generator) -> list[list[Trajectory]]:
    """Return batches of 2 and 3 trajectories, all but one of each truncated by a time limit."""
    return [
        [
            dataclasses.replace(one, terminated=n == 0, truncated=n != 0, values=_alive(one, rng, n != 0))
            for n, one in enumerate(batch)
        ]
        for batch in (probe(rng.permutation(lengths).tolist(), rng) for lengths in TRUNCATED)
    ]


def _alive(trajectory: Trajectory, rng: np.random.Generator, alive: bool) -> Floats:
    return np.append(trajectory.values[:-1], rng.normal() + 2.0 if alive else 0.0)


def probe(lengths: list[int], rng: np.random.Generator, discount: float | None = None) -> list[Trajectory]:
    """Return trajectories of these lengths, in which no state comes twice; the last state is the terminal one."""
    total = sum(lengths)
    policy = Tabular(total + 1, NUM_ACTIONS)(rng.normal(scale=0.7, size=(total + 1, NUM_ACTIONS)))
    gamma = float(rng.uniform(0.6, 0.95)) if discount is None else discount
    order = rng.permutation(total)
    return [
        _trajectory(policy.scores[states], policy.probabilities[states], states, gamma, rng)
        for states in np.split(order, np.cumsum(lengths)[:-1])
    ]


def _trajectory(
    scores: Floats, probabilities: Floats, states: Integers, discount: float, rng: np.random.Generator
) -> Trajectory:
    steps = len(states)
    actions = rng.integers(NUM_ACTIONS, size=steps)
    return Trajectory(
        states=states,
        actions=actions,
        rewards=rng.normal(scale=1.5, size=steps),
        scores=scores[np.arange(steps), actions],
        all_scores=scores,
        probabilities=probabilities,
        values=np.append(rng.normal(scale=1.5, size=steps), 0.0),
        terminated=True,
        truncated=False,
        discount=discount,
    )


def estimate(function: EstimatorFunction, batch: list[Trajectory]) -> Floats:
    """Return the function's estimate from a probe, checked."""
    return checked_call(function, batch, batch[0].scores.shape[1])


def read_weights(estimated: Floats, batch: Batch, scores: OfTrajectory = of_action_taken) -> Floats | None:
    """Return what an estimate from a probe multiplies each step's score by, [B]; None if it is no sum of scores."""
    rows = np.concatenate([scores(trajectory) for trajectory in batch])
    weights = rows @ estimated / (rows * rows).sum(axis=1)  # no two rows share a coordinate
    residual = np.linalg.norm(estimated - weights @ rows)
    return weights if residual <= LARGEST_RESIDUAL * np.linalg.norm(estimated) else None


def ignored(estimated: Floats, batch: Batch) -> bool:
    """Return True if the scores of some trajectory of a probe have no part in the estimate."""
    table = estimated.reshape(-1, NUM_ACTIONS)
    return any(not table[trajectory.states].any() for trajectory in batch)


def with_other_values(batch: list[Trajectory]) -> list[Trajectory]:
    """Return the trajectories with random numbers added to V, except in a terminal state."""
    rng = np.random.default_rng(0)
    result = []
    for trajectory in batch:
        off = rng.normal(size=len(trajectory) + 1)
        off[-1] *= trajectory.truncated
        result.append(dataclasses.replace(trajectory, values=trajectory.values + off))
    return result


def as_if_terminated(batch: list[Trajectory]) -> list[Trajectory]:
    """Return truncated trajectories as if their last states were terminal."""
    return [
        dataclasses.replace(one, values=np.append(one.values[:-1], 0.0), terminated=True, truncated=False)
        for one in batch
    ]


def with_one_reward(batch: list[Trajectory], step: int) -> list[Trajectory]:
    """Return the trajectories with V = 0 and all rewards 0, but for 1 at a step of the first trajectory."""
    result = []
    for n, one in enumerate(batch):
        rewards = (np.arange(len(one)) == step) * float(n == 0)
        result.append(dataclasses.replace(one, rewards=rewards, values=np.zeros(len(one) + 1)))
    return result
