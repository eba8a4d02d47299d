"""Exercise: draw an action from π = softmax(h), and return log π of that action."""

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from pgrad.exact.mdp import Floats
from pgrad.exercises.by_value import same
from pgrad.exercises.calls import WRONG_SHAPE, Learner, Trouble, numbers
from pgrad.exercises.exercise import EASY, Exercise, Finding, Mistake, call_of, typed
from pgrad.exercises.picture import Picture, finite
from pgrad.exercises.verdict import UNKNOWN
from pgrad.policies.softmax import log_softmax, softmax

NAME = "sample_action"
DRAWS = 120  # from each policy
UNLIKELY = 6.5  # standard errors: of the counts of a right answer one in a million is so far off

# No one number gives the most probable action of the first two by inversion: a generator that is made anew in each call
# is told from argmax. The third is far from uniform.
POLICIES = (
    np.array([1.2, 0.5, 0.8]),
    np.array([0.2, 0.0, 0.5, 1.3]),
    np.array([0.0, 2.5, 0.4]),
)

LOG_PROBS = (
    Mistake(
        "softmax twice",
        "the probabilities went through a softmax once more, as by Categorical(logits=π): give it probs=π",
        (lambda h, a: log_softmax(softmax(h))[a], lambda h, a: log_softmax(softmax(softmax(h)))[a]),
    ),
    Mistake(
        "π in place of log π",
        "the second number is the probability: return its logarithm",
        (lambda h, a: softmax(h)[a],),
    ),
    Mistake(
        "-log π in place of log π",
        "a log-probability is never positive: take the minus away, it belongs to what an optimiser minimises",
        (lambda h, a: -log_softmax(h)[a],),
    ),
    Mistake(
        "the preference in place of log π",
        "log π(a) = h_a - log Σ exp(h): subtract the logarithm of the sum",
        (lambda h, a: h[a],),
    ),
    Mistake(
        "the log of a rounded π",
        "probabilities were rounded before the logarithm: keep all digits, or the gradient is lost with them",
        tuple((lambda h, a, digits=digits: np.log(np.round(softmax(h), digits)[a])) for digits in (1, 2, 3, 4)),
    ),
    Mistake(
        "a logarithm to another base",
        "log is the natural one, np.log: its derivative is 1/x without a factor",
        (lambda h, a: log_softmax(h)[a] / np.log(2), lambda h, a: log_softmax(h)[a] / np.log(10)),
    ),
    Mistake(
        "the entropy in place of log π",
        "this is an average over actions: return log π of the action that was drawn",
        (lambda h, a: softmax(h) @ log_softmax(h), lambda h, a: -softmax(h) @ log_softmax(h)),
    ),
)
OTHER = "log π of another action"
DRAWN: tuple[tuple[str, str, Callable[[Floats], Floats]], ...] = (
    (
        "argmax in place of a draw",
        "always the most probable action: nothing else is ever tried, and E[∇log π] is no longer zero; draw from π",
        lambda h: np.eye(h.size)[h.argmax()],
    ),
    (
        "all actions equally often",
        "the draw does not use π: give it the probabilities, for instance rng.choice(len(pi), p=pi)",
        lambda h: np.full(h.size, 1 / h.size),
    ),
    ("softmax twice", LOG_PROBS[0].where, lambda h: softmax(softmax(h))),
    (
        "drawn from other probabilities than π",
        "probable actions come too seldom or too often: the preferences belong into the softmax as they are",
        lambda h: softmax(-h),
    ),
)
SAME_DRAW = "the same draw each time"


def judge(learner: Learner, rng: np.random.Generator) -> Finding:
    """Compare log-probabilities exactly, and frequencies with π."""
    policies = [h + rng.integers(-5, 5) / 10 for h in POLICIES]
    extra = (rng,) if takes_rng(learner.function) else ()
    learner.settle(policies[0], *extra, draws=True)
    rows = [[drawn(learner.call(h, *extra), h.size) for _ in range(DRAWS)] for h in policies]
    for h, draws in zip(policies, rows, strict=True):
        wrong = [(a, x) for a, x in draws if not same(np.array(x), log_softmax(h)[a])]
        if wrong:
            a, x = wrong[0]
            expected, got = f"({a}, {log_softmax(h)[a]:.4g})", f"({a}, {x:.4g})"
            return Finding(
                *of_log_probs(h, draws), holding(policies, rows), call_of(NAME, (h,)), expected, got, seen(h, draws)
            )
    for h, draws in zip(policies, rows, strict=True):
        if far(frequencies(h, draws), softmax(h)):
            mistake = of_frequencies(policies, rows)
            expected = f"actions with frequencies near {typed(np.round(softmax(h), 3))}"
            got = f"frequencies {typed(np.round(frequencies(h, draws), 3))} in {DRAWS} calls"
            holds = ("log π belongs to the action that was drawn",)
            return Finding(*mistake, holds, call_of(NAME, (h,)), expected, got, seen(h, draws))
    return Finding()


