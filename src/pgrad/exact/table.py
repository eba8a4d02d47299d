"""The policy gradient theorem as a table that one can add up: a row for each possible trajectory.

    J(θ) = Σ_ω p(ω) G(ω)        ∇J(θ) = Σ_ω p(ω) G(ω) Σ_t ∇ log π(a_t | s_t)
    p(ω) = start(s_0) Π_t π(a_t | s_t) · p(s_{t+1} | s_t, a_t)

The functions are compiled: the lesson moves θ under a pointer, and its browser runs the same code.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pgrad.exact.mdp import MDP
from pgrad.exact.policies import SoftmaxPolicy
from pgrad.exact.solution import require_match
from pgrad.exact.trajectories import possible_ways
from pgrad.kernels.jit import strict

Array = Any
Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


class Paths(NamedTuple):
    """Every possible trajectory, whatever the policy: K of them, of at most T steps."""

    states: Integers  # [K, T + 1] s_0 … s_T
    actions: Integers  # [K, T]
    length: Integers  # [K] steps


class World(NamedTuple):
    """The problem that they are trajectories of."""

    start: Floats  # [|S|]
    transition: Floats  # [|S|, A, |S|]
    reward: Floats  # [|S|, A, |S|]
    terminal: npt.NDArray[np.bool_]  # [|S|]


class Rows(NamedTuple):
    """What the policy makes of each trajectory."""

    policy: Floats  # [K] Π_t π(a_t | s_t), which alone depends on θ
    dynamics: Floats  # [K] start(s_0) Π_t p(s_{t+1} | s_t, a_t)
    discounted_return: Floats  # [K] G(ω) = Σ_t γ^t r_t
    score: Floats  # [K, P] Σ_t ∇ log π(a_t | s_t)


def possible_paths(mdp: MDP, policy: SoftmaxPolicy) -> Paths:
    """Return the trajectories that are possible under a policy; raise MDPError where they are too many."""
    require_match(mdp, policy)
    ways = possible_ways(mdp, policy.probabilities)
    longest = max(len(way.actions) for way in ways)
    states, actions = np.zeros((len(ways), longest + 1), np.int64), np.zeros((len(ways), longest), np.int64)
    for k, way in enumerate(ways):
        states[k, : len(way.states)], actions[k, : len(way.actions)] = way.states, way.actions
    return Paths(states, actions, np.array([len(way.actions) for way in ways]))


def theorem_table(mdp: MDP, policy: SoftmaxPolicy) -> Rows:
    """Return the table of the policy gradient theorem: a row for each trajectory, in enumerate_trajectories' order.

    Σ rows.policy · rows.dynamics · rows.discounted_return is J(θ), and the same times rows.score ∇J(θ), as `solve`
    gives them by linear algebra. Raises MDPError where there are infinitely many trajectories, or too many to list.
    """
    paths = possible_paths(mdp, policy)
    count = paths.length.size
    rows = Rows(np.zeros(count), np.zeros(count), np.zeros(count), np.zeros((count, policy.num_parameters)))
    world = World(mdp.start, mdp.transition, mdp.reward, mdp.terminal)
    fill_rows(paths, world, mdp.discount, policy.probabilities, policy.scores, rows)
    return rows


@strict
def softmax_into(preferences: Array, temperature: float, probabilities: Array) -> None:
    """Set probabilities [A] to softmax(preferences / T), in float64."""
    largest, total = preferences[0], 0.0
    for a in range(1, preferences.size):
        largest = max(largest, preferences[a])
    for a in range(preferences.size):
        probabilities[a] = np.exp((preferences[a] - largest) / temperature)
        total += probabilities[a]
    for a in range(preferences.size):
        probabilities[a] /= total


@strict
def linear_softmax(features: Array, theta: Array, probabilities: Array, scores: Array) -> None:
    """Set π(a | s) [|S|, A] and ∇ log π(a | s) [|S|, A, P] of logits x(s, a) · θ; features x [|S|, A, P].

    ∇ log π(a | s) = x(s, a) − Σ_b π(b | s) x(s, b). Sutton and Barto (2018), equation 13.9.
    """
    states, actions, size = features.shape
    logits = np.empty(actions)
    for s in range(states):
        for a in range(actions):
            logits[a] = 0.0
            for i in range(size):
                logits[a] += features[s, a, i] * theta[i]
        softmax_into(logits, 1.0, probabilities[s])
        for i in range(size):
            mean = 0.0
            for a in range(actions):
                mean += probabilities[s, a] * features[s, a, i]
            for a in range(actions):
                scores[s, a, i] = features[s, a, i] - mean


@strict
def fill_rows(paths: Paths, world: World, discount: float, probabilities: Array, scores: Array, rows: Rows) -> None:
    """Set the rows for action probabilities [|S|, A] and scores [|S|, A, P]."""
    for k in range(paths.length.size):
        s = paths.states[k, 0]
        policy, dynamics, total, power = 1.0, world.start[s], 0.0, 1.0
        for i in range(rows.score.shape[1]):
            rows.score[k, i] = 0.0
        for t in range(paths.length[k]):
            a, following = paths.actions[k, t], paths.states[k, t + 1]
            policy *= probabilities[s, a]
            dynamics *= world.transition[s, a, following]
            total += power * world.reward[s, a, following]
            power *= discount
            for i in range(rows.score.shape[1]):
                rows.score[k, i] += scores[s, a, i]
            s = following
        rows.policy[k], rows.dynamics[k], rows.discounted_return[k] = policy, dynamics, total


@strict
def add_up(rows: Rows, gradient: Array) -> float:
    """Set gradient [P] to ∇J(θ), the sum of p(ω) G(ω) Σ_t ∇ log π over the rows; return J(θ)."""
    performance = 0.0
    for i in range(gradient.size):
        gradient[i] = 0.0
    for k in range(rows.policy.size):
        share = rows.policy[k] * rows.dynamics[k] * rows.discounted_return[k]
        performance += share
        for i in range(gradient.size):
            gradient[i] += share * rows.score[k, i]
    return performance
