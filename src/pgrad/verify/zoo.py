"""The zoo: mistakes that people make in practice when they estimate the policy gradient, each with a name.

Each replaces one part (see verify.parts) of the right estimate, which is the mean over trajectories of
Σ_t γ^t G_t ∇log π(a_t|s_t) with actions drawn from π.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from pgrad.exact.mdp import Floats
from pgrad.exact.trajectories import Act, EstimatorFunction, Trajectory
from pgrad.verify import parts, returns
from pgrad.verify.parts import Batch, OfBatch, OfTrajectory, discounted, each, of_action_taken, ones, share


def sampled_action(probabilities: Floats, rng: np.random.Generator) -> int:
    """Draw from π, as is right."""
    return int(rng.choice(probabilities.size, p=probabilities))


def most_probable_action(probabilities: Floats, rng: np.random.Generator) -> int:
    """Return the most probable action."""
    return int(probabilities.argmax())


REWARD_TO_GO = each(returns.reward_to_go)
AVERAGE = share(lambda n, count, lengths: 1 / count)


@dataclass(frozen=True)
class Form:
    """One way to write an estimator: factor · Σ_i Σ_t share · power · Ψ · score."""

    psi: OfBatch = REWARD_TO_GO
    power: OfTrajectory = discounted
    share: OfBatch = AVERAGE
    scores: OfTrajectory = of_action_taken
    factor: float = 1.0

    def weights(self, batch: Batch) -> Floats:
        """Return what multiplies each step's score, trajectory after trajectory; [B]."""
        columns = (self.psi(batch), self.share(batch), [self.power(trajectory) for trajectory in batch])
        psi, shares, powers = map(np.concatenate, columns)
        return np.asarray(self.factor * psi * shares * powers)

    def __call__(self, trajectories: list[Trajectory]) -> Floats:
        """Return the estimate, [P]."""
        return np.asarray(self.weights(trajectories) @ np.concatenate([self.scores(one) for one in trajectories]))


class Mistake(NamedTuple):
    """A mistake, and why it is wrong."""

    name: str
    why: str
    forms: tuple[Form, ...]  # the ways to write it; reports show the first
    act: Act = sampled_action

    @property
    def function(self) -> EstimatorFunction:
        """Its first form, an estimator."""
        return self.forms[0]


class Way(NamedTuple):
    """One way to write a mistake in Ψ, and the powers of γ outside it that are no further mistake."""

    psi: OfBatch
    powers: tuple[OfTrajectory, ...]


DESCENT, DROPPED, TRUNCATION = "descent instead of ascent", "γ^t dropped", "truncation taken for termination"
ARGMAX, TWICE = "argmax instead of sampling", "γ^t applied twice"
SUMMED, TOO_FEW = "summed over trajectories", "divided by N - 1 instead of N"
OWN, AVERAGED_TWICE = "own return in the baseline", "divided by N twice"
LEAK = "recursion leaks across episodes"
FORWARD = "forward instead of backward cumulative sum"
OVER_STEPS = "mean over all steps of the batch"
FIRST, LAST = "only the first trajectory", "only the last trajectory"

STEP, EITHER, WHOLE = (discounted,), (discounted, ones), (ones,)


def _steps(function: OfTrajectory, powers: tuple[OfTrajectory, ...] = STEP) -> Way:
    return Way(each(function), powers)


def _returns(transform: returns.Transform) -> tuple[Way, ...]:
    """Return the ways to transform returns: G_t, G_0 and G_t - V(s_t)."""
    return (
        _steps(returns.of_transformed(transform, returns.reward_to_go)),
        _steps(returns.of_transformed(transform, returns.total_return), WHOLE),
        _steps(returns.of_transformed(transform, returns.no_bootstrap)),
    )


FAVOURS_SHORT = (
    "dividing each episode's sum by its length favours short episodes; sum over steps and average over episodes only"
)
RESCALED = "a random rescaling of every batch: its mean points along ∇J up to O(1/N), but has another length"

