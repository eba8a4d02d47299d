"""Exercise: one row of the policy gradient theorem's table, p(ω) G(ω) Σ_t ∇log π(a_t | s_t)."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from pgrad import exact
from pgrad.exercises.by_value import ByValue, Case
from pgrad.exercises.exercise import MEDIUM, Exercise, Mistake
from pgrad.verify.returns import total_return

NAME = "theorem_row"

Row = tuple[list[float], list[float], list[float], float]


def rows(rng: np.random.Generator) -> list[Row]:
    """Return all trajectories of a slippery chain under a random policy of one parameter, the shortest first."""
    features = np.zeros((3, 2, 1))
    features[[0, 1], 1, 0] = 1.0, -0.7
    mdp = replace(exact.chain(2, slip=float(rng.integers(1, 4)) / 10, discount=0.9), time_limit=3)
    policy = exact.Linear(features)(rng.uniform(-1, 1, 1))
    trajectories, chances = exact.enumerate_trajectories(mdp, policy)
    result = []
    for one, chance in zip(trajectories, chances, strict=True):
        following = [*one.states[1:], None]
        taken = one.probabilities[np.arange(len(one)), one.actions]
        known = [
            mdp.transition[s, a, f] for s, a, f in zip(one.states, one.actions, following, strict=True) if f is not None
        ]
        last = float(chance / np.prod(taken) / np.prod(known))  # to where the last step led
        gain = float(total_return(one)[0])
        result.append((taken.tolist(), [*map(float, known), last], one.scores[:, 0].tolist(), gain))
    return sorted(result, key=lambda row: len(row[0]))


def cases(rng: np.random.Generator) -> list[Case]:
    """Return a few of them."""
    every = rows(rng)
    picked = rng.choice(len(every) - 1, 6, replace=False) + 1
    return [Case(([0.5], [0.9], [0.5], 2.0)), *(Case(every[k]) for k in (0, *sorted(picked)))]


def product(pi: Sequence[float], dynamics: Sequence[float], scores: Sequence[float], gain: float) -> float:
    """Return p(ω) G(ω) Σ_t ∇log π."""
    return float(np.prod(pi) * np.prod(dynamics) * gain * np.sum(scores))


MISTAKES = (
    Mistake(
        "the dynamics are left out of the probability",
        "p(ω) is how often a trajectory occurs, and slipping belongs to that: only in ∇log p(ω) the dynamics drop out",
        (lambda p, d, s, g: np.prod(p) * g * np.sum(s),),
    ),
    Mistake(
        "the policy is left out of the probability",
        "p(ω) is the product over the actions' probabilities and over the dynamics",
        (lambda p, d, s, g: np.prod(d) * g * np.sum(s),),
    ),
    Mistake(
        "the dynamics are kept in ∇log p(ω)",
        "log p(s'|s,a) has no θ, and its gradient is zero: the sum holds the policy's scores alone",
        (
            lambda p, d, s, g: np.prod(p) * np.prod(d) * g * (np.sum(s) + np.sum(np.log(d))),
            lambda p, d, s, g: np.prod(p) * np.prod(d) * g * (np.sum(s) + np.sum(d)),
            lambda p, d, s, g: np.prod(p) * np.prod(d) * g * np.sum(np.array(s) * d),
        ),
    ),
    Mistake(
        "the probability squared",
        "p(ω) is in the average once: ∇p = p ∇log p has no second one",
        (
            lambda p, d, s, g: (np.prod(p) * np.prod(d)) ** 2 * g * np.sum(s),
            lambda p, d, s, g: np.prod(p) ** 2 * np.prod(d) * g * np.sum(s),
            lambda p, d, s, g: np.prod(p) * np.prod(d) * g * np.sum(np.array(s) * p),
        ),
    ),
    Mistake(
        "the probability is left out",
        "that is one sample; in the table each row counts with its probability p(ω)",
        (lambda p, d, s, g: g * np.sum(s),),
    ),
    Mistake(
        "log p in place of p",
        "a row counts with the probability itself, the product, not with the sum of logarithms",
        (
            lambda p, d, s, g: (np.sum(np.log(p)) + np.sum(np.log(d))) * g * np.sum(s),
            lambda p, d, s, g: np.sum(np.log(p)) * g * np.sum(s),
        ),
    ),
    Mistake(
        "the sum of the probabilities",
        "one thing *and* the other happens: multiply the probabilities",
        (
            lambda p, d, s, g: (np.sum(p) + np.sum(d)) * g * np.sum(s),
            lambda p, d, s, g: np.sum(p) * np.sum(d) * g * np.sum(s),
            lambda p, d, s, g: np.sum(np.array(p) * d) * g * np.sum(s),
        ),
    ),
    Mistake(
        "the product of the scores",
        "log of a product is a sum, and so is its gradient: add the scores",
        (lambda p, d, s, g: np.prod(p) * np.prod(d) * g * np.prod(s),),
    ),
    Mistake(
        "the mean of the scores",
        "the gradient of log p(ω) is the *sum* over the steps",
        (lambda p, d, s, g: np.prod(p) * np.prod(d) * g * np.mean(s),),
    ),
    Mistake(
        "the return is left out",
        "without G(ω) the rows add up to zero: multiply by the return",
        (lambda p, d, s, g: np.prod(p) * np.prod(d) * np.sum(s),),
    ),
    Mistake(
        "the row of J in place of that of ∇J",
        "p(ω) G(ω) adds up to J: multiply by the sum of the scores as well",
        (lambda p, d, s, g: np.prod(p) * np.prod(d) * g,),
    ),
    Mistake(
        "each step with its own probability alone",
        "the probability of the whole trajectory multiplies every score: take the products before the sum",
        (
            lambda p, d, s, g: g * np.sum(np.array(s) * p * d),
            lambda p, d, s, g: g * np.sum(np.array(s) * p),
            lambda p, d, s, g: g * np.sum(np.array(s) * np.cumprod(p) * np.cumprod(d)),
        ),
    ),
)


EXERCISE = Exercise(
    name=NAME,
    title="The theorem's table: the product of one row",
    difficulty=MEDIUM,
    minutes=6,
    praise="each row is p(ω) G(ω) Σ_t ∇log π; all rows together are ∇J",
    starter='''
def theorem_row(action_probs, transition_probs, scores, total_return):
    """Return what one trajectory contributes to the gradient of J: p * G * (gradient of log p).

    action_probs[t] is pi(a_t | s_t), transition_probs[t] is p(s_{t+1} | s_t, a_t), scores[t] is the derivative of
    log pi(a_t | s_t) by the one parameter theta; total_return is G. The start is certain. p is the probability of the
    whole trajectory.
    """
    return ...
''',
    hints=(
        "Which factors of p(ω) change if you change θ?",
        "Π_t ___ · Π_t ___ · G · Σ_t ___",
        "math.prod(action_probs) * math.prod(...) * total_return * ...",
    ),
    solutions={
        "loops": """
def theorem_row(action_probs, transition_probs, scores, total_return):
    probability, score = 1.0, 0.0
    for t in range(len(scores)):
        probability *= action_probs[t] * transition_probs[t]
        score += scores[t]
    return probability * total_return * score
""",
        "NumPy": """
import numpy as np


def theorem_row(action_probs, transition_probs, scores, total_return):
    return np.prod(action_probs) * np.prod(transition_probs) * total_return * np.sum(scores)
""",
        "PyTorch": """
import torch


def theorem_row(action_probs, transition_probs, scores, total_return):
    probability = torch.as_tensor(action_probs).prod() * torch.as_tensor(transition_probs).prod()
    return probability * total_return * torch.as_tensor(scores).sum()
""",
    },
    judge=ByValue(NAME, product, cases, MISTAKES, "the row's contribution to ∇J", labels=lambda *arguments: ["value"]),
)
