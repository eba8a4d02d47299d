"""The functions that the browser calls, each a few lines around pgrad's own.

Numbers come as arguments, everything else lies in memory, at addresses: records (`Training`, `Rollout` and theory.py's
`Theory`) whose layout memory.py gives, and arrays of float64 for small things.
"""

from typing import NamedTuple

import numba
import numpy as np
import numpy.typing as npt
from numba import types

from pgrad.algorithms.iteration import train_chunk
from pgrad.algorithms.learner import Learner, Settings
from pgrad.envs.cartpole import CartPole
from pgrad.envs.dynamics import reset, step
from pgrad.estimators.ratio import log_probs
from pgrad.estimators.returns import rewards_to_go
from pgrad.exact import table
from pgrad.kernels.heads import Policy, add_log_probs
from pgrad.kernels.jit import strict
from pgrad.kernels.mlp import MLP, forward
from pgrad.kernels.random import fold_in, uniform
from pgrad.lesson.memory import Exported, float64s, reader
from pgrad.rollouts.compiled import LOGGED, Simulation, simulate

i4, f8 = types.int32, types.float64

CARTPOLE = CartPole()
RIGHT = 1


class Training(NamedTuple):
    """A run, as it is trained; `algorithms.iteration.train_chunk` says what each part is."""

    settings: Settings
    learner: Learner
    simulation: Simulation
    metrics: npt.NDArray[np.float64]  # [1, len(METRICS)] of the last iteration


class Rollout(NamedTuple):
    """A policy that acts in one lane, for whole episodes."""

    policy: Policy
    simulation: Simulation
    discount: float  # γ of the rewards-to-go
    log_prob: npt.NDArray[np.float32]  # [time limit] log π(a_t | s_t) of the last episode
    to_go: npt.NDArray[np.float64]  # [time limit] its G_t
    obs: npt.NDArray[np.float32]  # [4, MOST_ASKED] states to ask the policy about
    probability: npt.NDArray[np.float64]  # [MOST_ASKED] its π(right | s) there


@strict
def returns_of(reward: npt.NDArray[np.float64], discount: float) -> npt.NDArray[np.float64]:
    """Return the rewards-to-go of one whole episode, [T]."""
    steps = reward.size
    last = np.zeros(steps, np.bool_)
    last[steps - 1] = True
    computed: npt.NDArray[np.float64] = rewards_to_go(
        reward, last, np.zeros(steps, np.int32), np.zeros(steps), discount, 1
    )
    return computed


def training(like: Training) -> Exported:
    """Return the function that trains such a run for an iteration; it returns the fault that stopped it, if any."""
    training_at = reader(numba.typeof(like))

    def train(address: int) -> int:
        run = training_at(address)
        return train_chunk(run.settings, run.learner, run.simulation, run.metrics)[1]

    return train, (i4,)


def collecting(like: Rollout) -> Exported:
    """Return the function that plays the run's next episode; it returns the number of steps."""
    rollout_at = reader(numba.typeof(like))

    def collect(address: int) -> int:
        rollout = rollout_at(address)
        rollout.simulation.lanes.counters[LOGGED] = 0
        batch = simulate(rollout.simulation, rollout.policy)
        log_prob, steps = log_probs(rollout.policy, batch), batch.reward.size
        to_go = returns_of(batch.reward, rollout.discount)
        for t in range(steps):
            rollout.log_prob[t], rollout.to_go[t] = log_prob[t], to_go[t]
        return steps

    return collect, (i4,)


def acting(like: Rollout) -> Exported:
    """Return the function that asks the policy for π(right | s) of the first `count` observations."""
    rollout_at = reader(numba.typeof(like))

    def act(address: int, count: int) -> None:
        rollout = rollout_at(address)
        policy, action, log_prob = rollout.policy, np.empty(count, np.int32), np.zeros(count, np.float32)
        for n in range(count):
            action[n] = RIGHT
        add_log_probs(policy.head, forward(policy.network, rollout.obs, count), action, log_prob, count)
        for n in range(count):
            rollout.probability[n] = np.exp(np.float64(log_prob[n]))

    return act, (i4, i4)


