"""The zoo: mistakes that people really make when they estimate the policy gradient, each by name.

All are of one form, mean_n Σ_t κ_t · w_t · ∇log π(· | s_t), with κ_t = γ^t where it is kept. What is right has
w_t = G_t and the score of the action that was taken, drawn from π.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from pgrad.estimators import episodes as teaching
from pgrad.exact.mdp import Floats
from pgrad.exact.trajectories import Act, EstimatorFunction, Integers, Trajectory

Weights = Callable[[Trajectory], Floats]  # [T]
Scores = Callable[[Trajectory], Floats]  # [T, P]


def reward_to_go(trajectory: Trajectory) -> Floats:
    """G_t; right."""
    return teaching.rewards_to_go(trajectory.rewards, trajectory.discount)


def total_return(trajectory: Trajectory) -> Floats:
    """G(τ) = G_0 at every step."""
    return np.full(len(trajectory), reward_to_go(trajectory)[0])


def discounted(trajectory: Trajectory) -> Floats:
    """γ^t."""
    return np.asarray(trajectory.discount ** np.arange(len(trajectory)))


def mean_of_log_probs(trajectory: Trajectory) -> Floats:
    """G(τ) / T."""
    return total_return(trajectory) / len(trajectory)


def mean_of_loss(trajectory: Trajectory) -> Floats:
    """G_t / T."""
    return reward_to_go(trajectory) / len(trajectory)


def centred(trajectory: Trajectory) -> Floats:
    """G_t less its mean over the episode."""
    returns = reward_to_go(trajectory)
    return np.asarray(returns - returns.mean())


def whitened(trajectory: Trajectory, ddof: int = 0) -> Floats:
    """The same, divided by the standard deviation over the episode."""
    deviation = reward_to_go(trajectory).std(ddof=ddof) if len(trajectory) > ddof else 0.0
    return centred(trajectory) / deviation if deviation > 1e-12 else np.zeros(len(trajectory))


def whitened_unbiased(trajectory: Trajectory) -> Floats:
    """With T - 1 under the variance, as PyTorch's `std` has it."""
    return whitened(trajectory, ddof=1)


def discounted_twice(trajectory: Trajectory) -> Floats:
    """γ^t G_t."""
    return discounted(trajectory) * reward_to_go(trajectory)


def immediate(trajectory: Trajectory) -> Floats:
    """r_t."""
    return trajectory.rewards


def undiscounted(trajectory: Trajectory) -> Floats:
    """Σ_{k ≥ t} r_k."""
    return teaching.rewards_to_go(trajectory.rewards, 1.0)


def undiscounted_total(trajectory: Trajectory) -> Floats:
    """Σ_k r_k at every step."""
    return np.full(len(trajectory), trajectory.rewards.sum())


def forward_running(trajectory: Trajectory) -> Floats:
    """R_t = r_t + γ R_{t-1}: the loop for G_t, run forwards."""
    result, running = np.empty(len(trajectory)), 0.0
    for t, reward in enumerate(trajectory.rewards):
        running = reward + trajectory.discount * running
        result[t] = running
    return result


def forward_sum(trajectory: Trajectory) -> Floats:
    """Σ_{k ≤ t} γ^k r_k."""
    return np.cumsum(discounted(trajectory) * trajectory.rewards)


def forward_undiscounted(trajectory: Trajectory) -> Floats:
    """Σ_{k ≤ t} r_k."""
    return np.cumsum(trajectory.rewards)


def no_bootstrap(trajectory: Trajectory) -> Floats:
    """G_t - V(s_t), where G_t ends at a time limit as if nothing came after it."""
    return np.asarray(reward_to_go(trajectory) - trajectory.values[:-1])


def of_action_taken(trajectory: Trajectory) -> Floats:
    """∇log π(a_t | s_t); right."""
    return trajectory.scores


def of_next_action(trajectory: Trajectory) -> Floats:
    """Of the action with the next number."""
    return _of(trajectory, (trajectory.actions + 1) % trajectory.probabilities.shape[1])


def of_first_action(trajectory: Trajectory) -> Floats:
    """Of action 0, whichever was taken."""
    return _of(trajectory, np.zeros_like(trajectory.actions))


def of_most_probable_action(trajectory: Trajectory) -> Floats:
    """Of the most probable action, though another may have been taken."""
    return _of(trajectory, trajectory.probabilities.argmax(axis=1))


def of_following_action(trajectory: Trajectory) -> Floats:
    """Of the action taken one step later: the two lists are out of step."""
    return _of(trajectory, np.append(trajectory.actions[1:], trajectory.actions[-1]))


def _of(trajectory: Trajectory, actions: Integers) -> Floats:
    return np.asarray(trajectory.all_scores[np.arange(len(trajectory)), actions])