# What multiplies the score. The order decides between two names for one function.
PSI_MISTAKES: dict[str, tuple[str, tuple[Way, ...]]] = {
    "mean of log-probabilities times total return": (FAVOURS_SHORT, (_steps(returns.mean_of_log_probs, WHOLE),)),
    "returns times the mean of log-probabilities": (
        "the sum of a product is not the product of a sum and a mean: every step is credited with every step's return; "
        "multiply each log-probability by its own step's return, then sum",
        (_steps(returns.mean_return, WHOLE), _steps(returns.mean_discounted_return, WHOLE)),
    ),
    "sum of returns times sum of log-probabilities": (
        "the sum of a product is not the product of sums: every step is credited with every step's return; multiply "
        "each log-probability by its own step's return, then sum",
        (_steps(returns.sum_of_returns, WHOLE), _steps(returns.sum_of_discounted_returns, WHOLE)),
    ),
    "mean return times mean of log-probabilities": (
        "the mean of a product is not the product of means: every episode is credited with every episode's return; "
        "multiply each episode's log-probabilities by its own return, then average",
        (Way(returns.mean_total, WHOLE),),
    ),
    "per-episode centring": (
        "the mean return is what distinguishes a good episode from a bad one, and centring removes it; a baseline must "
        "not depend on the episode's own actions: use other episodes' mean, or V(s)",
        (_steps(returns.centred), _steps(returns.centred_rewards)),
    ),
    "per-episode whitening": (
        "like centring, and it also rescales good and bad episodes to the same size; whiten over the batch, if at all",
        (_steps(returns.whitened), _steps(returns.whitened_unbiased)),
    ),
    "returns divided by the episode's largest": (
        "good and bad episodes get the same size, which is what tells them apart; divide by a constant, if at all",
        (_steps(returns.scaled_by_largest),),
    ),
    "return not discounted": (
        "this is the gradient at γ = 1, not at the problem's γ; discount rewards by their distance from step t",
        (_steps(returns.undiscounted, EITHER), _steps(returns.undiscounted_total, WHOLE)),
    ),
    "γ² instead of γ in the return": (
        "each step back discounts once: G_t = r_t + γ G_{t+1}",
        (_steps(returns.discounted_by_square),),
    ),
    "immediate reward only": (
        "an action is credited with its own reward but not with later ones that follow from it; use the reward-to-go",
        (_steps(returns.immediate),),
    ),
    FORWARD: (
        "step t gets the rewards before it, which its action cannot have caused (their terms have mean zero), and not "
        "those after it; accumulate from the end of the episode",
        (
            _steps(returns.forward_running),
            _steps(returns.forward_sum, EITHER),
            _steps(returns.forward_undiscounted),
        ),
    ),
    "returns in reverse order": (
        "the list was filled from the end of the episode and not turned round, so that the first action is credited "
        "with the last return; reverse it, or insert at the front",
        (_steps(returns.reversed_in_time),),
    ),
    "the step's own reward left out": (
        "r_t follows from a_t and belongs to its return: G_t = r_t + γ G_{t+1}",
        (_steps(returns.of_later_rewards), _steps(returns.of_next_step)),
    ),
    "returns one step late": (
        "step t is multiplied by G_{t-1}, and the first by nothing: the two lists are misaligned by one step",
        (_steps(returns.of_previous_step),),
    ),
    "return over a window of rewards": (
        "rewards that come later than a few steps are left out, though they follow from the action as well; sum to the "
        "end of the episode, or bootstrap with V",
        tuple(_steps(returns.window(size)) for size in range(2, 12)),
    ),
    "last reward only": (
        "the rewards on the way count as well, unless all of them are zero; use the reward-to-go",
        (_steps(returns.last_reward, EITHER), _steps(returns.last_reward_discounted)),
    ),
    "the return left out": (
        "the mean of the score alone is zero: nothing tells good actions from bad ones; multiply it by the return",
        (_steps(ones, EITHER),),
    ),
    "clipped returns": (
        "returns beyond ±1 count as ±1, so that large differences vanish; scale rewards by a constant instead",
        _returns(returns.clipped),
    ),
    "negative returns left out": (
        "bad episodes teach nothing; returns of either sign belong to the sum",
        _returns(returns.positive),
    ),
    "clipped rewards": (
        "this is the gradient of another problem, in which rewards are clipped; scale them by a constant instead",
        (
            _steps(returns.of_transformed_rewards(returns.clipped)),
            _steps(returns.of_transformed_rewards(np.sign)),
            _steps(returns.of_transformed_rewards(returns.positive)),
        ),
    ),
    "squared returns": ("a bad return counts like a good one; multiply by the return itself", _returns(np.square)),
    "absolute returns": ("a bad return counts like a good one; multiply by the return itself", _returns(np.abs)),
    "sign of the return": ("how good a return was is lost; multiply by the return itself", _returns(np.sign)),
    "exponential of the return": (
        "this is another objective, E[exp G], in which rare high returns count most; multiply by the return itself",
        _returns(np.exp),
    ),
    "returns of another episode": (
        "the lists of returns and of log-probabilities are not aligned: an episode's return tells nothing about the "
        "actions of another, so that the mean is zero but for the lengths",
        (
            *(Way(returns.of_other_trajectory(other), STEP) for other in returns.OTHERS),
            *(Way(returns.total_of_other_trajectory(other), WHOLE) for other in returns.OTHERS),
        ),
    ),
    LEAK: (
        "the running return is not set back to 0 where an episode ends, so that another one's rewards flow in; set it "
        "back at every end",
        tuple(Way(returns.leaking(returns.rewards_and_discount, order), STEP) for order in (1, -1)),
    ),
    OWN: (
        "the baseline depends on the actions that it is subtracted for: O(1/N) of the gradient is lost; leave the "
        "trajectory's own return out of its baseline",
        (
            Way(returns.less_mean_of_all_steps, STEP),
            Way(returns.less_mean_at_each_step, STEP),
            Way(returns.less_mean_total, STEP),
            Way(returns.total_less_mean_total, WHOLE),
        ),
    ),
    "returns whitened over the batch": (
        RESCALED,
        (
            Way(returns.whitened_over_batch(returns.reward_to_go, 0), STEP),
            Way(returns.whitened_over_batch(returns.reward_to_go, 1), STEP),
            Way(returns.whitened_over_batch(returns.total_return, 0, by_trajectory=True), WHOLE),
            Way(returns.whitened_over_batch(returns.total_return, 1, by_trajectory=True), WHOLE),
            Way(returns.whitened_over_batch(returns.reward_to_go, 0, centre=False), STEP),
            Way(returns.whitened_over_batch(returns.reward_to_go, 1, centre=False), STEP),
            Way(returns.scaled_by_largest_of_batch, STEP),
        ),
    ),
    "baseline of the next state": (
        "V(s_{t+1}) depends on the action a_t, and a baseline must not: subtract V(s_t)",
        (_steps(returns.value_of_next_state),),
    ),
    "V(s_{t+1}) not discounted": (
        "the TD error is r_t + γ V(s_{t+1}) - V(s_t): what comes a step later counts γ times",
        (_steps(returns.value_undiscounted),),
    ),
    "V instead of the return": (
        "V(s_t) does not depend on the action: its terms have mean zero; multiply by the return or the advantage",
        (_steps(returns.value_alone), _steps(returns.td_error_of_value_alone)),
    ),
}

