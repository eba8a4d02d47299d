"""The theory of the lesson, under a pointer: one small problem with all its trajectories, and estimates from them."""

from typing import Any, NamedTuple

import numba
import numpy as np
import numpy.typing as npt
from numba import types

from pgrad.estimators.advantages import multipliers, weights
from pgrad.estimators.gradient import overlaps
from pgrad.estimators.spec import OPTIMAL, EstimatorSpec
from pgrad.exact.table import Paths, Rows, World, add_up, fill_rows, linear_softmax
from pgrad.kernels.jit import strict
from pgrad.kernels.random import uniform
from pgrad.lesson.memory import Exported, float64s, reader
from pgrad.rollouts.batch import Batch

Array = Any

i4 = types.int32

SWEEPS = 100_000
CONVERGED = 1e-13  # change of a value in one sweep


class Theory(NamedTuple):
    """A small problem with all its trajectories, a policy on it, and what follows from both."""

    paths: Paths
    world: World  # its transitions and rewards follow from the numbers below
    sure: npt.NDArray[np.float64]  # [|S|, A, |S|] transitions without a slip
    slipped: npt.NDArray[np.float64]  # [|S|, A, |S|] with one for certain
    features: npt.NDArray[np.float64]  # [|S|, A, P]
    slip: float  # probability
    constant: float  # that is added to every reward, -1
    discount: float
    spec: EstimatorSpec
    theta: npt.NDArray[np.float64]  # [P]
    probabilities: npt.NDArray[np.float64]  # [|S|, A]
    scores: npt.NDArray[np.float64]  # [|S|, A, P]
    values: npt.NDArray[np.float64]  # [|S|] of the problem without a time limit
    rows: Rows
    gradient: npt.NDArray[np.float64]  # [P] ∇J(θ)
    chosen: npt.NDArray[np.int64]  # [most trajectories of a batch]
    room: Batch  # for these


@strict
def drawn(rows: Rows, unit: float) -> int:
    """Return the trajectory that a number in [0, 1) draws, with the rows' probabilities."""
    below = 0.0
    for k in range(rows.policy.size):
        below += rows.policy[k] * rows.dynamics[k]
        if unit < below:
            return k
    return rows.policy.size - 1  # what rounding has left of 1


@strict
def state_values(world: World, discount: float, probabilities: Array, values: Array) -> None:
    """Set V(s) [|S|] of the problem without a time limit, by sweeps of V ← r_π + γ P_π V from what is there."""
    for _ in range(SWEEPS):
        change = 0.0
        for s in range(values.size):
            before, after = values[s], 0.0
            if not world.terminal[s]:
                for a in range(probabilities.shape[1]):
                    for t in range(values.size):
                        gain = world.reward[s, a, t] + discount * values[t]
                        after += probabilities[s, a] * world.transition[s, a, t] * gain
            values[s] = after
            change = max(change, abs(after - before))
        if change < CONVERGED:
            return


@strict
def gathered(paths: Paths, world: World, chosen: Array, room: Batch) -> Batch:
    """Return the chosen trajectories [N], one after the other, as a batch without observations, in the room for one."""
    size, finals = 0, 0
    for n in range(chosen.size):
        k = chosen[n]
        for t in range(paths.length[k]):
            s, a, following = paths.states[k, t], paths.actions[k, t], paths.states[k, t + 1]
            last = t == paths.length[k] - 1
            room.action[size], room.reward[size] = a, world.reward[s, a, following]
            room.terminated[size] = last and world.terminal[following]
            room.truncated[size] = last and not world.terminal[following]
            room.trajectory[size], room.time[size] = n, t
            if room.truncated[size]:
                room.final_sample[finals] = size
                finals += 1
            size += 1
    return Batch(
        room.obs,
        room.action[:size],
        room.reward[:size],
        room.terminated[:size],
        room.truncated[:size],
        room.trajectory[:size],
        room.time[:size],
        room.final_obs,
        room.final_sample[:finals],
        chosen.size,
        room.mask,
        room.total_steps,
        room.episodes,
        room.crew,
    )


@strict
def weights_of(spec: EstimatorSpec, paths: Paths, values: Array, scores: Array, chosen: Array, batch: Batch) -> Array:
    """Return what an estimator multiplies each step's score by, [B], in a batch of the chosen trajectories [N].

    values [|S|] is V(s), scores [|S|, A, P] are ∇ log π(a | s).
    """
    value, final_value, b, c = np.empty(batch.reward.size), np.empty(batch.final_sample.size), 0, 0
    for n in range(chosen.size):
        k = chosen[n]
        for t in range(paths.length[k]):
            value[b] = values[paths.states[k, t]]
            if batch.truncated[b]:
                final_value[c] = values[paths.states[k, t + 1]]
                c += 1
            b += 1
    multiplied = multipliers(spec, batch, value, final_value)
    overlap = np.empty((2, 0))
    if spec.baseline == OPTIMAL:
        g, u = np.zeros((chosen.size, scores.shape[2])), np.zeros((chosen.size, scores.shape[2]))
        for b in range(batch.reward.size):
            n = batch.trajectory[b]
            s = paths.states[chosen[n], batch.time[b]]
            for i in range(scores.shape[2]):
                share = multiplied.discount_power[b] * scores[s, batch.action[b], i]
                u[n, i] += share
                g[n, i] += multiplied.psi[b] * share
        overlap = overlaps(g, u)
    return weights(spec, multiplied, batch, overlap)


