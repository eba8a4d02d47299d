"""Gymnasium's tabular environments (FrozenLake, CliffWalking, Taxi), read from the models that they publish.

So they cannot differ from the original by a typing error. A state that only some transitions enter as a terminal one
gets a terminal copy, numbered after the rest and observed as the original.
"""

from typing import Any, NamedTuple

import numpy as np

from pgrad.envs.finite_mdp import Bools, FiniteMDP, Floats, Ints, of_outcomes
from pgrad.errors import EnvError

Outcomes = list[tuple[int, int, int, bool, float, float]]  # state, action, next state, terminated, probability, reward

ACTION_NAMES = {  # by the id without its version
    "FrozenLake": ("left", "down", "right", "up"),
    "FrozenLake8x8": ("left", "down", "right", "up"),
    "CliffWalking": ("up", "right", "down", "left"),
    "CliffWalkingSlippery": ("up", "right", "down", "left"),
    "Taxi": ("south", "north", "east", "west", "pick up", "drop off"),
}


class States(NamedTuple):
    """The states of a model, S of them including terminal copies."""

    outcomes: Outcomes  # between these states
    terminal: Bools  # [S]
    shown: Ints  # [S] the state that each is observed as


class Model(NamedTuple):
    """What a tabular environment of Gymnasium's publishes, with terminal copies."""

    env_id: str
    states: States
    start: Floats  # [S] probabilities
    allowed: Bools | None  # [S, A]; None if all actions always are
    num_observations: int  # O
    num_actions: int  # A
    max_episode_steps: int | None
    reward_threshold: float | None

    @property
    def action_names(self) -> tuple[str, ...]:
        """Names of the actions, as far as they are known."""
        return ACTION_NAMES.get(self.env_id.partition("-")[0], ())


def load(env_id: str, **options: Any) -> FiniteMDP:
    """Return the compiled port of a tabular environment; `options` are for gymnasium.make, like is_slippery=False.

    Raises EnvError if the environment cannot be made or has no model.
    """
    return dynamics(read(env_id, **options))


def read(env_id: str, **options: Any) -> Model:
    """Return the model of a tabular environment (its `P`); errors as for `load`."""
    from pgrad.vector.make import make_gymnasium

    env = make_gymnasium(env_id, **options)
    original: Any = env.unwrapped
    model, start, spec = getattr(original, "P", None), _start(original), env.spec
    fickle = bool(getattr(original, "fickle_passenger", False))
    env.close()
    if model is None or start is None:
        raise EnvError(
            f"'{env_id}' has no model (`P` and initial_state_distrib): use a tabular environment such as "
            "FrozenLake-v1 or CliffWalking-v1"
        )
    if fickle:
        raise EnvError(f"'{env_id}' with a fickle passenger does not follow its own model: remove fickle_passenger")
    states = add_terminal_copies(_outcomes(model), start)
    masked = hasattr(original, "action_mask")
    return Model(
        env_id,
        states,
        np.concatenate([start, np.zeros(len(states.shown) - len(start))]),
        np.array([original.action_mask(int(s)) for s in states.shown], dtype=np.bool_) if masked else None,
        len(start),
        len(model[0]),
        spec.max_episode_steps if spec else None,
        spec.reward_threshold if spec else None,
    )


def dynamics(model: Model) -> FiniteMDP:
    """Compile a model. A state is observed one-hot, as its number in Gymnasium."""
    size = len(model.states.shown)
    chances: dict[tuple[int, int], dict[tuple[int, float], float]] = {
        (s, a): {} for s in range(size) for a in range(model.num_actions)
    }
    for s, a, t, _, probability, paid in model.states.outcomes:
        merged = chances[s, a]
        merged[t, paid] = merged.get((t, paid), 0.0) + probability
    most = max(map(len, chances.values()))
    shape = (size, model.num_actions, most)
    following, probabilities, reward = np.zeros(shape, np.int64), np.zeros(shape), np.zeros(shape)
    for (s, a), outcomes in chances.items():
        for k, ((t, paid), probability) in enumerate(sorted(outcomes.items()) or [((s, 0.0), 1.0)]):
            following[s, a, k], probabilities[s, a, k], reward[s, a, k] = t, probability, paid
    return of_outcomes(
        model.start,
        following,
        probabilities,
        reward,
        model.states.terminal,
        np.eye(model.num_observations)[model.states.shown],
        model.allowed,
        model.max_episode_steps or 0,
    )


def add_terminal_copies(outcomes: Outcomes, start: Floats) -> States:
    """Add terminal copies of the states that only sometimes end an episode to those of `start` [S]."""
    ending = {t for _, _, t, end, _, _ in outcomes if end}
    going_on = {t for s, _, t, end, _, _ in outcomes if not end and s != t} | set(np.flatnonzero(start > 0).tolist())
    states, split = len(start), sorted(ending & going_on)
    copies = {t: states + k for k, t in enumerate(split)}
    moved = [(s, a, copies.get(t, t) if end else t, end, p, paid) for s, a, t, end, p, paid in outcomes]
    terminal = np.isin(np.arange(states + len(split)), [*(ending - going_on), *copies.values()])
    return States(moved, terminal, np.array([*range(states), *split]))


def _start(env: Any) -> Floats | None:
    """Return the distribution of the first state; CliffWalking gives its index only."""
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
