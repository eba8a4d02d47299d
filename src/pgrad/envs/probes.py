"""Probe environments: so small that what is learnt is known exactly, so that what comes out wrong names the fault.

| probe | what it asks of training | V with the best policy |
|---|---|---|
| constant reward | V of one state, reward 1 | 1 |
| reward by observation | V reads what it observes: +1 or -1 | ±1 |
| delayed reward | V passes a reward of 1 on to the step before it | γ, 1 |
| reward by action | the policy finds the better of two actions | 1 |
| reward by both | the policy reads what it observes | 1 |
| time limit | a time limit is no end: staying for ever is worth more than leaving | 0.2 / (1 - γ) |

Wrong V in the first: the value network or its optimiser. In the second: observations. In the third: γ, bootstrapping.
A wrong choice in the fourth: the gradient or its sign; in the fifth alone: actions are credited to other states.
In the last: `truncated` is taken for `terminated`, which makes leaving the better choice. (For algorithms without V it
is, as their returns end with the time limit.) Train on them with a discount of 0.9.

The idea is Andy Jones's, "Debugging RL, Without the Agonizing Pain" (2021); rejax's tests do the same.
"""

from typing import Any, NamedTuple

import numpy as np

from pgrad.envs.finite_mdp import Bools, FiniteMDP, Floats, Ints, finite
from pgrad.kernels.random import uniform
from pgrad.spaces import Box

DISCOUNT = 0.9
LIMIT = 2  # steps
STAY, LEAVE = 0.2, 1.6  # rewards: for ever 2 at a discount of 0.9, but within two steps less than leaving at once


class Probe(NamedTuple):
    """A probe as a table of S states and two actions; the episode ends where `following` is -1, and at the limit."""

    following: Ints  # [S, 2]
    reward: Floats  # [S, 2]
    start: Floats  # [S] probabilities
    best: Ints  # [S] the better action; -1 where both are alike

    @property
    def env(self) -> FiniteMDP:
        """The compiled environment; the policy sees S features, the state's number one-hot. State S is the end."""
        states = self.start.size
        transition = np.zeros((states + 1, 2, states + 1))
        transition[np.arange(states)[:, None], [0, 1], self.following] = 1.0
        transition[states, :, states] = 1.0
        reward = np.zeros_like(transition)
        reward[:states] = self.reward[:, :, None]
        terminal: Bools = np.arange(states + 1) == states
        start = np.append(self.start, 0.0)
        return finite(start, transition, reward, terminal, np.eye(states + 1, states), max_episode_steps=LIMIT)

    def values(self, probabilities: Any, discount: float = DISCOUNT) -> Floats:
        """Return V(s) [S] of a policy with these probabilities [S, 2], time limits being no ends.

        V = r_π + γ P_π V, solved.
        """
        chosen, states = np.asarray(probabilities, np.float64), self.start.size
        onward = np.zeros((states, states))
        for action in (0, 1):
            going = np.flatnonzero(self.following[:, action] >= 0)
            onward[going, self.following[going, action]] += chosen[going, action]
        return np.linalg.solve(np.eye(states) - discount * onward, (chosen * self.reward).sum(axis=1))


def probe(following: Any, reward: Any, start: Any, best: Any) -> Probe:
    """Return a probe from lists."""
    return Probe(np.array(following), np.array(reward, np.float64), np.array(start, np.float64), np.array(best))


PROBES: dict[str, Probe] = {
    "constant reward": probe([[-1, -1]], [[1, 1]], [1], [-1]),
    "reward by observation": probe([[-1, -1]] * 2, [[1, 1], [-1, -1]], [0.5, 0.5], [-1, -1]),
    "delayed reward": probe([[1, 1], [-1, -1]], [[0, 0], [1, 1]], [1, 0], [-1, -1]),
    "reward by action": probe([[-1, -1]], [[-1, 1]], [1], [1]),
    "reward by both": probe([[-1, -1]] * 2, [[1, -1], [-1, 1]], [0.5, 0.5], [0, 1]),
    "time limit": probe([[0, -1]], [[STAY, LEAVE]], [1], [0]),
}


def together(probes: dict[str, Probe] = PROBES) -> Probe:
    """Return all probes as one, whose episodes begin in any of them: one training asks everything."""
    first, parts = 0, []
    for one in probes.values():
        parts.append(one._replace(following=np.where(one.following < 0, -1, one.following + first)))
        first += one.start.size
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
    return Probe(*columns)._replace(start=columns[2] / len(parts))


class Aim(NamedTuple):
    """Continuous actions: reward 1 - (action - target)², where the one observation is the target."""

    target: float = 0.5  # the target is plus or minus this

    @property
    def observation_space(self) -> Box:
        """The target."""
        return Box(-1.0, 1.0, 1)

    @property
    def action_space(self) -> Box:
        """What is to hit it."""
        return Box(-1.0, 1.0, 1)

    @property
    def max_episode_steps(self) -> int:
        """The time limit, which no episode reaches."""
        return LIMIT

    def reset(self, key: int) -> tuple[float]:
        """Draw one of the two targets."""
        return (self.target if uniform(key, 0) < 0.5 else -self.target,)

    def step(self, state: tuple[float], action: tuple[float], key: int) -> tuple[tuple[float], float, bool]:
        """Take the only step of an episode."""
        missed = action[0] - state[0]
        return state, 1.0 - missed * missed, True
