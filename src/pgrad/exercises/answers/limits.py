"""Exercise: returns where time limits cut episodes, G_t = r_t + γ V(s_{t+1}) at a cut, and r_t at a terminal state."""

from collections.abc import Callable, Sequence

import numpy as np

from pgrad.exact.mdp import Floats
from pgrad.exercises.by_value import ByValue, Case, Property
from pgrad.exercises.episodes import drawn
from pgrad.exercises.exercise import HARD, Exercise, Mistake
from pgrad.verify.returns import recursive
from pgrad.verify.zoo import LEAK, TRUNCATION

NAME = "returns_at_limits"


def cases(rng: np.random.Generator) -> list[Case]:
    """Return recordings of one to three episodes, of either end."""
    ends = ((1,), (0, 2), (0, 1), (0, 0, 2, 0, 1), (2, 0, 1, 0, 0, 2, 1))  # 1 terminated, 2 truncated
    return [
        Case(
            (
                drawn(rng, len(kinds)),
                drawn(rng, len(kinds)),
                drawn(rng, len(kinds)),
                [kind == 1 for kind in kinds],
                [kind == 2 for kind in kinds],
                0.8,
            )
        )
        for kinds in ends
    ]


Follows = Callable[[int], float]


def after_ends(follows: Callable[..., Follows], ends: Callable[[bool, bool], bool]) -> Callable[..., Floats]:
    """Return G_t computed piece by piece, `follows(…)(t)` standing for what comes after the piece that ends at t."""

    def returns(
        rewards: Sequence[float],
        values: Sequence[float],
        next_values: Sequence[float],
        terminated: Sequence[bool],
        truncated: Sequence[bool],
        discount: float,
    ) -> Floats:
        last, begin, result = len(rewards) - 1, 0, np.empty(len(rewards))
        after = follows(values, next_values, terminated, truncated)
        for t in range(len(rewards)):
            if ends(terminated[t], truncated[t]) or t == last:
                result[begin : t + 1] = recursive(np.array(rewards[begin : t + 1]), discount, after(t))
                begin = t + 1
        return result

    return returns


def either(terminated: bool, truncated: bool) -> bool:
    """Return True at any end."""
    return terminated or truncated


RIGHT = after_ends(lambda v, w, terminated, truncated: lambda t: w[t] if truncated[t] else 0.0, either)

MISTAKES = (
    Mistake(
        TRUNCATION,
        "the return ends at a time limit as if nothing came after it: add γ V of the state that followed",
        (after_ends(lambda v, w, terminated, truncated: lambda t: 0.0, either),),
    ),
    Mistake(
        "V is added after a terminal state",
        "after a terminal state there is no reward: its value is 0, whatever V says of it",
        (after_ends(lambda v, w, terminated, truncated: lambda t: w[t], either),),
    ),
    Mistake(
        "terminated and truncated exchanged",
        "V stands for the rest where an episode was *truncated*; where it terminated there is no rest",
        (after_ends(lambda v, w, terminated, truncated: lambda t: w[t] if terminated[t] else 0.0, either),),
    ),
    Mistake(
        "V of the last state in place of the one after it",
        "the step from s_t has led to s_{t+1}: take next_values[t], not values[t]",
        (
            after_ends(lambda v, w, terminated, truncated: lambda t: v[t] if truncated[t] else 0.0, either),
            after_ends(lambda v, w, terminated, truncated: lambda t: v[t], either),
        ),
    ),
    Mistake(
        "V after the reset",
        "values[t + 1] is the first state of the *next* episode: the state after the cut is in next_values[t]",
        (
            after_ends(
                lambda v, w, terminated, truncated: lambda t: v[t + 1] if truncated[t] and t + 1 < len(v) else 0.0,
                either,
            ),
            after_ends(
                lambda v, w, terminated, truncated: (
                    lambda t: (v[t + 1] if t + 1 < len(v) else w[t]) if truncated[t] else 0.0
                ),
                either,
            ),
        ),
    ),
    Mistake(
        LEAK,
        "the running return is not set back at an end, so that the next episode's rewards flow in: set it back at both",
        (
            after_ends(lambda v, w, terminated, truncated: lambda t: 0.0, lambda terminated, truncated: terminated),
            after_ends(lambda v, w, terminated, truncated: lambda t: 0.0, lambda terminated, truncated: False),
            after_ends(
                lambda v, w, terminated, truncated: lambda t: w[t] if truncated[t] else 0.0,
                lambda terminated, truncated: terminated,
            ),
            after_ends(
                lambda v, w, terminated, truncated: lambda t: w[t] if truncated[t] else 0.0,
                lambda terminated, truncated: truncated,
            ),
        ),
    ),
    Mistake(
        "V is not discounted",
        "what comes a step later counts γ times: r_t + γ V(s_{t+1})",
        (
            lambda r, v, w, terminated, truncated, discount: RIGHT(
                r, v, [x / discount for x in w], terminated, truncated, discount
            ),
        ),
    ),
    Mistake(
        "V after every step",
        "r_t + γ V(s_{t+1}) is a target of one step: here only the cut uses V, other steps use G_{t+1}",
        (
            after_ends(lambda v, w, terminated, truncated: lambda t: 0.0 if terminated[t] else w[t], lambda a, b: True),
            after_ends(lambda v, w, terminated, truncated: lambda t: w[t], lambda a, b: True),
        ),
    ),
)


