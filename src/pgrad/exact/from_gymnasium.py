"""Gymnasium's tabular environments as exact problems."""

from typing import Any

import numpy as np

from pgrad.envs.tabular import Outcomes, read
from pgrad.errors import EnvError, MDPError
from pgrad.exact.mdp import MDP, Floats, require_size


def from_gymnasium(env_id: str, discount: float = 0.99, time_limit: bool = False, **options: Any) -> MDP:
    """The problem that a tabular Gymnasium environment (FrozenLake-v1, CliffWalking-v1, Taxi, ...) publishes as `P`.

    Outcomes of one state and action with the same next state become one, their rewards averaged by probability (which
    leaves J and ∇J as they are, but takes variance from the estimates; only a slippery CliffWalking has such). A state
    that some transitions enter as a terminal one and others do not gets a terminal twin, numbered after the rest.

    time_limit  whether the environment's max_episode_steps become part of the problem
    options     for gymnasium.make, like is_slippery=False

    Raises EnvError where the environment cannot be made, has no model or, with `time_limit`, no limit.
    """
    model = read(env_id, **options)
    limit = model.max_episode_steps if time_limit else None
    if time_limit and limit is None:
        raise EnvError(f"'{env_id}' has no max_episode_steps: leave time_limit out, or set it with dataclasses.replace")
    terminal = model.states.terminal
    try:
        transition, reward = _tables(model.states.outcomes, len(terminal), model.num_actions)
        return MDP(transition, reward, model.start, terminal, discount, limit, name=env_id)
    except MDPError as error:
        raise MDPError(f"'{env_id}': {error}") from error


def _tables(outcomes: Outcomes, states: int, actions: int) -> tuple[Floats, Floats]:
    """Transition and reward of the outcomes, [S, A, S]."""
    require_size("the transition array", (states, actions, states))
    transition, reward = np.zeros((states, actions, states)), np.zeros((states, actions, states))
    for s, a, t, _, probability, paid in outcomes:
        transition[s, a, t] += probability
        reward[s, a, t] += probability * paid
    np.divide(reward, transition, out=reward, where=transition > 0)
    return transition, reward
