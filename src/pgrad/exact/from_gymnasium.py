"""Gymnasium's tabular environments as finite MDPs."""

from typing import Any

import numpy as np

from pgrad.envs.tabular import Outcomes, read
from pgrad.errors import EnvError, MDPError
from pgrad.exact.mdp import MDP, Floats, require_size


def from_gymnasium(env_id: str, discount: float = 0.99, time_limit: bool = False, **options: Any) -> MDP:
    """Return the MDP of a tabular Gymnasium environment (FrozenLake-v1, Taxi-v4, ...), read from its table `P`.

    p(s' | s, a) = Σ_i p_i and r(s, a, s') = Σ_i p_i r_i / Σ_i p_i, over the outcomes i of (s, a) that lead to s'.
    Averaging rewards this way leaves J and ∇J unchanged but lowers the variance of estimates (among Gymnasium's own
    environments only in a slippery CliffWalking). A state that is terminal for some transitions but not for others gets
    a terminal copy, numbered after the rest.

    env_id      a registered id
    discount    γ in [0, 1]
    time_limit  make the environment's max_episode_steps part of the problem
    options     passed on to gymnasium.make, for example is_slippery=False

    Returns an MDP named `env_id`.

    Raises EnvError if the environment cannot be made, has no table `P` or, with `time_limit`, no limit; MDPError if the
    table is not an MDP.
    """
    model = read(env_id, **options)
    limit = model.max_episode_steps if time_limit else None
    if time_limit and limit is None:
        raise EnvError(f"'{env_id}' has no max_episode_steps: omit time_limit, or set it with dataclasses.replace")
    terminal = model.states.terminal
    try:
        transition, reward = _tables(model.states.outcomes, len(terminal), model.num_actions)
        return MDP(transition, reward, model.start, terminal, discount, limit, name=env_id)
    except MDPError as error:
        raise MDPError(f"'{env_id}': {error}") from error


def _tables(outcomes: Outcomes, states: int, actions: int) -> tuple[Floats, Floats]:
    """Return transition and reward arrays, both [|S|, A, |S|]."""
    require_size("the transition array", (states, actions, states))
    transition, reward = np.zeros((states, actions, states)), np.zeros((states, actions, states))
    for s, a, t, _, probability, paid in outcomes:
        transition[s, a, t] += probability
        reward[s, a, t] += probability * paid
    np.divide(reward, transition, out=reward, where=transition > 0)
    return transition, reward