def initialising(like: MLP) -> Exported:
    """Return the function that draws a network's first parameters, uniform within ±1/√inputs of each layer.

    This is the distribution of `policies.mlp.initial_parameters`, from pgrad's counter-based random numbers.
    """
    network_at = reader(numba.typeof(like))

    def initialise(address: int, key: int) -> None:
        network = network_at(address)
        for k in range(network.offsets.size):
            inputs, units, first = network.sizes[k], network.sizes[k + 1], network.offsets[k]
            bound = 1.0 / np.sqrt(inputs)
            for i in range(first, first + units * (inputs + 1)):
                network.parameters[i] = uniform(key, i, -bound, bound)

    return initialise, (i4, types.uint64)


def moments(results: int, probabilities: int, count: int, size: int, mean: int, covariance: int) -> None:
    """Set the mean [P] and the covariance [P, P] of estimates [count, P] with these probabilities [count]."""
    estimates, probability = float64s(results, count * size), float64s(probabilities, count)
    centre, spread = float64s(mean, size), float64s(covariance, size * size)
    for i in range(size):
        centre[i] = 0.0
        for k in range(count):
            centre[i] += probability[k] * estimates[k * size + i]
    for i in range(size):
        for j in range(size):
            spread[i * size + j] = 0.0
            for k in range(count):
                deviations = (estimates[k * size + i] - centre[i]) * (estimates[k * size + j] - centre[j])
                spread[i * size + j] += probability[k] * deviations


def to_go(rewards: int, count: int, discount: float, result: int) -> None:
    """Set the rewards-to-go [count] of one episode."""
    returns, computed = float64s(result, count), returns_of(float64s(rewards, count), discount)
    for t in range(count):
        returns[t] = computed[t]


def entropy(probabilities: int, count: int) -> float:
    """Return the entropy of probabilities [count], in nats."""
    total = 0.0
    for p in float64s(probabilities, count):
        if p > 0.0:
            total -= p * np.log(p)
    return total


def random(key: int, index: int) -> float:
    """Return the `index`-th number of `key`, uniform on [0, 1)."""
    return uniform(key, index)


def fold(key: int, index: int) -> int:
    """Return the random 64 bits that `key` holds at `index`."""
    return fold_in(key, index)


def reset_cartpole(key: int, state: int) -> None:
    """Set the state [4] to one in which episodes begin."""
    after = reset(CARTPOLE, key)
    place = float64s(state, 4)
    for i in range(4):
        place[i] = after[i]


def step_cartpole(state: int, action: int) -> int:
    """Step the state [4]; return whether it is terminal now."""
    place = float64s(state, 4)
    after, _, terminated = step(CARTPOLE, (place[0], place[1], place[2], place[3]), action, 0)
    for i in range(4):
        place[i] = after[i]
    return int(terminated)


def softmax(preferences: int, count: int, temperature: float, probabilities: int) -> None:
    """Set probabilities [count] to softmax(preferences / T)."""
    table.softmax_into(float64s(preferences, count), temperature, float64s(probabilities, count))


FUNCTIONS: dict[str, Exported] = {
    "entropy": (entropy, (i4, i4)),
    "to_go": (to_go, (i4, i4, f8, i4)),
    "moments": (moments, (i4, i4, i4, i4, i4, i4)),
    "uniform": (random, (types.uint64, types.uint64)),
    "fold_in": (fold, (types.uint64, types.uint64)),
    "reset_cartpole": (reset_cartpole, (types.uint64, i4)),
    "step_cartpole": (step_cartpole, (i4, i4)),
    "softmax": (softmax, (i4, i4, f8, i4)),
}