@strict
def estimate_into(weight: Array, paths: Paths, scores: Array, chosen: Array, batch: Batch, result: Array) -> None:
    """Set result [P] to the estimate Σ_b weight_b ∇ log π(a_b | s_b)."""
    for i in range(result.size):
        result[i] = 0.0
    for b in range(weight.size):
        s = paths.states[chosen[batch.trajectory[b]], batch.time[b]]
        for i in range(result.size):
            result[i] += weight[b] * scores[s, batch.action[b], i]


@strict
def pose(theory: Theory) -> None:
    """Set the problem's transitions and rewards."""
    transition, reward = theory.world.transition, theory.world.reward
    for s in range(transition.shape[0]):
        for a in range(transition.shape[1]):
            for t in range(transition.shape[2]):
                transition[s, a, t] = (1 - theory.slip) * theory.sure[s, a, t] + theory.slip * theory.slipped[s, a, t]
                reward[s, a, t] = theory.constant - 1.0


@strict
def tabulate(theory: Theory) -> float:
    """Fill in the policy at θ, the table's rows and ∇J(θ); return J(θ)."""
    linear_softmax(theory.features, theory.theta, theory.probabilities, theory.scores)
    fill_rows(theory.paths, theory.world, theory.discount, theory.probabilities, theory.scores, theory.rows)
    return add_up(theory.rows, theory.gradient)


@strict
def prepare(theory: Theory) -> None:
    """Fill in all that estimates are made from."""
    pose(theory)
    tabulate(theory)
    state_values(theory.world, theory.discount, theory.probabilities, theory.values)


@strict
def estimate(theory: Theory, chosen: Any, result: Any) -> float:
    """Set result [P] to the estimate from the chosen trajectories [N]; return the surrogate Σ_b weight_b log π_b."""
    paths, surrogate = theory.paths, 0.0
    batch = gathered(paths, theory.world, chosen, theory.room)
    weight = weights_of(theory.spec, paths, theory.values, theory.scores, chosen, batch)
    estimate_into(weight, paths, theory.scores, chosen, batch, result)
    for b in range(weight.size):
        s = paths.states[chosen[batch.trajectory[b]], batch.time[b]]
        surrogate += weight[b] * np.log(theory.probabilities[s, batch.action[b]])
    return surrogate


def theory_functions(like: Theory) -> dict[str, Exported]:
    """Return the functions of a problem like this one."""
    theory_at = reader(numba.typeof(like))

    def theorem(address: int) -> float:
        """Fill in the rows of the table and ∇J(θ); return J(θ)."""
        theory = theory_at(address)
        pose(theory)
        return tabulate(theory)

    def performances(address: int, xs: int, num_xs: int, ys: int, num_ys: int, result: int) -> None:
        """Set J at every θ = (x, y), x fastest."""
        theory, x, y, place = theory_at(address), float64s(xs, num_xs), float64s(ys, num_ys), 0
        performance = float64s(result, num_xs * num_ys)
        pose(theory)
        for j in range(num_ys):
            for i in range(num_xs):
                theory.theta[0], theory.theta[1] = x[i], y[j]
                performance[place] = tabulate(theory)
                place += 1

    def estimates(address: int, trajectories: int, count: int, key: int, results: int, surrogates: int) -> None:
        """Set so many estimates [count, P], each from a batch of trajectories that are drawn by p(ω)."""
        theory, surrogate = theory_at(address), float64s(surrogates, count)
        prepare(theory)
        size, chosen = theory.theta.size, theory.chosen[:trajectories]
        result = float64s(results, count * size)
        for k in range(count):
            for n in range(trajectories):
                chosen[n] = drawn(theory.rows, uniform(key, k * trajectories + n))
            surrogate[k] = estimate(theory, chosen, result[k * size : (k + 1) * size])

    def batches(address: int, trajectories: int, results: int, probabilities: int) -> None:
        """Set the estimate [P] and the probability of each possible batch, K^N of them."""
        theory, chosen = theory_at(address), theory_at(address).chosen[:trajectories]
        prepare(theory)
        size, rows, kinds = theory.theta.size, theory.rows, theory.rows.policy.size
        count = kinds**trajectories
        result, probability = float64s(results, count * size), float64s(probabilities, count)
        for k in range(count):
            left, chance = k, 1.0
            for n in range(trajectories):
                chosen[n] = left % kinds
                chance *= rows.policy[chosen[n]] * rows.dynamics[chosen[n]]
                left //= kinds
            probability[k] = chance
            if chance > 0.0:
                estimate(theory, chosen, result[k * size : (k + 1) * size])

    return {
        "theorem": (theorem, (i4,)),
        "performances": (performances, (i4, i4, i4, i4, i4, i4)),
        "estimates": (estimates, (i4, i4, i4, types.uint64, i4, i4)),
        "batches": (batches, (i4, i4, i4, i4)),
    }
