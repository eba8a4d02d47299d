"""Small MDPs to learn and test on."""

import numpy as np
import numpy.typing as npt

from pgrad.errors import InputError, MDPError, require_integer, require_number
from pgrad.exact.mdp import MDP, Floats, as_floats, require_size

LEFT, RIGHT = 0, 1
MOVES = ((-1, 0), (0, 1), (1, 0), (0, -1))  # up, right, down, left, as (row, column)
WIDTH = 2  # states of a layer of `layered`


def bandit(rewards: npt.ArrayLike, noise: npt.ArrayLike = 0.0, discount: float = 1.0) -> MDP:
    """Return a bandit, one decision: arm a pays rewards[a] ± noise[a], either sign with probability 1/2.

    State 0 is the decision; state 1 is terminal, and with noise state 2 as well.

    rewards  [A]
    noise    a number or [A], the standard deviation of each arm's reward
    """
    means = as_floats("rewards", rewards)
    if means.ndim != 1 or means.size == 0:
        raise MDPError(f"rewards must be one list, one number for each arm, not of shape {means.shape}")
    spread = as_floats("noise", noise)
    if spread.shape not in ((), means.shape) or not (np.isfinite(spread) & (spread >= 0)).all():
        raise MDPError(f"noise must be one finite number, at least 0, or one for each of {means.size} arms: {noise!r}")
    signs = np.array([1.0, -1.0] if spread.any() else [0.0])
    states = 1 + signs.size
    transition, reward = np.zeros((states, means.size, states)), np.zeros((states, means.size, states))
    transition[0, :, 1:] = 1 / signs.size
    reward[0, :, 1:] = means[:, None] + np.broadcast_to(spread, means.shape)[:, None] * signs
    return MDP(transition, reward, _first(states), np.arange(states) > 0, discount, name="bandit")


def short_corridor() -> MDP:
    """Return three states in a row and a goal, reward −1 a step; `left` (0) and `right` (1) are swapped in state 1.

    If all states look alike, the best policy takes `right` with probability 2 − √2 ≈ 0.586, for about 11.66 steps.
    Sutton and Barto (2018), example 13.1.
    """
    following = np.array([[0, 1], [2, 0], [1, 3], [3, 3]])
    return MDP(np.eye(4)[following], -np.ones((4, 2)), _first(4), np.arange(4) == 3, 1.0, name="short corridor")


def short_corridor_features() -> Floats:
    """Return x(s, right) = [1, 0] and x(s, left) = [0, 1], the same in every state; [|S|, A, 2]."""
    features = np.zeros((4, 2, 2))
    features[:, RIGHT, 0] = features[:, LEFT, 1] = 1.0
    return features


def chain(length: int, slip: float = 0.0, discount: float = 1.0) -> MDP:
    """Return a chain: `length` steps `right` (1) to the goal, reward −1 a step; `left` (0) goes back, not past state 0.

    slip  probability of moving in the opposite direction
    """
    require_integer("length", length, 1)
    slip = _probability("slip", slip)
    states = length + 1
    require_size("the transition array", (states, 2, states))
    place = np.arange(length)
    transition = np.zeros((states, 2, states))
    for action, other in ((LEFT, RIGHT), (RIGHT, LEFT)):
        transition[place, action, np.maximum(place - 1, 0)] += slip if action == RIGHT else 1 - slip
        transition[place, action, place + 1] += slip if other == RIGHT else 1 - slip
    return MDP(transition, -np.ones((states, 2)), _first(states), np.arange(states) == length, discount, name="chain")


def gridworld(rows: int, columns: int, slip: float = 0.0, discount: float = 1.0, step_reward: float = -1.0) -> MDP:
    """Return a gridworld from the upper left to the lower right corner: up (0), right (1), down (2), left (3).

    The state is row · columns + column. A move into a wall stays in place and costs a step like any other.

    slip  probability of moving at right angles instead, half of it to either side
    """
    require_integer("rows", rows, 1)
    require_integer("columns", columns, 1)
    slip = _probability("slip", slip)
    states = rows * columns
    if states < 2:
        raise MDPError("a gridworld needs at least two cells: rows or columns must be more than 1")
    require_size("the transition array", (states, 4, states))
    every_step = require_number("step_reward", step_reward)
    row, column = np.divmod(np.arange(states), columns)
    following = [np.clip(row + r, 0, rows - 1) * columns + np.clip(column + c, 0, columns - 1) for r, c in MOVES]
    transition = np.zeros((states, 4, states))
    for action in range(4):
        for turn, chance in ((0, 1 - slip), (1, slip / 2), (-1, slip / 2)):
            transition[np.arange(states), action, following[(action + turn) % 4]] += chance
    reward, goal = np.full((states, 4), every_step), np.arange(states) == states - 1
    return MDP(transition, reward, _first(states), goal, discount, name=f"{rows} x {columns} gridworld")


