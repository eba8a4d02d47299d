"""Exercise: the estimate of the policy gradient, 1/N Σ_i G(τ_i) Σ_t log π(a_t | s_t), whose gradient estimates ∇J."""

from collections.abc import Callable, Sequence

import numpy as np

from pgrad.estimators.episodes import estimate_policy_gradient
from pgrad.exact.mdp import Floats
from pgrad.exercises.by_weight import ByWeight, Probe
from pgrad.exercises.episodes import drawn, trajectory
from pgrad.exercises.exercise import MEDIUM, Exercise, Mistake
from pgrad.verify import returns
from pgrad.verify.parts import Batch
from pgrad.verify.recognition import TOTAL, known_psis


def probe(rng: np.random.Generator, lengths: Sequence[int]) -> Probe:
    """Return episodes of these lengths, and their returns at γ = 1: a good one, a bad one, and so on."""
    batch = [trajectory(turned(drawn(rng, length), bad=i % 2 == 1), 1.0) for i, length in enumerate(lengths)]
    (gains,) = returns_of(batch)
    return Probe([drawn(rng, length, -3.0, -1.2) for length in lengths], ([round(g, 1) for g in gains],), batch)


def returns_of(batch: Batch) -> tuple[list[float]]:
    """Return the return of each episode."""
    return ([float(returns.total_return(one)[0]) for one in batch],)


def turned(rewards: list[float], bad: bool) -> list[float]:
    """Return the rewards with such signs that their sum, which is not near zero, is negative if they are bad."""
    if abs(sum(rewards)) < 0.3:
        rewards[0] += 0.7
    return [-r for r in rewards] if bad == (sum(rewards) > 0) else rewards


def of_episodes(value: Callable[[Floats, float], float]) -> Callable[[Probe], float]:
    """Return the sum over a batch's episodes of a function of their log-probabilities and return."""
    return lambda batch: sum(value(np.array(x), g) for x, g in zip(batch.log_probs, batch.rest[0], strict=True))


BENT = (
    Mistake(
        "probabilities in place of log-probabilities",
        "exp undoes the logarithm, but the theorem has ∇log π: sum the log-probabilities as they are",
        (of_episodes(lambda x, g: g * np.exp(x).sum()),),
    ),
    Mistake(
        "the product of the probabilities",
        "the product of π over the steps is exp of what is wanted: sum the log-probabilities, and take no exponential",
        (of_episodes(lambda x, g: g * np.exp(x.sum())), of_episodes(lambda x, g: g * np.exp(x.mean()))),
    ),
    Mistake(
        "the product of the log-probabilities",
        "log of a product is a *sum* of logs: add the log-probabilities of an episode",
        (of_episodes(lambda x, g: g * x.prod()),),
    ),
    Mistake(
        "log-probabilities squared",
        "they belong to the sum as they are",
        (of_episodes(lambda x, g: g * (x * x).sum()), of_episodes(lambda x, g: g * x.sum() ** 2)),
    ),
    Mistake(
        "the logarithm taken once more",
        "log_probs are logarithms already: add them as they are",
        (of_episodes(lambda x, g: g * np.log(np.abs(x)).sum()), of_episodes(lambda x, g: g * np.log(np.abs(x.sum())))),
    ),
)


EXERCISE = Exercise(
    name="estimate_policy_gradient",
    title="The estimator: what multiplies each log-probability?",
    difficulty=MEDIUM,
    minutes=8,
    praise="each log-probability is multiplied by its episode's return and divided by the number of episodes",
    starter='''
def estimate_policy_gradient(log_probs, returns):
    """Return the average over episodes of the episode's return times the sum of its log-probabilities.

    log_probs[i][t] is log pi(a_t | s_t) of episode i, returns[i] the return of that episode. Episodes may differ in
    length.
    """
    return ...
''',
    hints=(
        "Take one episode: which of its numbers does its return multiply?",
        "1/___ Σ_i returns[i] · Σ_t ___",
        "total += returns[i] * sum(...)",
    ),
    solutions={
        "loops": """
def estimate_policy_gradient(log_probs, returns):
    total = 0.0
    for episode, episode_return in zip(log_probs, returns):
        total += episode_return * sum(episode)
    return total / len(returns)
""",
        "NumPy": """
import numpy as np


def estimate_policy_gradient(log_probs, returns):
    sums = np.array([np.sum(episode) for episode in log_probs])
    return np.mean(sums * np.asarray(returns))
""",
        "PyTorch": """
import torch


def estimate_policy_gradient(log_probs, returns):
    sums = torch.stack([torch.as_tensor(episode).sum() for episode in log_probs])
    return (sums * torch.as_tensor(returns)).mean()
""",
    },
    judge=ByWeight(
        "estimate_policy_gradient",
        probe,
        estimate_policy_gradient,
        returns_of,
        TOTAL,
        tuple(psi for psi in known_psis() if psi.spec is None),
        BENT,
    ),
)
