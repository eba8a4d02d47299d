"""Exercise: the reward-to-go, G_t = Σ_{k ≥ t} γ^(k-t) r_k, of every step of one episode."""

import numpy as np

from pgrad.exercises.by_value import ByValue, Case, Property
from pgrad.exercises.episodes import drawn, from_zoo, of_rewards
from pgrad.exercises.exercise import EASY, Exercise, Mistake
from pgrad.verify import returns
from pgrad.verify.parts import discounted, discounted_backwards
from pgrad.verify.zoo import FORWARD


def cases(rng: np.random.Generator) -> list[Case]:
    """Return episodes of one to five steps."""
    lengths = ((2, 0.5), (3, 0.9), (5, 0.7), (4, 1.0))
    return [
        Case(([1.0, 2.0, 4.0], 0.5)),
        Case(([3.0], 0.9)),
        *(Case((drawn(rng, size), discount)) for size, discount in lengths),
        Case(([0.0, 0.0, 1.0], 0.0)),
    ]


RIGHT = of_rewards(returns.reward_to_go)

MISTAKES = (
    Mistake(
        "the total return at every step",
        "G_0 stands at every step: rewards before step t are not the action's doing, so begin the sum at t",
        (of_rewards(returns.total_return),),
    ),
    Mistake(
        "γ counted from the start of the episode",
        "each reward is discounted from step 0, γ^k: from step t on it is γ^(k-t), so that G_t begins with r_t itself",
        (of_rewards(lambda one: discounted(one) * returns.reward_to_go(one)),),
    ),
    Mistake(
        "γ once too often",
        "the step's own reward is not discounted: G_t = r_t + γ G_{t+1}, with γ on the second term alone",
        (of_rewards(lambda one: one.discount * returns.reward_to_go(one)),),
    ),
    Mistake(
        "γ^t counted from the end",
        "the powers of γ run backwards: the nearest reward has γ^0",
        (
            of_rewards(lambda one: discounted_backwards(one) * returns.reward_to_go(one)),
            of_rewards(lambda one: np.cumsum((discounted_backwards(one) * one.rewards)[::-1])[::-1]),
        ),
    ),
    Mistake(
        "the list is reversed",
        "the numbers are right, in the order in which the loop found them, from the end: turn the list round",
        (of_rewards(returns.reversed_in_time),),
    ),
    Mistake(
        FORWARD,
        "step t gets the rewards before it: run the loop from the end of the episode",
        (
            *from_zoo(FORWARD).forms,
            of_rewards(lambda one: returns.forward_running(one)[::-1]),
            of_rewards(lambda one: np.cumsum(one.rewards * discounted_backwards(one))),
        ),
    ),
    Mistake(
        "γ is not used",
        "rewards are added up without discounting: each step that a reward is further away multiplies it by γ",
        (of_rewards(returns.undiscounted),),
    ),
    from_zoo("γ² instead of γ in the return"),
    from_zoo("the step's own reward left out"),
    from_zoo("returns one step late"),
    from_zoo("immediate reward only"),
    Mistake(
        "one step ahead only",
        "G_t is r_t + γ r_{t+1} and ends there: use G_{t+1}, which holds all later rewards, in place of r_{t+1}",
        (of_rewards(returns.window(2)),),
    ),
    Mistake(
        "discounted in both directions",
        "every step gets all rewards, discounted by their distance: leave out those before step t",
        (of_rewards(lambda one: returns.reward_to_go(one) + returns.forward_running(one) - one.rewards),),
    ),
    Mistake(
        "γ fixed in the code",
        "the argument `discount` is not used, and another number stands in its place: use the argument",
        tuple((lambda r, discount, fixed=fixed: RIGHT(r, fixed)) for fixed in (0.99, 0.95, 0.9, 0.5)),
    ),
    Mistake(
        "γ on the reward in place of what follows",
        "G_t = r_t + γ G_{t+1}: γ belongs to the return of the next step, not to the reward of this one",
        (of_rewards(lambda one: one.discount * returns.undiscounted(one)),),
    ),
    Mistake(
        "one power of γ for all later rewards",
        "each reward has its own power: γ^(k-t) for the one at step k, which is 1 for the step's own",
        (of_rewards(lambda one: discounted(one) * returns.undiscounted(one)),),
    ),
    Mistake(
        "minus in place of plus",
        "what follows is added: G_t = r_t + γ G_{t+1}",
        (of_rewards(lambda one: returns.recursive(one.rewards, -one.discount)),),
    ),
    Mistake(
        "the last reward left out",
        "the loop ends one step early, and the last reward is in no sum",
        (of_rewards(lambda one: returns.recursive(np.append(one.rewards[:-1], 0.0), one.discount)),),
    ),
    Mistake(
        "centred or whitened",
        "the mean is subtracted, or they are divided by a deviation: that comes later, if at all; return G_t itself",
        (*from_zoo("per-episode centring").forms, *from_zoo("per-episode whitening").forms),
    ),
)


EXERCISE = Exercise(
    name="rewards_to_go",
    title="Rewards-to-go: what follows from an action",
    difficulty=EASY,
    minutes=5,
    praise="step t gets r_t and what follows, each step later discounted by γ once more",
    starter='''
def rewards_to_go(rewards, discount):
    """Return [G_0, G_1, ...] of one episode's rewards, where G_t = sum of discount**(k - t) * rewards[k] for k >= t."""
    return ...
''',
    hints=(
        "What is G of the last step? And if you know G_{t+1}, what is G_t?",
        "G_t = r_t + ___ · G_{___}",
        "for t in reversed(range(len(rewards))): running = rewards[t] + ...",
    ),
    solutions={
        "loops": """
def rewards_to_go(rewards, discount):
    result, running = [], 0.0
    for reward in reversed(rewards):
        running = reward + discount * running
        result.insert(0, running)
    return result
""",
        "NumPy": """
import numpy as np


def rewards_to_go(rewards, discount):
    steps = np.arange(len(rewards))
    later = np.maximum(steps[None, :] - steps[:, None], 0)
    return np.triu(discount**later) @ np.asarray(rewards)
""",
        "PyTorch": """
import torch


def rewards_to_go(rewards, discount):
    result = torch.tensor(rewards)
    for t in reversed(range(len(result) - 1)):
        result[t] += discount * result[t + 1]
    return result
""",
    },
    judge=ByValue(
        "rewards_to_go",
        RIGHT,
        cases,
        MISTAKES,
        "G_t of each step",
        (
            Property("the last step's return is its reward", lambda g, r, discount: abs(g[-1] - r[-1]) < 1e-4),
            Property(
                "the first step's return is that of the episode",
                lambda g, r, discount: abs(g[0] - RIGHT(r, discount)[0]) < 1e-4,
            ),
            Property(
                "without discounting it is right", lambda g, r, discount: discount < 1 or np.allclose(g, RIGHT(r, 1.0))
            ),
        ),
        labels=lambda rewards, discount: [f"r = {r:.4g}" for r in rewards],
    ),
)