POWER_MISTAKES: dict[str, tuple[str, OfTrajectory]] = {
    DROPPED: (
        "common practice, but not the gradient of J_γ or of any other objective: late states count in full; multiply "
        "step t by γ^t, or omit it knowingly",
        ones,
    ),
    TWICE: (
        "the return is discounted from the start of the episode and then multiplied by γ^t again, so late steps hardly "
        "count; use γ^t once: γ^t G_t with G_t discounted from step t",
        parts.discounted_twice,
    ),
    "γ once too often": (
        "the first step's own reward is not discounted: steps count from 0, and G_t = r_t + γ G_{t+1}",
        parts.discounted_from_one,
    ),
    "γ^t counted from the end": (
        "the first step has factor 1 and the last one γ^(T-1), not the other way round",
        parts.discounted_backwards,
    ),
}

SHARE_MISTAKES: dict[str, tuple[str, tuple[OfBatch, ...]]] = {
    "per-episode mean of the loss": (
        FAVOURS_SHORT,
        (share(lambda n, count, lengths: 1 / count / lengths[n]),),
    ),
    OVER_STEPS: (
        "the sum is divided by the number of steps, which is random and depends on the actions: shorter by the mean "
        "episode's length, and off by O(1/N) in direction; divide by the number of episodes",
        (share(lambda n, count, lengths: 1 / sum(lengths)),),
    ),
    "mean over padded steps": (
        "the sum is divided by the longest episode's length, which depends on the actions; divide by the number of "
        "episodes alone",
        (share(lambda n, count, lengths: 1 / count / max(lengths)),),
    ),
    SUMMED: (
        "it grows with the number of trajectories: divide by it",
        (share(lambda n, count, lengths: 1.0),),
    ),
    TOO_FEW: (
        "only a variance is divided by N - 1: divide by the number of trajectories",
        (share(lambda n, count, lengths: 1 / max(count - 1, 1)),),
    ),
    AVERAGED_TWICE: (
        "it is averaged twice, so that it shrinks as batches grow: divide by the number of trajectories once",
        (share(lambda n, count, lengths: 1 / count**2),),
    ),
    "episodes weighted by their length": (
        "long episodes count more, and the length depends on the actions; average over episodes with equal weights",
        (
            share(lambda n, count, lengths: lengths[n] / sum(lengths)),
            share(lambda n, count, lengths: lengths[n] / count),
        ),
    ),
    FIRST: (
        "the other trajectories are not used, as by a `return` inside the loop; take the mean over all of them",
        (
            share(lambda n, count, lengths: float(n == 0)),
            share(lambda n, count, lengths: (n == 0) / count),
        ),
    ),
    LAST: (
        "the other trajectories are not used, as by an assignment inside the loop where a sum belongs; take the mean "
        "over all of them",
        (
            share(lambda n, count, lengths: float(n == count - 1)),
            share(lambda n, count, lengths: (n == count - 1) / count),
        ),
    ),
    "a trajectory left out": (
        "the first or the last trajectory is not used, as by an index off by one; take the mean over all of them",
        (
            *(parts.all_but(-1, least) for least in (0, 1, 2)),
            *(parts.all_but(0, least) for least in (0, 1, 2)),
            share(lambda n, count, lengths: (n < count - 1 or count == 1) / max(count - 1, 1)),
            share(lambda n, count, lengths: (n > 0 or count == 1) / max(count - 1, 1)),
        ),
    ),
    "longest trajectory only": (
        "which episode is the longest depends on the actions; take the mean over all of them",
        (
            share(lambda n, count, lengths: float(n == int(np.argmax(lengths)))),
            share(lambda n, count, lengths: (n == int(np.argmax(lengths))) / count),
        ),
    ),
    "first step only": (
        "every step's action belongs to the sum, not the first one's alone",
        (parts.steps(lambda t, length: t == 0),),
    ),
    "last step only": (
        "every step's action belongs to the sum, not the last one's alone, as by an assignment where a sum belongs",
        (parts.steps(lambda t, length: t == length - 1),),
    ),
    "last step left out": (
        "the last action belongs to the sum as well: a loop ends one step early",
        (parts.steps(lambda t, length: t < length - 1),),
    ),
    "first step left out": (
        "the first action belongs to the sum as well: a loop begins one step late",
        (parts.steps(lambda t, length: t > 0),),
    ),
}