def takes_rng(function: Any) -> bool:
    """Return True if a function has a second argument."""
    try:
        inspect.signature(function).bind(0, 0)
    except TypeError:
        return False
    return True


def drawn(result: Any, size: int) -> tuple[int, float]:
    """Return the action and its log-probability; raise Trouble if they are not such a pair."""
    if not isinstance(result, tuple | list) or len(result) != 2:
        numbers(result, (2,))
    action, log_prob = float(numbers(result[0], ())), float(numbers(result[1], ()))
    if not (action.is_integer() and 0 <= action < size):
        raise Trouble(WRONG_SHAPE, f"the action is {action:g}: it must be one of 0 … {size - 1}, and come first")
    return int(action), log_prob


def of_log_probs(h: Floats, draws: list[tuple[int, float]]) -> tuple[str, str]:
    """Return the mistake in the log-probabilities."""
    for mistake in LOG_PROBS:
        for form in mistake.forms:
            if all(same(np.array(x), np.asarray(form(h, a))) for a, x in draws):
                return mistake.name, mistake.where
    if all(min(abs(x - log_softmax(h))) < 1e-4 for _, x in draws):
        return OTHER, "it is log π of an action, but not of the one that is returned: index log π with the action drawn"
    a, x = max(draws, key=lambda draw: abs(draw[1] - log_softmax(h)[draw[0]]))
    return UNKNOWN, f"log π({a}) is returned as {x:.4g}; it should be {log_softmax(h)[a]:.4g}"


def of_frequencies(policies: list[Floats], rows: list[list[tuple[int, float]]]) -> tuple[str, str]:
    """Return the mistake in the draws: the distribution that fits all policies."""
    seen_all = [frequencies(h, draws) for h, draws in zip(policies, rows, strict=True)]
    for name, where, form in DRAWN:
        if not any(far(seen, form(h)) for h, seen in zip(policies, seen_all, strict=True)):
            return name, where
    if all(seen.max() == 1 for seen in seen_all):
        return SAME_DRAW, "every call draws the same action: make the generator once, outside of the function"
    return DRAWN[-1][:2]


def frequencies(h: Floats, draws: list[tuple[int, float]]) -> Floats:
    """Return how often each action was drawn."""
    return np.bincount([a for a, _ in draws], minlength=h.size) / len(draws)


def far(seen: Floats, expected: Floats) -> bool:
    """Return True if frequencies of DRAWS draws are too far from what is expected."""
    error = np.sqrt(expected * (1 - expected) / DRAWS)
    return bool((np.abs(seen - expected) > UNLIKELY * error + 1e-9).any())


def holding(policies: list[Floats], rows: list[list[tuple[int, float]]]) -> tuple[str, ...]:
    """Return what is right."""
    faithful = not any(far(frequencies(h, draws), softmax(h)) for h, draws in zip(policies, rows, strict=True))
    return ("actions are drawn with the frequencies of π",) if faithful else ()


def seen(h: Floats, draws: list[tuple[int, float]]) -> Picture:
    """Return the frequencies as a Picture."""
    labels = tuple(f"action {k}" for k in range(h.size))
    rows = [tuple(finite([x]) for x in column) for column in (frequencies(h, draws), softmax(h))]
    return Picture("frequency of each action", labels, *rows)


EXERCISE = Exercise(
    name=NAME,
    title="A draw from the policy, and its log-probability",
    difficulty=EASY,
    minutes=5,
    praise="actions come as often as π says, each with its own log-probability",
    starter='''
import numpy as np


def sample_action(preferences, rng):
    """Draw an action with probabilities softmax(preferences); return (action, log pi(action)).

    rng is a NumPy generator: rng.random(), rng.choice(...). You may leave it out of the arguments and use another.
    """
    return ...
''',
    hints=(
        "Does every action have a chance? And whose log-probability do you return?",
        "a ~ softmax(h);   log π(a) = h_a - log Σ_k ___",
        "action = rng.choice(len(pi), p=pi); return action, np.log(...)",
    ),
    solutions={
        "loops": """
import math


def sample_action(preferences, rng):
    exponentials = [math.exp(h - max(preferences)) for h in preferences]
    probabilities = [e / sum(exponentials) for e in exponentials]
    left = rng.random()
    for action, probability in enumerate(probabilities):
        left -= probability
        if left < 0:
            break
    return action, math.log(probabilities[action])
""",
        "NumPy": """
import numpy as np


def sample_action(preferences, rng):
    z = preferences - preferences.max()
    log_pi = z - np.log(np.exp(z).sum())
    action = rng.choice(len(log_pi), p=np.exp(log_pi))
    return action, log_pi[action]
""",
        "PyTorch": """
import torch


def sample_action(preferences, rng):
    distribution = torch.distributions.Categorical(logits=torch.as_tensor(preferences))
    action = distribution.sample()
    return action.item(), distribution.log_prob(action)
""",
    },
    judge=judge,
)
