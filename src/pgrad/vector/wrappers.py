"""Wrappers that normalise by running statistics of their own, which are neither shared, saved nor frozen."""

from collections.abc import Iterator
from typing import Any

import gymnasium
from gymnasium.wrappers import NormalizeObservation, NormalizeReward

from pgrad.vector.spec import GymnasiumEnv

# Each such wrapper, what its statistics change, and the setting to use in its place.
NORMALIZING = (
    (NormalizeObservation, "the policy sees other numbers in each copy and at evaluation", "normalize_obs=True"),
    (NormalizeReward, "returns are reported in scaled rewards", "normalize_rewards=True"),
)


def stateful_notes(env: GymnasiumEnv) -> tuple[str, ...]:
    """Return, for each such wrapper around `env`, a line for the user: what goes wrong, and what to use instead."""
    return tuple(
        f"{type(wrapper).__name__} starts its statistics anew in every copy, so that {effect}: "
        f"use {setting} in its place, whose statistics are saved with the policy and frozen"
        for wrapper in wrappers_of(env)
        for kind, effect, setting in NORMALIZING
        if isinstance(wrapper, kind)
    )


def wrappers_of(env: GymnasiumEnv) -> Iterator[gymnasium.Wrapper[Any, Any, Any, Any]]:
    """Yield the wrappers around `env`, from the outside in."""
    while isinstance(env, gymnasium.Wrapper):
        yield env
        env = env.env
