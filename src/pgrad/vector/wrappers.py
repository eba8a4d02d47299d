"""Wrappers that normalise by running statistics of their own, which are neither shared, saved nor frozen."""

import gymnasium
from gymnasium.wrappers import NormalizeObservation, NormalizeReward

from pgrad.vector.spec import GymnasiumEnv

# Each such wrapper, what its statistics change, and the setting to use in its place.
NORMALIZING = (
    (NormalizeObservation, "the policy sees other numbers in each copy and at evaluation", "normalize_obs=True"),
    (NormalizeReward, "returns are reported in scaled rewards", "normalize_rewards=True"),
)


def stateful_wrappers(env: GymnasiumEnv) -> list[str]:
    """Return the class names of the wrappers around `env` that keep running statistics, from the outside in."""
    kinds = tuple(kind for kind, *_ in NORMALIZING)
    return [type(wrapper).__name__ for wrapper in _wrappers(env) if isinstance(wrapper, kinds)]


def stateful_notes(env: GymnasiumEnv) -> tuple[str, ...]:
    """Return a line for the user for each of them: what happens at evaluation, and what to use instead."""
    return tuple(
        f"{type(wrapper).__name__} starts its statistics anew in every copy, so that {effect}: "
        f"use {setting} in its place, whose statistics are saved with the policy and frozen"
        for wrapper in _wrappers(env)
        for kind, effect, setting in NORMALIZING
        if isinstance(wrapper, kind)
    )


def _wrappers(env: GymnasiumEnv) -> list[GymnasiumEnv]:
    wrappers: list[GymnasiumEnv] = []
    while isinstance(env, gymnasium.Wrapper):
        wrappers.append(env)
        env = env.env
    return wrappers
