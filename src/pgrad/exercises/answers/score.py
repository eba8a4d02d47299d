"""Exercise: the score of a softmax at a temperature, ∂ log π(a) / ∂h = (onehot(a) - π) / τ."""

import numpy as np

from pgrad.exact.mdp import Floats
from pgrad.exercises.by_value import ByValue, Case, Property
from pgrad.exercises.exercise import MEDIUM, Exercise, Mistake
from pgrad.policies.softmax import score, softmax


def cases(rng: np.random.Generator) -> list[Case]:
    """Return two to five actions, none of them the largest preference alone, at several temperatures."""
    drawn = [
        Case((rng.permutation(size) / 2 + rng.integers(-9, 9) / 10, int(rng.integers(size)), tau))
        for size, tau in ((2, 1.0), (3, 2.0), (4, 0.5), (5, 1.5))
    ]
    return [Case((np.array([1.0, 2.0, 0.5]), 0, 2.0)), Case((np.array([1.0, 2.0, 0.5]), 2, 1.0)), *drawn]


def onehot(h: Floats, action: int) -> Floats:
    """Return 1 for the action, 0 for others."""
    return np.asarray(np.eye(h.size)[action])


MISTAKES = (
    Mistake(
        "π - onehot: the sign is reversed",
        "the action that was taken must go up: the one comes first, onehot - π",
        (lambda h, a, tau: -score(h, a, tau), lambda h, a, tau: softmax(h, tau) - onehot(h, a)),
    ),
    Mistake(
        "no division by τ",
        "the chain rule through h / τ leaves a factor 1/τ in front",
        (lambda h, a, tau: tau * score(h, a, tau),),
    ),
    Mistake(
        "multiplied by τ",
        "the derivative of h / τ is 1/τ: divide onehot - π by τ",
        (lambda h, a, tau: tau**2 * score(h, a, tau),),
    ),
    Mistake(
        "divided by τ twice",
        "the chain rule gives the factor 1/τ once",
        (lambda h, a, tau: score(h, a, tau) / tau,),
    ),
    Mistake(
        "π at the wrong temperature",
        "the probabilities in onehot - π are those of softmax(h / τ), not of softmax(h)",
        (lambda h, a, tau: score(h, a) / tau, lambda h, a, tau: score(h, a)),
    ),
    Mistake(
        "the score of another action",
        "the one belongs to the action that was taken, not to the next, to the first or to the most probable",
        (
            lambda h, a, tau: score(h, (a + 1) % h.size, tau),
            lambda h, a, tau: score(h, (a - 1) % h.size, tau),
            lambda h, a, tau: score(h, 0, tau),
            lambda h, a, tau: score(h, int(h.argmax()), tau),
        ),
    ),
    Mistake(
        "onehot alone",
        "taking one action lowers the others: subtract their probabilities π",
        (
            lambda h, a, tau: onehot(h, a),
            lambda h, a, tau: onehot(h, a) / tau,
            lambda h, a, tau: onehot(h, a) * score(h, a, tau),
            lambda h, a, tau: onehot(h, a) * score(h, a, tau) * tau,
        ),
    ),
    Mistake(
        "∇π in place of ∇log π",
        "this is the derivative of π itself: divide it by π, which cancels",
        (
            lambda h, a, tau: softmax(h, tau)[a] * score(h, a, tau),
            lambda h, a, tau: softmax(h, tau)[a] * score(h, a, tau) * tau,
        ),
    ),
    Mistake(
        "log π in place of its gradient",
        "these are values: differentiate log π(a) by each preference, which gives (onehot - π) / τ",
        (lambda h, a, tau: np.log(softmax(h, tau)),),
    ),
    Mistake(
        "1 - π for every action",
        "only the action that was taken has the one: all others get -π",
        (lambda h, a, tau: 1 - softmax(h, tau), lambda h, a, tau: (1 - softmax(h, tau)) / tau),
    ),
)


EXERCISE = Exercise(
    name="softmax_score",
    title="The score: which way does log π(a) rise?",
    difficulty=MEDIUM,
    minutes=6,
    praise="it is (onehot(a) - π) / τ: the action taken goes up, all others down in proportion to π",
    starter='''
import numpy as np


def softmax_score(preferences, action, temperature=1.0):
    """Return the derivatives of log softmax(h / T)[action] by each preference h, as an array."""
    return ...
''',
    hints=(
        "log π(a) = h_a / τ - log Σ_k exp(h_k / τ): which of the two terms has which preferences?",
        "∂ log π(a) / ∂h_k = (1[k = ___] - ___) / ___",
        "grad = -softmax(h / τ); grad[action] += ...",
    ),
    solutions={
        "loops": """
import math


def softmax_score(preferences, action, temperature=1.0):
    largest = max(preferences)
    exponentials = [math.exp((h - largest) / temperature) for h in preferences]
    total = sum(exponentials)
    return [((k == action) - e / total) / temperature for k, e in enumerate(exponentials)]
""",
        "NumPy": """
import numpy as np


def softmax_score(preferences, action, temperature=1.0):
    z = preferences / temperature
    e = np.exp(z - z.max())
    return (np.eye(len(z))[action] - e / e.sum()) / temperature
""",
        "PyTorch": """
import torch


def softmax_score(preferences, action, temperature=1.0):
    h = torch.tensor(preferences, requires_grad=True)
    torch.log_softmax(h / temperature, dim=-1)[action].backward()
    return h.grad
""",
    },
    judge=ByValue(
        "softmax_score",
        score,
        cases,
        MISTAKES,
        "derivative of log π(a) by each preference",
        (
            Property("the numbers sum to zero", lambda g, h, a, tau: abs(g.sum()) < 1e-4),
            Property("the action taken goes up", lambda g, h, a, tau: bool(g[a] > 0)),
            Property("all other actions go down", lambda g, h, a, tau: bool((np.delete(g, a) < 0).all())),
        ),
        labels=lambda h, a, tau: [f"h = {x:.4g}{', taken' if k == a else ''}" for k, x in enumerate(h)],
    ),
)
