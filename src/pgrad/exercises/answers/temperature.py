"""Exercise: the softmax of preferences at a temperature, π(a) = exp(h_a / τ) / Σ_k exp(h_k / τ)."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from pgrad.exact.mdp import Floats
from pgrad.exercises.by_value import ByValue, Case, Property, same
from pgrad.exercises.calls import OVERFLOWS, Learner, Trouble, as_lists
from pgrad.exercises.exercise import EASY, Exercise, Mistake
from pgrad.policies.softmax import softmax

SEVERAL = np.array([[1.0, 2.0, 3.0], [0.5, -1.0, 2.0]])


def cases(rng: np.random.Generator) -> list[Case]:
    """Return two to five actions at low, middle and high temperature, and what overflows."""
    drawn = [
        Case(((rng.integers(-25, 25, size) / 10 + 0.03), tau)) for size, tau in ((2, 1.0), (3, 0.5), (3, 2.0), (5, 4.0))
    ]
    return [
        Case((np.array([2.0, 1.0, 0.5]), 2.0)),
        Case((np.array([2.0, 1.0, 0.5]), 1.0)),
        *drawn,
        Case((np.array([-1.0, -2.5]), float(rng.integers(3, 9) / 10))),
        Case((np.array([1000.0, 1001.0]), 1.0), extreme=True),
        Case((np.array([2.0, 1.0, 0.5]), 0.001), extreme=True),
        Case((np.array([0.0, 2000.0, 0.0]), 1.0), extreme=True),
        Case((np.array([1000.0, 998.0]), 2.0), extreme=True),
    ]


def plain(z: Any) -> Any:
    """Return exp(z) / Σ exp(z), which overflows."""
    return np.exp(z) / np.exp(z).sum()


def of_dividing_after(h: Floats, tau: float) -> Floats:
    """Return softmax(h) / τ."""
    return np.asarray(softmax(h) / tau)


def mixed(h: Floats, tau: float) -> Floats:
    """Return the ε-greedy mixture with ε = τ."""
    return np.asarray((1 - tau) * np.eye(h.size)[h.argmax()] + tau / h.size)


MISTAKES = (
    Mistake(
        "the largest preference is not subtracted",
        "exp(1000) is too large for a float: subtract the largest of h / τ from all of them first; π stays as it is",
        (lambda h, tau: plain(h / tau),),
    ),
    Mistake(
        "the largest is subtracted before dividing by τ",
        "h / τ - max(h) still overflows at a small τ: divide first, then subtract the largest of what you got",
        (lambda h, tau: plain(h / tau - h.max()),),
    ),
    Mistake(
        "not the largest is subtracted",
        "what is left after subtracting the mean, the smallest or the first can still be large: subtract the largest",
        (
            lambda h, tau: plain(h / tau - np.mean(h / tau)),
            lambda h, tau: plain(h / tau - np.min(h / tau)),
            lambda h, tau: plain((h - h[-1]) / tau),
            lambda h, tau: plain((h - h[0]) / tau),
        ),
    ),
    Mistake(
        "clipped before the exponential",
        "preferences beyond the clip become alike, though they differ: subtract the largest of h / τ instead",
        tuple(
            (lambda h, tau, most=most: plain(np.clip(h / tau, -most, most)))
            for most in (20.0, 50.0, 100.0, 500.0, 700.0)
        ),
    ),
    Mistake(
        "multiplied by τ",
        "a high temperature must make the actions more alike: divide the preferences by it",
        (lambda h, tau: softmax(h * tau), lambda h, tau: plain(h * tau)),
    ),
    Mistake(
        "τ changes nothing",
        "the answer is the same at every temperature: divide the preferences by τ inside the exponential, exp(h / τ); "
        "outside of it, as in exp(h) / τ, it cancels",
        (lambda h, tau: softmax(h), lambda h, tau: plain(h)),
    ),
    Mistake(
        "divided by τ after the softmax",
        "the answer no longer sums to one: divide the preferences by τ, not the probabilities",
        (of_dividing_after, lambda h, tau: plain(h) / tau),
    ),
    Mistake(
        "τ squared",
        "the preferences are divided by τ twice: once is enough",
        (lambda h, tau: softmax(h, tau**2), lambda h, tau: plain(h / tau / tau)),
    ),
    Mistake(
        "the square root of τ",
        "the preferences are divided by √τ: divide them by τ itself",
        (lambda h, tau: softmax(h, tau**0.5),),
    ),
    Mistake(
        "a sigmoid in place of the softmax",
        "each action is squashed by itself, and they need not sum to one: divide exp(h / τ) by its sum over actions",
        (lambda h, tau: 1 / (1 + np.exp(-h / tau)), lambda h, tau: 1 / (1 + np.exp(-h))),
    ),
    Mistake(
        "an ε-greedy mixture",
        "the best action gets one share and all others the same: use exp(h / τ), in which every preference counts",
        (mixed, lambda h, tau: mixed(h, min(tau, 1.0)), lambda h, tau: mixed(h, tau / (1 + tau))),
    ),
    Mistake(
        "not normalised",
        "the numbers do not sum to one: divide them by their sum",
        (
            lambda h, tau: np.exp(h / tau),
            lambda h, tau: np.exp((h - h.max()) / tau),
            lambda h, tau: np.exp(h / tau) / np.exp(h / tau).max(),
            lambda h, tau: np.exp(h / tau) / np.linalg.norm(np.exp(h / tau)),
            lambda h, tau: np.exp(h),
            lambda h, tau: np.exp(h * tau),
        ),
    ),
    Mistake(
        "divided by the number of actions",
        "a mean stands where the sum belongs: divide by the sum of the exponentials",
        (
            lambda h, tau: plain(h / tau) * h.size,
            lambda h, tau: np.exp(h / tau) / h.size,
            lambda h, tau: np.exp((h - h.max()) / tau) / h.size,
        ),
    ),
    Mistake(
        "no exponential",
        "preferences are divided by their sum, and negative ones give negative probabilities: take exp(h / τ) first",
        (lambda h, tau: h / tau / (h / tau).sum(), lambda h, tau: h / h.sum()),
    ),
    Mistake(
        "softmax twice",
        "the probabilities went through a softmax once more, which makes them more alike: once is enough",
        (lambda h, tau: softmax(softmax(h, tau)), lambda h, tau: softmax(softmax(h), tau)),
    ),
    Mistake(
        "another base than e",
        "2^z or 10^z in place of exp(z) is another temperature: use exp",
        (lambda h, tau: softmax(h * np.log(2), tau), lambda h, tau: softmax(h * np.log(10), tau)),
    ),
    Mistake(
        "log π in place of π",
        "these are the logarithms of the probabilities: take the exponential of them",
        (lambda h, tau: np.log(softmax(h, tau)),),
    ),
    Mistake(
        "the sign of the preferences is reversed",
        "the largest preference gets the smallest probability: look for a minus in the exponent",
        (lambda h, tau: softmax(-h, tau), lambda h, tau: plain(-h / tau)),
    ),
    Mistake(
        "argmax in place of probabilities",
        "the best action gets all: that is the limit τ → 0; the others keep exp(h / τ)",
        (lambda h, tau: np.eye(h.size)[h.argmax()],),
    ),
    Mistake(
        "uniform, whatever the preferences",
        "all actions get the same share: the preferences are not used, or they cancel",
        (lambda h, tau: np.full(h.size, 1 / h.size),),
    ),
)


PROPERTIES = (
    Property("the probabilities sum to one", lambda p, h, tau: abs(p.sum() - 1) < 1e-4),
    Property("no probability is negative", lambda p, h, tau: bool((p >= 0).all())),
    Property(
        "larger preferences get larger probabilities", lambda p, h, tau: bool((np.diff(p[np.argsort(h)]) >= 0).all())
    ),
    Property("at τ = 1 it is the softmax", lambda p, h, tau: tau != 1 or same(p, softmax(h))),
)


def notes(learner: Learner) -> Iterator[str]:
    """Yield what several states at once give, where that works."""
    try:
        rows = np.asarray(as_lists(learner.call(SEVERAL, 1.0)), np.float64)
    except (Trouble, *OVERFLOWS, ValueError, TypeError):
        return
    if rows.shape == SEVERAL.shape and not same(rows, softmax(SEVERAL)):
        yield "one state is right; of several, [N, A], it takes the wrong axis: axis=-1, keepdims=True would be right"


EXERCISE = Exercise(
    name="temperature_softmax",
    title="Preferences to probabilities: a softmax with a temperature",
    difficulty=EASY,
    minutes=5,
    praise="it follows π(a) = exp(h_a / τ) / Σ_k exp(h_k / τ) at every temperature, and nothing overflows",
    starter='''
import numpy as np


def temperature_softmax(preferences, temperature=1.0):
    """Return the probabilities exp(h / T) / sum(exp(h / T)) of preferences h, an array of numbers, as an array.

    They must come out right for preferences of 1000 and temperatures of 0.001 as well.
    """
    return ...
''',
    hints=(
        "What does a very high temperature do to the differences between preferences? And exp(1000)?",
        "z = h / ___;   π = exp(z - ___) / Σ exp(z - ___)",
        "z = preferences / temperature; e = np.exp(z - ...)",
    ),
    solutions={
        "loops": """
import math


def temperature_softmax(preferences, temperature=1.0):
    scaled = [h / temperature for h in preferences]
    largest = max(scaled)
    exponentials = [math.exp(z - largest) for z in scaled]
    return [e / sum(exponentials) for e in exponentials]
""",
        "NumPy": """
import numpy as np


def temperature_softmax(preferences, temperature=1.0):
    z = np.asarray(preferences) / temperature
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)
""",
        "PyTorch": """
import torch


def temperature_softmax(preferences, temperature=1.0):
    return torch.softmax(torch.as_tensor(preferences) / temperature, dim=-1)
""",
    },
    judge=ByValue(
        "temperature_softmax",
        softmax,
        cases,
        MISTAKES,
        "probability of each action",
        PROPERTIES,
        labels=lambda h, tau: [f"h = {x:.4g}" for x in h],
        notes=notes,
    ),
)
