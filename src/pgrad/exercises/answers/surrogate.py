"""Exercise: PPO's clipped surrogate, the mean of min(ρ A, clip(ρ, 1 - ε, 1 + ε) A)."""

from collections.abc import Callable

import numpy as np

from pgrad.exact.mdp import Floats
from pgrad.exercises.by_value import ByValue, Case
from pgrad.exercises.exercise import HARD, Exercise, Mistake

NAME = "clipped_surrogate"

# Log-ratios within the clip, beyond it on either side, and far out, each with both signs of the advantage.
LOG_RATIOS = np.array([0.1, -0.15, 0.6, 0.5, -0.7, -0.5, 1.2, -1.1])
SIGNS = np.array([1.0, -1.0, 1.0, -1.0, 1.0, -1.0, -1.0, 1.0])

Term = Callable[[Floats, Floats, float], Floats]  # of ρ, A and ε


def cases(rng: np.random.Generator) -> list[Case]:
    """Return single samples, then batches."""
    old = rng.integers(-30, -14, LOG_RATIOS.size) / 10
    advantages = SIGNS * rng.integers(3, 30, LOG_RATIOS.size) / 10
    new = np.round(old + LOG_RATIOS, 2)
    single = [Case((new[k : k + 1], old[k : k + 1], advantages[k : k + 1], 0.2)) for k in range(LOG_RATIOS.size)]
    return [*single, Case((new[:3], old[:3], advantages[:3], 0.2)), Case((new, old, advantages, 0.3))]


def mean_of(term: Term) -> Callable[..., float]:
    """Return the mean of a term over the samples."""
    return lambda new, old, advantages, epsilon: float(term(np.exp(new - old), advantages, epsilon).mean())


def clipped(ratio: Floats, low: float, high: float) -> Floats:
    """Return the ratio within bounds."""
    return np.clip(ratio, low, high)


def surrogate(ratio: Floats, a: Floats, e: float) -> Floats:
    """Return min(ρ A, clip(ρ, 1 - ε, 1 + ε) A). Schulman et al. (2017), equation 7."""
    return np.minimum(ratio * a, clipped(ratio, 1 - e, 1 + e) * a)


RIGHT = mean_of(surrogate)

MISTAKES = (
    Mistake(
        "not clipped", "ρ A alone has no bound: take the smaller of it and clip(ρ) A", (mean_of(lambda p, a, e: p * a),)
    ),
    Mistake(
        "clipped without the minimum",
        "clip(ρ) A alone has no gradient outside even where a step went the wrong way: take the minimum with ρ A",
        (mean_of(lambda p, a, e: clipped(p, 1 - e, 1 + e) * a),),
    ),
    Mistake(
        "the maximum in place of the minimum",
        "the surrogate is a pessimistic bound: take the smaller of ρ A and clip(ρ) A",
        (mean_of(lambda p, a, e: np.maximum(p * a, clipped(p, 1 - e, 1 + e) * a)),),
    ),
    Mistake(
        "the minimum before the advantage",
        "min(ρ, clip(ρ)) A is another thing where A is negative: multiply both by A first, then take the minimum",
        (
            mean_of(lambda p, a, e: np.minimum(p, clipped(p, 1 - e, 1 + e)) * a),
            mean_of(lambda p, a, e: np.minimum(p, 1 + e) * a),
        ),
    ),
    Mistake(
        "clipped from above only",
        "ρ has two bounds, 1 - ε and 1 + ε: with a negative advantage the lower one counts",
        (mean_of(lambda p, a, e: np.minimum(p * a, np.minimum(p, 1 + e) * a)),),
    ),
    Mistake(
        "clipped to ±ε",
        "the ratio is near 1, not near 0: its bounds are 1 - ε and 1 + ε",
        (
            mean_of(lambda p, a, e: np.minimum(p * a, clipped(p, -e, e) * a)),
            mean_of(lambda p, a, e: clipped(p, -e, e) * a),
        ),
    ),
    Mistake(
        "the logarithm of the ratio",
        "the difference of log-probabilities is log ρ: take its exponential",
        (
            lambda new, old, a, e: surrogate(new - old, a, e).mean(),
            lambda new, old, a, e: ((new - old) * a).mean(),
        ),
    ),
    Mistake(
        "a quotient of log-probabilities",
        "log π / log π_old is no ratio of probabilities: take exp(log π - log π_old)",
        (lambda new, old, a, e: surrogate(new / old, a, e).mean(),),
    ),
    Mistake(
        "the ratio upside down",
        "the new probability stands above the old one: exp(log π - log π_old)",
        (lambda new, old, a, e: surrogate(np.exp(old - new), a, e).mean(),),
    ),
    Mistake(
        "the old policy is not used",
        "the ratio is that of the new probability to the old one",
        (
            lambda new, old, a, e: surrogate(np.exp(new), a, e).mean(),
            lambda new, old, a, e: (new * a).mean(),
        ),
    ),
    Mistake(
        "the sum in place of the mean",
        "it grows with the number of samples: divide by it",
        (lambda new, old, a, e: surrogate(np.exp(new - old), a, e).sum(),),
    ),
    Mistake(
        "the sign of a loss",
        "what is maximised is wanted; the minus belongs to the call of an optimiser that descends",
        (mean_of(lambda p, a, e: -surrogate(p, a, e)),),
    ),
    Mistake(
        "the advantage is left out",
        "the ratios alone say nothing of which actions were good: multiply them by the advantages",
        (
            mean_of(lambda p, a, e: clipped(p, 1 - e, 1 + e)),
            mean_of(lambda p, a, e: np.minimum(p, clipped(p, 1 - e, 1 + e))),
        ),
    ),
    Mistake(
        "the product is clipped",
        "the bounds are the ratio's, not those of ρ A: clip ρ, then multiply by A",
        (
            mean_of(lambda p, a, e: np.minimum(p * a, clipped(p * a, 1 - e, 1 + e))),
            mean_of(lambda p, a, e: clipped(p * a, 1 - e, 1 + e)),
        ),
    ),
)


