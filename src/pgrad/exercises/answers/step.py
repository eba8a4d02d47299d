"""Exercise: steps of REINFORCE on a softmax by hand, h ← h + α G (onehot(a) - π)."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pgrad.exact.mdp import Floats
from pgrad.exercises.by_value import ByValue, Case, Property
from pgrad.exercises.episodes import drawn
from pgrad.exercises.exercise import MEDIUM, Exercise, Mistake
from pgrad.policies.softmax import log_softmax, score, softmax

Push = Callable[[Floats, int, float, float], Any]  # of h, a, G and α: what is added to h


def steps(push: Push) -> Callable[..., Floats]:
    """Return the function that takes one step after the other, each at the preferences that the last one left."""

    def walk(h: Floats, actions: Sequence[int], gains: Sequence[float], rate: float) -> Floats:
        for a, gain in zip(actions, gains, strict=True):
            h = h + push(h, a, gain, rate)
        return h

    return walk


def at_once(h: Floats, actions: Sequence[int], gains: Sequence[float], rate: float) -> Floats:
    """Take all steps at the first preferences."""
    return h + sum(rate * gain * score(h, a) for a, gain in zip(actions, gains, strict=True))


def of_first(h: Floats, actions: Sequence[int], gains: Sequence[float], rate: float) -> Floats:
    """Take the first step alone."""
    return h + rate * gains[0] * score(h, actions[0])


def of_last(h: Floats, actions: Sequence[int], gains: Sequence[float], rate: float) -> Floats:
    """Take the last step alone."""
    return h + rate * gains[-1] * score(h, actions[-1])


def cases(rng: np.random.Generator) -> list[Case]:
    """Return one step, then several."""
    several = [
        Case(
            (
                np.array(drawn(rng, actions)),
                [int(a) for a in rng.integers(actions, size=count)],
                drawn(rng, count, -3.0, 3.0),
                0.5,
            )
        )
        for actions, count in ((2, 1), (3, 1), (3, 2), (4, 5))
    ]
    return [
        Case((np.array([0.5, -0.2, 0.1]), [1], [2.0], 0.1)),
        *several,
        Case((np.zeros(2), [0, 0, 1], [1.0, -2.0, 3.0], 0.3)),
    ]


REINFORCE = steps(lambda h, a, gain, rate: rate * gain * score(h, a))

MISTAKES = (
    Mistake(
        "descent in place of ascent",
        "good returns make their action less likely: add the gradient, h + α G (onehot - π)",
        (steps(lambda h, a, gain, rate: -rate * gain * score(h, a)),),
    ),
    Mistake(
        "the old π is used after a step",
        "π is computed once, before the loop: after each step the preferences differ, so compute π again",
        (at_once,),
    ),
    Mistake(
        "all actions are pushed alike",
        "every action gets the same, or its own one: only the action taken has the 1 in onehot - π",
        (
            steps(lambda h, a, gain, rate: rate * gain),
            steps(lambda h, a, gain, rate: rate * gain * (1 - softmax(h))),
            steps(lambda h, a, gain, rate: rate * gain * (1 - softmax(h)[a])),
            steps(lambda h, a, gain, rate: rate * gain * softmax(h)),
        ),
    ),
    Mistake(
        "only the action taken is pushed",
        "what one action gains the others lose: subtract α G π from all preferences as well",
        (
            steps(lambda h, a, gain, rate: rate * gain * np.eye(h.size)[a]),
            steps(lambda h, a, gain, rate: rate * gain * (1 - softmax(h)[a]) * np.eye(h.size)[a]),
        ),
    ),
    Mistake(
        "the return is left out",
        "every action is reinforced, the bad ones too: multiply the step by the return",
        (steps(lambda h, a, gain, rate: rate * score(h, a)),),
    ),
    Mistake(
        "the size of the return without its sign",
        "a bad return must push its action down: multiply by the return itself",
        (steps(lambda h, a, gain, rate: rate * abs(gain) * score(h, a)),),
    ),
    Mistake(
        "the sign of the return alone",
        "a return of 3 moves the preferences three times as far as one of 1",
        (steps(lambda h, a, gain, rate: rate * np.sign(gain) * score(h, a)),),
    ),
    Mistake(
        "negative returns are left out",
        "a bad return pushes its action down: that is half of what there is to learn",
        (steps(lambda h, a, gain, rate: rate * max(gain, 0.0) * score(h, a)),),
    ),
    Mistake(
        "the learning rate is left out",
        "the step is G (onehot - π), without α in front",
        (steps(lambda h, a, gain, rate: gain * score(h, a)),),
    ),
    Mistake(
        "∇π in place of ∇log π",
        "probable actions are pushed too hard: divide by π(a), which cancels the one in ∇π",
        (steps(lambda h, a, gain, rate: rate * gain * softmax(h)[a] * score(h, a)),),
    ),
    Mistake(
        "log π in place of its gradient",
        "the value of log π says nothing of the direction: its gradient is onehot - π",
        (
            steps(lambda h, a, gain, rate: rate * gain * log_softmax(h)),
            steps(lambda h, a, gain, rate: rate * gain * log_softmax(h)[a]),
            steps(lambda h, a, gain, rate: rate * gain * log_softmax(h)[a] * np.eye(h.size)[a]),
        ),
    ),
    Mistake(
        "only the change is returned",
        "this is what is to be added: return the new preferences",
        (lambda h, a, gains, rate: REINFORCE(h, a, gains, rate) - h,),
    ),
    Mistake("only the first step", "the loop returns after one step: return after it", (of_first,)),
    Mistake("only the last step", "each step begins at the first preferences: go on from the last ones", (of_last,)),
    Mistake(
        "probabilities in place of preferences",
        "the new preferences are wanted, before any softmax",
        (lambda h, a, gains, rate: softmax(REINFORCE(h, a, gains, rate)),),
    ),
)


EXERCISE = Exercise(
    name="reinforce",
    title="REINFORCE by hand: which preferences move, and which way?",
    difficulty=MEDIUM,
    minutes=8,
    praise="each step adds α G (onehot(a) - π) with the π of that moment",
    starter='''
import numpy as np


def reinforce(preferences, actions, returns, learning_rate):
    """Return the preferences after one step of gradient ascent for each action and its return, one after the other.

    The policy is softmax(preferences). Each step adds learning_rate * return * (gradient of log pi(action)).
    """
    return ...
''',
    hints=(
        "After the first step the preferences are others. What does the second step use?",
        "h ← h + α G (onehot(___) - ___)",
        "for a, g in zip(actions, returns): pi = softmax(h); h = h + ...",
    ),
    solutions={
        "loops": """