def sampled_action(probabilities: Floats, rng: np.random.Generator) -> int:
    """Drawn from π; right."""
    return int(rng.choice(probabilities.size, p=probabilities))


def most_probable_action(probabilities: Floats, rng: np.random.Generator) -> int:
    """The most probable one."""
    return int(probabilities.argmax())


@dataclass(frozen=True)
class Form:
    """One way to write a mistake: mean_n Σ_t κ_t · w_t · score_t, with the sign it is stepped along."""

    weights: Weights
    scores: Scores = of_action_taken
    keeps: bool = True  # κ_t = γ^t, else 1
    ascends: bool = True

    def __call__(self, trajectories: list[Trajectory]) -> Floats:
        """The estimate, [P]."""
        total = np.zeros(trajectories[0].scores.shape[1])
        for trajectory in trajectories:
            weight = self.weights(trajectory) * (discounted(trajectory) if self.keeps else 1.0)
            total += weight @ self.scores(trajectory)
        return total / len(trajectories) * (1.0 if self.ascends else -1.0)


class Mistake(NamedTuple):
    """A mistake, and why it is one."""

    name: str
    why: str
    forms: tuple[Form, ...]  # the ways to write it; the first is shown
    act: Act = sampled_action
    unbiased: bool = False  # right on average all the same

    @property
    def function(self) -> EstimatorFunction:
        """It, as an estimator."""
        return self.forms[0]


DESCENT, DROPPED, TRUNCATION = "descent instead of ascent", "γ^t dropped", "truncation taken for termination"
ARGMAX, TOTAL = "argmax instead of sampling", "G_0 at every step"
TWICE = "γ^t applied twice"

FAVOURS_SHORT = (
    "dividing each episode's sum by its length favours short episodes; sum over steps, average over episodes alone"
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
        "what tells a good episode from a bad one is its mean, and that is taken away; "
        "a baseline must not depend on the episode's own actions: take other episodes' mean, or V(s)",
        (Form(centred),),
    ),
    Mistake(
        "per-episode whitening",
        "as centring, and every episode is rescaled to the same size, good or bad; whiten over the batch if at all",
        (Form(whitened), Form(whitened_unbiased)),
    ),
    Mistake(
        TWICE,
        "the return was discounted from the episode's start and multiplied by γ^t again, so late steps hardly count; "
        "take γ^t once: γ^t G_t with G_t discounted from step t",
        (Form(discounted_twice), Form(total_return)),
    ),
    Mistake(
        DROPPED,
        "common practice, but not the gradient of J_γ, nor of any objective: late states count in full; multiply step "
        "t by γ^t, or know that you leave it out",
        (Form(reward_to_go, keeps=False),),
    ),
    Mistake(
        "return not discounted",
        "this is the gradient at γ = 1, not at the problem's γ: discount the rewards by their distance from step t",
        (Form(undiscounted, keeps=False), Form(undiscounted), Form(undiscounted_total, keeps=False)),
    ),
    Mistake(
        "immediate reward only",
        "an action is credited with its own reward and none that follow from it; multiply by the reward-to-go",
        (Form(immediate),),
    ),
    Mistake(
        "forward instead of backward cumulative sum",
        "step t gets the rewards before it, which its action cannot have caused (they are zero on average), and not "
        "those after it; accumulate from the episode's end",
        (Form(forward_running), Form(forward_sum, keeps=False), Form(forward_sum), Form(forward_undiscounted)),
    ),
    Mistake(
        TOTAL,
        "unbiased, but noisy: rewards before a step have mean zero there and only add variance; take the reward-to-go",
        (Form(total_return, keeps=False),),
        unbiased=True,
    ),
    Mistake(
        ARGMAX,
        "the score weighs what was tried against what was expected, and argmax tries nothing else; draw from π",
        (Form(reward_to_go),),
        act=most_probable_action,
    ),
    Mistake(
        "log-probability of another action",
        "the return is credited to an action that was not taken; use the score of the action that was",
        (
            Form(reward_to_go, of_next_action),
            Form(reward_to_go, of_first_action),
            Form(reward_to_go, of_most_probable_action),
            Form(reward_to_go, of_following_action),
        ),
    ),
    Mistake(
        TRUNCATION,
        "a time limit cut the episode, and the return ends there as if nothing came after; add γ^T V(final state), "
        "or say limit_is_part=True if the problem itself ends there",
        (Form(no_bootstrap),),
    ),
    Mistake(
        DESCENT,
        "the right direction backwards: gradient *ascent* adds it, and an optimiser that descends wants a loss of -J",
        (Form(reward_to_go, ascends=False),),
    ),
)


def compositions() -> Iterator[tuple[Form, tuple[str, ...]]]:
    """Every form of every mistake, with γ^t kept and dropped, ascending and descending, and the names that fit it."""
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