EXERCISE = Exercise(
    name=NAME,
    title="Time limits: the end that is none",
    difficulty=HARD,
    minutes=10,
    praise="V of the state after a cut stands for the rest, nothing follows a terminal state, and no episode leaks",
    starter='''
def returns_at_limits(rewards, values, next_values, terminated, truncated, discount):
    """Return G_t of every step of a recording in which one episode follows the other.

    At each step t: rewards[t], values[t] = V(s_t), next_values[t] = V of the state that the step led to, before any
    reset; terminated[t] if that state is terminal, truncated[t] if a time limit cut the episode there. The recording
    ends with one of both. G_t = rewards[t] + discount * (what follows).
    """
    return ...
''',
    hints=(
        "Three things can follow a step: another step, nothing, or what was not recorded. What stands for each?",
        "what follows is G_{t+1}, or ___ if terminated, or ___ if truncated",
        "running = rewards[t] + discount * (0 if terminated[t] else next_values[t] if ...",
    ),
    solutions={
        "loops": """
def returns_at_limits(rewards, values, next_values, terminated, truncated, discount):
    result, running = [0.0] * len(rewards), 0.0
    for t in reversed(range(len(rewards))):
        if terminated[t]:
            running = 0.0
        elif truncated[t]:
            running = next_values[t]
        running = rewards[t] + discount * running
        result[t] = running
    return result
""",
        "NumPy": """
import numpy as np


def returns_at_limits(rewards, values, next_values, terminated, truncated, discount):
    result = np.array(rewards) + discount * np.where(truncated, next_values, 0.0)
    goes_on = ~(np.array(terminated) | np.array(truncated))
    for t in reversed(range(len(result) - 1)):
        result[t] += discount * goes_on[t] * result[t + 1]
    return result
""",
        "PyTorch": """
import torch


def returns_at_limits(rewards, values, next_values, terminated, truncated, discount):
    cut, over = torch.tensor(truncated), torch.tensor(terminated)
    result = torch.tensor(rewards) + discount * cut * torch.tensor(next_values)
    for t in reversed(range(len(result) - 1)):
        if not (cut[t] or over[t]):
            result[t] += discount * result[t + 1]
    return result
""",
    },
    judge=ByValue(
        NAME,
        RIGHT,
        cases,
        MISTAKES,
        "G_t of each step",
        (
            Property(
                "terminal states are right",
                lambda g, r, v, w, ended, cut, discount: np.allclose(
                    g[np.array(ended)], np.array(r)[np.array(ended)], atol=1e-4
                ),
            ),
            Property(
                "time limits are right",
                lambda g, r, v, w, ended, cut, discount: np.allclose(
                    g[np.array(cut)], (np.array(r) + discount * np.array(w))[np.array(cut)], atol=1e-4
                ),
            ),
        ),
        labels=lambda r, v, w, ended, cut, discount: [
            f"r = {x:.4g}{', terminated' if ended[t] else ', truncated' if cut[t] else ''}" for t, x in enumerate(r)
        ],
    ),
)
