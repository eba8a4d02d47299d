"""Gymnasium's tabular environments as exact problems."""

from typing import Any

import numpy as np

from pgrad.envs.registry import make_gymnasium
from pgrad.errors import EnvError, ModelError
from pgrad.exact.mdp import MDP, Bools, Floats, require_size

Outcomes = list[tuple[int, int, int, bool, float, float]]  # state, action, next state, terminated, probability, reward


def from_gymnasium(env_id: str, discount: float = 0.99, time_limit: bool = False, **options: Any) -> MDP:
    """The problem that a tabular Gymnasium environment (FrozenLake-v1, CliffWalking-v1, Taxi, ...) publishes as `P`.

    Outcomes of one state and action with the same next state become one, their rewards averaged by probability (which
    leaves J and ∇J as they are, but takes variance from the estimates; only a slippery CliffWalking has such). A state
    that some transitions enter as a terminal one and others do not gets a terminal twin, numbered after the rest.

    time_limit  whether the environment's max_episode_steps become part of the problem
    options     for gymnasium.make, like is_slippery=False

    Raises EnvError where the environment cannot be made, has no model or, with `time_limit`, no limit.
    """
    env = _made(env_id, options)
    model, start, spec = getattr(env.unwrapped, "P", None), _start(env.unwrapped), env.spec
    fickle = bool(getattr(env.unwrapped, "fickle_passenger", False))
    env.close()
    if model is None or start is None:
        raise EnvError(
            f"'{env_id}' has no model (its `P` and initial_state_distrib) to compute with: tabular environments such "
            "as FrozenLake-v1 and CliffWalking-v1 have one"
        )
    if fickle:
        raise EnvError(f"'{env_id}' with a fickle passenger does not follow its own model: leave fickle_passenger out")
    limit = spec.max_episode_steps if time_limit and spec else None
    if time_limit and limit is None:
        raise EnvError(f"'{env_id}' has no max_episode_steps: leave time_limit out, or set it with dataclasses.replace")
    try:
        transition, reward, terminal = _tables(_outcomes(model), start, len(model[0]))
        start = np.concatenate([start, np.zeros(len(terminal) - len(start))])
        return MDP(transition, reward, start, terminal, discount, limit, name=env_id)
    except ModelError as error:
        raise ModelError(f"'{env_id}': {error}") from error


def _made(env_id: str, options: dict[str, Any]) -> Any:
    env = make_gymnasium(env_id)
    if not options:
        return env
    env.close()
    import gymnasium

    try:
        return gymnasium.make(env_id, **options)
    except Exception as error:  # whatever the environment makes of options it does not know
        given = ", ".join(f"{name}={value!r}" for name, value in options.items())
        raise EnvError(f"'{env_id}' cannot be made with {given}: {error}") from error


def _start(env: Any) -> Floats | None:
    """The distribution of the first state; older versions of CliffWalking give its index only."""
    distribution = getattr(env, "initial_state_distrib", None)
    if distribution is not None:
        return np.array(distribution, dtype=np.float64)
    index = getattr(env, "start_state_index", None)
    return None if index is None else np.eye(len(env.P))[int(index)]


def _outcomes(model: Any) -> Outcomes:
    return [
        (s, a, int(following), bool(terminated), float(probability), float(reward))
        for s in range(len(model))
        for a in range(len(model[s]))
        for probability, following, reward, terminated in model[s][a]
        if probability > 0
    ]


def _tables(outcomes: Outcomes, start: Floats, actions: int) -> tuple[Floats, Floats, Bools]:
    """Transition, reward and terminal of the outcomes, with the twins of states that only sometimes end an episode."""
    ending = {t for _, _, t, end, _, _ in outcomes if end}
    going_on = {t for s, _, t, end, _, _ in outcomes if not end and s != t} | set(np.flatnonzero(start > 0).tolist())
    states = len(start)
    twins = {t: states + k for k, t in enumerate(sorted(ending & going_on))}
    size = states + len(twins)
    require_size("the transition array", (size, actions, size))
    transition, reward = np.zeros((size, actions, size)), np.zeros((size, actions, size))
    for s, a, t, end, probability, paid in outcomes:
        to = twins.get(t, t) if end else t
        transition[s, a, to] += probability
        reward[s, a, to] += probability * paid
    np.divide(reward, transition, out=reward, where=transition > 0)
    terminal = np.isin(np.arange(size), [*(ending - going_on), *twins.values()])
    return transition, reward, terminal