SCORE_MISTAKES: dict[str, tuple[str, tuple[OfTrajectory, ...]]] = {
    "log-probability of another action": (
        "the return is credited to an action that was not taken; use the score of the action taken",
        (
            parts.of_next_action,
            parts.of_first_action,
            parts.of_most_probable_action,
            parts.of_following_action,
        ),
    ),
    "gradient of π instead of log π": (
        "actions that are drawn often are then counted π times too much: ∇J has ∇π / π = ∇log π",
        (parts.of_probability,),
    ),
    "divided by π once more": (
        "∇log π = ∇π / π has the division already, and actions are drawn from π itself",
        (parts.divided_by_probability,),
    ),
    "gradient of the logit instead of log π": (
        "the score is onehot(a) - π: without the mean over actions every action that is taken is reinforced; "
        "differentiate the logarithm of the softmax",
        (parts.of_logit,),
    ),
}

SCORES = ((of_action_taken, ""), *((way, name) for name, (_, ways) in SCORE_MISTAKES.items() for way in ways))


def _zoo() -> Iterator[Mistake]:
    for name, (why, ways) in PSI_MISTAKES.items():
        yield Mistake(name, why, tuple(Form(way.psi, power) for way in ways for power in way.powers))
    for name, (why, power) in POWER_MISTAKES.items():
        total = (Form(each(returns.total_return)),) if name == TWICE else ()
        yield Mistake(name, why, (Form(power=power), *total))
    for name, (why, shares) in SHARE_MISTAKES.items():
        forms = tuple(Form(share=share) for share in shares)
        yield Mistake(name, why, forms[1:] + forms[:1] if name in (FIRST, LAST) else forms)
    for name, (why, scores) in SCORE_MISTAKES.items():
        yield Mistake(name, why, tuple(Form(scores=score) for score in scores))
    why = "the score has mean zero only over actions drawn from π, and argmax never tries another action; draw from π"
    yield Mistake(ARGMAX, why, (Form(),), act=most_probable_action)
    why = (
        "the return ends at a time limit as if the episode had terminated; add γ^T V(final state), or pass "
        "limit_is_part=True if the limit is part of the problem"
    )
    yield Mistake(TRUNCATION, why, (Form(each(returns.no_bootstrap)),))
    why = "the sign is reversed: gradient *ascent* adds the estimate, and an optimiser that descends needs a loss of -J"
    yield Mistake(DESCENT, why, (Form(factor=-1.0),))


ZOO = tuple(_zoo())
WHY = {mistake.name: mistake.why for mistake in ZOO}
