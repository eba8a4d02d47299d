"""A finite Markov decision process as a compiled environment: states are numbered, the policy sees their features."""

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pgrad.errors import MDPError
from pgrad.kernels.jit import both
from pgrad.kernels.random import uniform
from pgrad.spaces import Box, Discrete

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]


@both
def draw(cumulative: Any, uniform_number: float) -> int:
    """Return the index that a number in [0, 1) falls on, given cumulative probabilities [n]."""
    index = 0
    while index < cumulative.size - 1 and uniform_number >= cumulative[index]:
        index += 1
    return index


class FiniteMDP(NamedTuple):
    """The model as arrays of possible outcomes; make it with `finite` or `of_outcomes`.

    K is the largest number of outcomes of a state and action, K₀ that of the start.
    """

    start_state: Ints  # [K₀]
    start: Floats  # [K₀] cumulative probabilities
    following: Ints  # [S, A, K] the next state of each outcome
    transition: Floats  # [S, A, K] cumulative over the outcomes
    reward: Floats  # [S, A, K]
    terminal: Bools  # [S]
    features: Floats  # [S, O] what is observed of each state
    allowed: Bools  # [S, A]
    max_episode_steps: int  # the time limit; 0: none

    @property
    def observation_space(self) -> Discrete | Box:
        """Discrete if each state's features are one-hot, otherwise an unbounded Box."""
        size = self.features.shape[1]
        one_hot = ((self.features == 0) | (self.features == 1)).all() and (self.features.sum(axis=1) == 1).all()
        return Discrete(size) if one_hot else Box(-math.inf, math.inf, size)

    @property
    def action_space(self) -> Discrete:
        """A actions."""
        return Discrete(self.allowed.shape[1])

    @property
    def has_mask(self) -> bool:
        """True if some states forbid actions."""
        return not self.allowed.all()

    def reset(self, key: int) -> tuple[float]:
        """Return a start state."""
        return (float(self.start_state[draw(self.start, uniform(key, 0))]),)

    def step(self, state: tuple[float], action: int, key: int) -> tuple[tuple[float], float, bool]:
        """Return a next state, the reward for reaching it, and whether it is terminal."""
        s = int(state[0])
        outcome = draw(self.transition[s, action], uniform(key, 0))
        following = self.following[s, action, outcome]
        return (float(following),), self.reward[s, action, outcome], self.terminal[following]

    def observe_into(self, state: tuple[float], rows: Any, lane: int) -> None:
        """Write the state's features into rows[:, lane]."""
        s = int(state[0])
        for i in range(self.features.shape[1]):
            rows[i, lane] = self.features[s, i]

    def mask_into(self, state: tuple[float], rows: Any, lane: int) -> None:
        """Write which actions the state allows into rows[:, lane]."""
        s = int(state[0])
        for a in range(self.allowed.shape[1]):
            rows[a, lane] = self.allowed[s, a]

    def observe(self, state: tuple[float]) -> tuple[float, ...]:
        """Return the state's features, in Python only: their number is not part of the type."""
        return tuple(self.features[int(state[0])].tolist())

    def mask(self, state: tuple[float]) -> tuple[bool, ...]:
        """Return which actions the state allows, in Python only."""
        return tuple(self.allowed[int(state[0])].tolist())


def cumulative(probabilities: npt.ArrayLike) -> Floats:
    """Return cumulative sums over the last axis, ending with exactly 1, so that probability zero is never drawn."""
    sums = np.cumsum(probabilities, axis=-1)
    return np.asarray(sums / sums[..., -1:])


def finite(
    start: npt.ArrayLike,
    transition: npt.ArrayLike,
    reward: npt.ArrayLike,
    terminal: npt.ArrayLike,
    features: npt.ArrayLike,
    allowed: npt.ArrayLike | None = None,
    max_episode_steps: int = 0,
) -> FiniteMDP:
    """Build an environment from start [S], transition [S, A, S'], reward [S, A, S'], terminal [S] and features [S, O].

    Every action is allowed unless `allowed` [S, A] says otherwise; raises MDPError if shapes do not fit.
    """
    probability = np.asarray(transition, dtype=np.float64)
    following = np.broadcast_to(np.arange(probability.shape[-1]), probability.shape)
    return of_outcomes(start, following, probability, reward, terminal, features, allowed, max_episode_steps)


def of_outcomes(
    start: npt.ArrayLike,
    following: npt.ArrayLike,
    probability: npt.ArrayLike,
    reward: npt.ArrayLike,
    terminal: npt.ArrayLike,
    features: npt.ArrayLike,
    allowed: npt.ArrayLike | None = None,
    max_episode_steps: int = 0,
) -> FiniteMDP:
    """Build an environment from lists of outcomes: next state, probability and reward, each [S, A, outcomes].

    Outcomes of probability zero are left out; the others keep their order, on which the draws depend.
    """
    chances = np.asarray(probability, dtype=np.float64)
    start_state, start_chances = possible(np.asarray(start, dtype=np.float64))
    order, packed = possible(chances)
    return FiniteMDP(
        start_state,
        cumulative(start_chances),
        np.ascontiguousarray(np.take_along_axis(np.asarray(following, dtype=np.int64), order, axis=-1)),
        cumulative(packed),
        np.ascontiguousarray(np.take_along_axis(np.asarray(reward, dtype=np.float64), order, axis=-1)),
        np.array(terminal, dtype=np.bool_),
        np.array(features, dtype=np.float64, order="C"),
        _checked_mask(allowed, np.asarray(terminal, dtype=np.bool_), chances.shape[:2]),
        max_episode_steps,
    )


def possible(probabilities: Floats) -> tuple[Ints, Floats]:
    """Return the nonzero positions along the last axis, in order, and their values; rows are padded with zeros."""
    order = np.argsort(probabilities == 0, axis=-1, kind="stable")
    order = order[..., : np.count_nonzero(probabilities, axis=-1).max()]
    return np.ascontiguousarray(order, dtype=np.int64), np.take_along_axis(probabilities, order, axis=-1)


def _checked_mask(allowed: npt.ArrayLike | None, terminal: Bools, shape: tuple[int, ...]) -> Bools:
    if allowed is None:
        return np.ones(shape, dtype=np.bool_)
    mask = np.array(allowed, dtype=np.bool_)
    if mask.shape != shape:
        raise MDPError(f"allowed must have shape {shape}, states by actions, not {mask.shape}")
    stuck = np.flatnonzero(~mask.any(axis=1) & ~terminal)
    if len(stuck):
        raise MDPError(f"allowed must leave every state an action until the episode ends: state {stuck[0]} has none")
    return mask