EXERCISE = Exercise(
    name=NAME,
    title="PPO's clipped surrogate",
    difficulty=HARD,
    minutes=8,
    praise="it is the mean of min(ρ A, clip(ρ, 1 - ε, 1 + ε) A), whose gradient at ρ = 1 is that of the actor-critic",
    starter='''
import numpy as np


def clipped_surrogate(log_probs, old_log_probs, advantages, epsilon):
    """Return the mean over samples of min(rho * A, clip(rho, 1 - epsilon, 1 + epsilon) * A), which is maximised.

    rho is the ratio of the new to the old probability of the action taken; the arguments are arrays, one number a
    sample, except epsilon.
    """
    return ...
''',
    hints=(
        "A sample with A < 0 and ρ = 1.5: should the gradient still push its action down?",
        "ρ = exp(___ - ___);   mean of min(ρ A, ___ A)",
        "np.minimum(ratio * advantages, np.clip(ratio, ...) * advantages)",
    ),
    solutions={
        "loops": """
import math


def clipped_surrogate(log_probs, old_log_probs, advantages, epsilon):
    total = 0.0
    for new, old, advantage in zip(log_probs, old_log_probs, advantages):
        ratio = math.exp(new - old)
        within = min(max(ratio, 1 - epsilon), 1 + epsilon)
        total += min(ratio * advantage, within * advantage)
    return total / len(advantages)
""",
        "NumPy": """
import numpy as np


def clipped_surrogate(log_probs, old_log_probs, advantages, epsilon):
    ratio = np.exp(log_probs - old_log_probs)
    return np.minimum(ratio * advantages, np.clip(ratio, 1 - epsilon, 1 + epsilon) * advantages).mean()
""",
        "PyTorch": """
import torch


def clipped_surrogate(log_probs, old_log_probs, advantages, epsilon):
    advantages = torch.as_tensor(advantages)
    ratio = torch.exp(torch.as_tensor(log_probs) - torch.as_tensor(old_log_probs))
    return torch.minimum(ratio * advantages, ratio.clamp(1 - epsilon, 1 + epsilon) * advantages).mean()
""",
    },
    judge=ByValue(NAME, RIGHT, cases, MISTAKES, "the surrogate", labels=lambda *arguments: ["value"]),
)
