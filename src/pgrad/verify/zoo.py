"""The zoo: mistakes that people make in practice when they estimate the policy gradient, each with a name.

All have one form, the mean over trajectories of Σ_t κ_t · w_t · ∇log π(· | s_t), with κ_t = γ^t, or 1 if it is dropped.
The right estimate has κ_t = γ^t, w_t = G_t and the score of the action taken, drawn from π.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from pgrad.estimators import episodes
from pgrad.exact.mdp import Floats
from pgrad.exact.trajectories import Act, EstimatorFunction, Integers, Trajectory

Weights = Callable[[Trajectory], Floats]  # [T]
Scores = Callable[[Trajectory], Floats]  # [T, P]


def reward_to_go(trajectory: Trajectory) -> Floats:
    """Return G_t = Σ_{k ≥ t} γ^(k-t) r_k, the right weight."""
    return episodes.rewards_to_go(trajectory.rewards, trajectory.discount)


def total_return(trajectory: Trajectory) -> Floats:
    """Return the total return G_0 at every step."""
    return np.full(len(trajectory), reward_to_go(trajectory)[0])


def discounted(trajectory: Trajectory) -> Floats:
    """Return γ^t."""
    return np.asarray(trajectory.discount ** np.arange(len(trajectory)))


def mean_of_log_probs(trajectory: Trajectory) -> Floats:
    """Return G_0 / T."""
    return total_return(trajectory) / len(trajectory)


def mean_of_loss(trajectory: Trajectory) -> Floats:
    """Return G_t / T."""
    return reward_to_go(trajectory) / len(trajectory)


def centred(trajectory: Trajectory) -> Floats:
    """Return G_t minus its mean over the episode."""
    returns = reward_to_go(trajectory)
    return np.asarray(returns - returns.mean())


def whitened(trajectory: Trajectory, ddof: int = 0) -> Floats:
    """Return G_t minus its mean, divided by its standard deviation, both over the episode."""
    deviation = reward_to_go(trajectory).std(ddof=ddof) if len(trajectory) > ddof else 0.0
    return centred(trajectory) / deviation if deviation > 1e-12 else np.zeros(len(trajectory))


def whitened_unbiased(trajectory: Trajectory) -> Floats:
    """Return `whitened` with T - 1 in the variance, as in PyTorch's `std`."""
    return whitened(trajectory, ddof=1)


def discounted_twice(trajectory: Trajectory) -> Floats:
    """Return γ^t G_t."""
    return discounted(trajectory) * reward_to_go(trajectory)


def immediate(trajectory: Trajectory) -> Floats:
    """Return r_t."""
    return trajectory.rewards


def undiscounted(trajectory: Trajectory) -> Floats:
    """Return Σ_{k ≥ t} r_k."""
    return episodes.rewards_to_go(trajectory.rewards, 1.0)


def undiscounted_total(trajectory: Trajectory) -> Floats:
    """Return Σ_k r_k at every step."""
    return np.full(len(trajectory), trajectory.rewards.sum())


def forward_running(trajectory: Trajectory) -> Floats:
    """Return R_t = r_t + γ R_{t-1}, the loop for G_t run forwards."""
    result, running = np.empty(len(trajectory)), 0.0
    for t, reward in enumerate(trajectory.rewards):
        running = reward + trajectory.discount * running
        result[t] = running
    return result


def forward_sum(trajectory: Trajectory) -> Floats:
    """Return Σ_{k ≤ t} γ^k r_k."""
    return np.cumsum(discounted(trajectory) * trajectory.rewards)


def forward_undiscounted(trajectory: Trajectory) -> Floats:
    """Return Σ_{k ≤ t} r_k."""
    return np.cumsum(trajectory.rewards)


def no_bootstrap(trajectory: Trajectory) -> Floats:
    """Return G_t - V(s_t) without bootstrapping: G_t ends at a time limit as if the episode terminated."""
    return np.asarray(reward_to_go(trajectory) - trajectory.values[:-1])


def of_action_taken(trajectory: Trajectory) -> Floats:
    """Return ∇log π(a_t | s_t), the right score."""
    return trajectory.scores


def of_next_action(trajectory: Trajectory) -> Floats:
    """Return the score of action a_t + 1, modulo A."""
    return _of(trajectory, (trajectory.actions + 1) % trajectory.probabilities.shape[1])


def of_first_action(trajectory: Trajectory) -> Floats:
    """Return the score of action 0, whatever was taken."""
    return _of(trajectory, np.zeros_like(trajectory.actions))


def of_most_probable_action(trajectory: Trajectory) -> Floats:
    """Return the score of the most probable action, whatever was taken."""
    return _of(trajectory, trajectory.probabilities.argmax(axis=1))


def of_following_action(trajectory: Trajectory) -> Floats:
    """Return ∇log π(a_{t+1} | s_t): the two lists are misaligned by one step."""
    return _of(trajectory, np.append(trajectory.actions[1:], trajectory.actions[-1]))


def _of(trajectory: Trajectory, actions: Integers) -> Floats:
    return np.asarray(trajectory.all_scores[np.arange(len(trajectory)), actions])


def sampled_action(probabilities: Floats, rng: np.random.Generator) -> int:
    """Draw from π, as is right."""
    return int(rng.choice(probabilities.size, p=probabilities))


def most_probable_action(probabilities: Floats, rng: np.random.Generator) -> int:
    """Return the most probable action."""
    return int(probabilities.argmax())


