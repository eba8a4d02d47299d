"""An environment that shows what it is given: its random numbers and the actions. Proofs look at it.

It belongs to no id: nothing is to be learnt from it.
"""

import math
from typing import Any, NamedTuple

from pgrad.kernels.random import uniform
from pgrad.spaces import Box, MultiDiscrete

NoiseState = tuple[float, float, float, float]  # a random number in [0, 1), and the three components of the last action


class Noise(NamedTuple):
    """Random numbers for states and rewards; an action has three components and changes nothing but what is seen."""

    choices: int = 0  # of each component; 0: continuous numbers
    low: float = -1.0  # bounds of continuous actions
    high: float = 2.0
    masked: bool = False  # each component then forbids the choice that the state's number, times `choices`, falls on
    ending: float = 0.1  # probability that a step is an episode's last

    @property
    def observation_space(self) -> Box:
        """The state itself."""
        return Box(-math.inf, math.inf, 4)

    @property
    def action_space(self) -> Box | MultiDiscrete:
        """Three integers, or three continuous numbers."""
        return MultiDiscrete((self.choices,) * 3) if self.choices else Box(self.low, self.high, 3)

    @property
    def max_episode_steps(self) -> int:
        """A limit that a third of the episodes reach."""
        return 12

    @property
    def has_mask(self) -> bool:
        """True if states forbid actions."""
        return self.masked

    def reset(self, key: int) -> NoiseState:
        """Draw the number."""
        return uniform(key, 0), 0.0, 0.0, 0.0

    def step(self, state: NoiseState, action: tuple[float, ...], key: int) -> tuple[NoiseState, float, bool]:
        """Draw the next number, which is also the reward, and whether the episode ends."""
        number = uniform(key, 0)
        following = (number, float(action[0]), float(action[1]), float(action[2]))
        return following, number, uniform(key, 1) < self.ending

    def mask_into(self, state: NoiseState, rows: Any, lane: int) -> None:
        """Write which choices the state allows into rows[:, lane]."""
        forbidden = int(state[0] * self.choices)
        for k in range(3 * self.choices):
            rows[k, lane] = k % self.choices != forbidden
