"""Exercise: the estimate of the policy gradient with rewards-to-go, 1/N Σ_i Σ_t γ^t G_t log π(a_t | s_t)."""

from collections.abc import Callable, Sequence

import numpy as np

from pgrad.estimators.episodes import estimate_policy_gradient
from pgrad.exact.mdp import Floats
from pgrad.exercises.by_weight import ByWeight, Probe
from pgrad.exercises.episodes import drawn, trajectory
from pgrad.exercises.exercise import HARD, Exercise, Mistake
from pgrad.verify.parts import Batch, discounted
from pgrad.verify.recognition import known_psis
from pgrad.verify.returns import reward_to_go
from pgrad.verify.surrogate import Ragged

DISCOUNT = 0.8


def probe(rng: np.random.Generator, lengths: Sequence[int]) -> Probe:
    """Return episodes of these lengths with their rewards and γ."""
    batch = [trajectory(drawn(rng, length), DISCOUNT) for length in lengths]
    log_probs = [drawn(rng, length, -3.0, -1.2) for length in lengths]
    return Probe(log_probs, rewards_of(batch), batch)


def rewards_of(batch: Batch) -> tuple[Ragged, float]:
    """Return the rewards of each episode, and γ."""
    return [one.rewards.tolist() for one in batch], DISCOUNT


def multipliers(rewards: Sequence[float], discount: float) -> Floats:
    """Return γ^t G_t."""
    one = trajectory(rewards, discount)
    return np.asarray(discounted(one) * reward_to_go(one))


def reference(log_probs: Ragged, rewards: Ragged, discount: float) -> float:
    """Return the estimate."""
    return float(estimate_policy_gradient(log_probs, [multipliers(row, discount) for row in rewards]))


def of_episodes(value: Callable[[Floats, Floats], float]) -> Callable[[Probe], float]:
    """Return the sum over a batch's episodes of a function of their log-probabilities and γ^t G_t."""
    return lambda batch: sum(
        value(np.array(x), multipliers(rewards, batch.rest[1]))
        for x, rewards in zip(batch.log_probs, batch.rest[0], strict=True)
    )


BENT = (
    Mistake(
        "probabilities in place of log-probabilities",
        "exp undoes the logarithm, but the theorem has ∇log π: multiply the log-probabilities as they are",
        (of_episodes(lambda x, g: float(g @ np.exp(x))),),
    ),
    Mistake(
        "the product of the log-probabilities",
        "log of a product is a *sum* of logs: multiply each by its own return, and add",
        (of_episodes(lambda x, g: g.sum() * x.prod()), of_episodes(lambda x, g: g[0] * x.prod())),
    ),
)


EXERCISE = Exercise(
    name="reward_to_go_gradient",
    title="The estimator with rewards-to-go: only what follows counts",
    difficulty=HARD,
    minutes=12,
    praise="each log-probability is multiplied by γ^t G_t, its own reward and what follows, and divided by N",
    starter='''
def reward_to_go_gradient(log_probs, rewards, discount):
    """Return the average over episodes of sum over t of discount**t * G_t * log_probs[i][t].

    G_t = sum of discount**(k - t) * rewards[i][k] for k >= t. Episodes may differ in length.
    """
    return ...
''',
    hints=(
        "Write down the multiplier of the *last* log-probability of an episode. Which rewards are in it?",
        "1/N Σ_i Σ_t γ^___ · (r_t + γ r_{t+1} + … ) · log π(a_t | s_t)",
        "total += discount**t * to_go[t] * ...",
    ),
    solutions={
        "loops": """
def reward_to_go_gradient(log_probs, rewards, discount):
    total = 0.0
    for episode, own in zip(log_probs, rewards):
        running = 0.0
        for t in reversed(range(len(episode))):
            running = own[t] + discount * running
            total += discount**t * running * episode[t]
    return total / len(log_probs)
""",
        "NumPy": """
import numpy as np


def reward_to_go_gradient(log_probs, rewards, discount):
    sums = []
    for episode, own in zip(log_probs, rewards):
        discounted = discount ** np.arange(len(own)) * np.asarray(own)
        sums.append(np.cumsum(discounted[::-1])[::-1] @ np.asarray(episode))
    return np.mean(sums)
""",
        "PyTorch": """
import torch


def reward_to_go_gradient(log_probs, rewards, discount):
    total = 0.0
    for episode, own in zip(log_probs, rewards):
        discounted = discount ** torch.arange(len(own)) * torch.as_tensor(own)
        to_go = discounted.flip(0).cumsum(0).flip(0)
        total = total + (to_go * torch.as_tensor(episode)).sum()
    return total / len(log_probs)
""",
    },
    judge=ByWeight(
        "reward_to_go_gradient",
        probe,
        reference,
        rewards_of,
        "reward-to-go",
        tuple(psi for psi in known_psis() if psi.spec is None),
        BENT,
    ),
)