@dataclass(frozen=True)
class Form:
    """One way to write a mistake: the mean over trajectories of ± Σ_t κ_t · w_t · score_t."""

    weights: Weights
    scores: Scores = of_action_taken
    keeps: bool = True  # κ_t = γ^t; False: κ_t = 1
    ascends: bool = True  # False: the sign is reversed

    def __call__(self, trajectories: list[Trajectory]) -> Floats:
        """Return the estimate, [P]."""
        total = np.zeros(trajectories[0].scores.shape[1])
        for trajectory in trajectories:
            weight = self.weights(trajectory) * (discounted(trajectory) if self.keeps else 1.0)
            total += weight @ self.scores(trajectory)
        return total / len(trajectories) * (1.0 if self.ascends else -1.0)


class Mistake(NamedTuple):
    """A mistake, and why it is wrong."""

    name: str
    why: str
    forms: tuple[Form, ...]  # the ways to write it; reports show the first
    act: Act = sampled_action
    unbiased: bool = False  # True if its mean is ∇J nevertheless

    @property
    def function(self) -> EstimatorFunction:
        """Its first form, an estimator."""
        return self.forms[0]


DESCENT, DROPPED, TRUNCATION = "descent instead of ascent", "γ^t dropped", "truncation taken for termination"
ARGMAX, TOTAL = "argmax instead of sampling", "G_0 at every step"
TWICE = "γ^t applied twice"

FAVOURS_SHORT = (
    "dividing each episode's sum by its length favours short episodes; sum over steps and average over episodes only"
)

ZOO = (
    Mistake(
        "mean of log-probabilities times total return",
        FAVOURS_SHORT,
        (Form(mean_of_log_probs, keeps=False),),
    ),
    Mistake(
        "per-episode mean of the loss",
        FAVOURS_SHORT,
        (Form(mean_of_loss),),
    ),
    Mistake(
        "per-episode centring",
        "the mean return is what distinguishes a good episode from a bad one, and centring removes it; a baseline must "
        "not depend on the episode's own actions: use other episodes' mean, or V(s)",
        (Form(centred),),
    ),
    Mistake(
        "per-episode whitening",
        "like centring, and it also rescales good and bad episodes to the same size; whiten over the batch, if at all",
        (Form(whitened), Form(whitened_unbiased)),
    ),
    Mistake(
        TWICE,
        "the return is discounted from the start of the episode and then multiplied by γ^t again, so late steps hardly "
        "count; use γ^t once: γ^t G_t with G_t discounted from step t",
        (Form(discounted_twice), Form(total_return)),
    ),
    Mistake(
        DROPPED,
        "common practice, but not the gradient of J_γ or of any other objective: late states count in full; multiply "
        "step t by γ^t, or omit it knowingly",
        (Form(reward_to_go, keeps=False),),
    ),
    Mistake(
        "return not discounted",
        "this is the gradient at γ = 1, not at the problem's γ; discount rewards by their distance from step t",
        (Form(undiscounted, keeps=False), Form(undiscounted), Form(undiscounted_total, keeps=False)),
    ),
    Mistake(
        "immediate reward only",
        "an action is credited with its own reward but not with later ones that follow from it; use the reward-to-go",
        (Form(immediate),),
    ),
    Mistake(
        "forward instead of backward cumulative sum",
        "step t gets the rewards before it, which its action cannot have caused (their terms have mean zero), and not "
        "those after it; accumulate from the end of the episode",
        (Form(forward_running), Form(forward_sum, keeps=False), Form(forward_sum), Form(forward_undiscounted)),
    ),
    Mistake(
        TOTAL,
        "unbiased, but noisy: the terms of earlier rewards have mean zero and only add variance; use the reward-to-go",
        (Form(total_return, keeps=False),),
        unbiased=True,
    ),
    Mistake(
        ARGMAX,
        "the score has mean zero only over actions drawn from π, and argmax never tries another action; draw from π",
        (Form(reward_to_go),),
        act=most_probable_action,
    ),
    Mistake(
        "log-probability of another action",
        "the return is credited to an action that was not taken; use the score of the action taken",
        (
            Form(reward_to_go, of_next_action),
            Form(reward_to_go, of_first_action),
            Form(reward_to_go, of_most_probable_action),
            Form(reward_to_go, of_following_action),
        ),
    ),
    Mistake(
        TRUNCATION,
        "the return ends at a time limit as if the episode had terminated; add γ^T V(final state), or pass "
        "limit_is_part=True if the limit is part of the problem",
        (Form(no_bootstrap),),
    ),
    Mistake(
        DESCENT,
        "the sign is reversed: gradient *ascent* adds the estimate, and an optimiser that descends needs a loss of -J",
        (Form(reward_to_go, ascends=False),),
    ),
)


def compositions() -> Iterator[tuple[Form, tuple[str, ...]]]:
    """Yield every form of every mistake, with γ^t kept and dropped, ascending and descending, and its names."""
    seen = set[Form]()
    for mistake in ZOO:
        if mistake.name in (DROPPED, DESCENT, ARGMAX, TRUNCATION):
            continue
        for form in mistake.forms:
            drops = form.keeps and mistake.name != TWICE  # which would then be right
            for keeps in (True, False) if drops else (form.keeps,):
                for ascends in (True, False):
                    also = (DESCENT,) * (not ascends) + (DROPPED,) * (form.keeps and not keeps)
                    names = (*also, mistake.name) if mistake.unbiased else (mistake.name, *also)
                    composed = replace(form, keeps=keeps, ascends=ascends)
                    if composed not in seen:
                        seen.add(composed)
                        yield composed, names
    for keeps, ascends in ((False, True), (True, False), (False, False)):
        names = (DESCENT,) * (not ascends) + (DROPPED,) * (not keeps)
        yield Form(reward_to_go, keeps=keeps, ascends=ascends), names