def garnet(
    num_states: int,
    num_actions: int,
    branching: int,
    seed: int,
    discount: float,
    time_limit: int | None = None,
    num_terminal: int = 1,
) -> MDP:
    """Return a random MDP: `branching` random next states of each state and action, standard normal rewards.

    Transition and start probabilities are the lengths into which uniform cuts divide the unit interval; the last
    `num_terminal` states are terminal. Archibald et al. (1995); Bhatnagar et al. (2009).
    """
    for name, value in (("num_states", num_states), ("num_actions", num_actions), ("branching", branching)):
        require_integer(name, value, 1)
    require_integer("num_terminal", num_terminal, 0)
    require_integer("seed", seed, 0)
    if branching > num_states:
        raise MDPError(f"branching must be at most num_states = {num_states}, not {branching}")
    if num_terminal >= num_states:
        raise MDPError(f"num_terminal must be less than num_states = {num_states}, not {num_terminal}")
    require_size("the transition array", (num_states, num_actions, num_states))
    rng = np.random.default_rng(seed)
    transition = np.zeros((num_states, num_actions, num_states))
    for s in range(num_states):
        for a in range(num_actions):
            transition[s, a, rng.choice(num_states, branching, replace=False)] = _cuts(branching, rng)
    reward = rng.standard_normal((num_states, num_actions, num_states))
    acting = num_states - num_terminal
    start = np.zeros(num_states)
    first = rng.choice(acting, min(branching, acting), replace=False)
    start[first] = _cuts(first.size, rng)
    terminal = np.arange(num_states) >= acting
    return MDP(transition, reward, start, terminal, discount, time_limit, name=f"garnet {seed}")


def layered(num_actions: int = 2, depth: int = 3, seed: int = 0, discount: float = 0.9) -> MDP:
    """Return a random acyclic MDP whose episodes last at most `depth` steps, often fewer: small enough to enumerate.

    It has a start, depth − 1 layers of two states, and an end. Actions lead to either state of the next layer, except
    that the last action leads to one of them or to the end; the last layer leads to the end. Rewards are standard
    normal. Two actions and depth 3 make 22 trajectories.
    """
    require_integer("num_actions", num_actions, 1)
    require_integer("depth", depth, 1)
    require_integer("seed", seed, 0)
    states = 2 + WIDTH * (depth - 1)
    require_size("the transition array", (states, num_actions, states))
    rng = np.random.default_rng(seed)
    end = states - 1
    transition = np.zeros((states, num_actions, states))
    for s in range(end):
        first = 1 + WIDTH * ((s - 1) // WIDTH + 1)  # of the next layer
        for a in range(num_actions):
            either = [first, first + 1] if a < num_actions - 1 else [first + int(rng.integers(WIDTH)), end]
            if first >= end:
                transition[s, a, end] = 1.0
            else:
                transition[s, a, either] = _cuts(2, rng)
    reward = rng.standard_normal((states, num_actions, states))
    return MDP(transition, reward, _first(states), np.arange(states) == end, discount, name=f"layered {seed}")


def _first(states: int) -> Floats:
    return np.asarray(np.eye(states)[0])


def _cuts(parts: int, rng: np.random.Generator) -> Floats:
    """Return the lengths of the parts into which uniform cuts divide the unit interval, [parts]."""
    return np.diff(np.concatenate([[0.0], np.sort(rng.random(parts - 1)), [1.0]]))


def _probability(name: str, value: float) -> float:
    try:
        return require_number(name, value, 0.0, 1.0)
    except InputError:
        raise MDPError(f"{name} must be a probability, in [0, 1], not {value!r:.80}") from None
