"""A finite Markov decision process as a compiled environment: states are numbered, the policy sees their features."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pgrad.kernels.columns import column
from pgrad.kernels.jit import both
from pgrad.kernels.random import uniform

Floats = npt.NDArray[np.float64]


@both
def draw(cumulative: Any, uniform_number: float) -> int:
    """The index that a number in [0, 1) falls on, given cumulative probabilities [n]."""
    index = 0
    while index < cumulative.size - 1 and uniform_number >= cumulative[index]:
        index += 1
    return index


class FiniteMDP(NamedTuple):
    """The model as arrays; make it with `finite`."""

    start: Floats  # [S] cumulative probabilities of the start state
    transition: Floats  # [S, A, S'] cumulative over S'
    reward: Floats  # [S, A, S']
    terminal: npt.NDArray[np.bool_]  # [S]
    features: Floats  # [O, S] what is observed of each state
    like: tuple[float, ...]  # O zeros: their number is part of the type, which compiled code goes by

    def reset(self, key: int) -> tuple[float]:
        """A start state."""
        return (float(draw(self.start, uniform(key, 0))),)

    def step(self, state: tuple[float], action: int, key: int) -> tuple[tuple[float], float, bool]:
        """A next state, the reward for getting there, and whether it is terminal."""
        s = int(state[0])
        following = draw(self.transition[s, action], uniform(key, 0))
        return (float(following),), self.reward[s, action, following], self.terminal[following]

    def observe(self, state: tuple[float]) -> tuple[float, ...]:
        """The state's features."""
        return column(self.features, int(state[0]), self.like)


def cumulative(probabilities: npt.ArrayLike) -> Floats:
    """Cumulative sums over the last axis that end with 1 exactly, so that nothing of probability zero is drawn."""
    sums = np.cumsum(probabilities, axis=-1)
    return np.asarray(sums / sums[..., -1:])


def finite(
    start: npt.ArrayLike,
    transition: npt.ArrayLike,
    reward: npt.ArrayLike,
    terminal: npt.ArrayLike,
    features: npt.ArrayLike,
) -> FiniteMDP:
    """The environment of start [S], transition [S, A, S'], reward [S, A, S'], terminal [S] and features [S, O]."""
    observed = np.ascontiguousarray(np.asarray(features, dtype=np.float64).T)
    return FiniteMDP(
        cumulative(start),
        cumulative(transition),
        np.array(reward, dtype=np.float64),
        np.array(terminal, dtype=np.bool_),
        observed,
        (0.0,) * observed.shape[0],
    )