import math


def reinforce(preferences, actions, returns, learning_rate):
    h = list(preferences)
    for action, gain in zip(actions, returns):
        exponentials = [math.exp(x) for x in h]
        pi = [e / sum(exponentials) for e in exponentials]
        h = [x + learning_rate * gain * ((k == action) - pi[k]) for k, x in enumerate(h)]
    return h
""",
        "NumPy": """
import numpy as np


def reinforce(preferences, actions, returns, learning_rate):
    h = np.array(preferences)
    for action, gain in zip(actions, returns):
        pi = np.exp(h - h.max())
        pi /= pi.sum()
        h += learning_rate * gain * (np.eye(len(h))[action] - pi)
    return h
""",
        "PyTorch": """
import torch


def reinforce(preferences, actions, returns, learning_rate):
    h = torch.tensor(preferences, requires_grad=True)
    for action, gain in zip(actions, returns):
        objective = gain * torch.log_softmax(h, dim=-1)[action]
        (gradient,) = torch.autograd.grad(objective, h)
        h = (h + learning_rate * gradient).detach().requires_grad_()
    return h
""",
    },
    judge=ByValue(
        "reinforce",
        REINFORCE,
        cases,
        MISTAKES,
        "preference of each action afterwards",
        (
            Property(
                "the preferences' sum stays as it was", lambda new, h, a, g, rate: abs(new.sum() - h.sum()) < 1e-4
            ),
            Property(
                "a single step goes the right way", lambda new, h, a, g, rate: len(a) > 1 or (new - h)[a[0]] * g[0] > 0
            ),
            Property(
                "a single step is right",
                lambda new, h, a, g, rate: len(a) > 1 or np.allclose(new, of_first(h, a, g, rate), atol=1e-4),
            ),
        ),
        labels=lambda h, a, g, rate: [f"h = {x:.4g}" for x in h],
    ),
)
