"""What is wrong with an estimator of the policy gradient: which known mistake it is, or by how much it is off.

Two kinds of evidence, both from random problems that are made for the occasion. What the function returns for given
trajectories is compared with what every known form returns for them; and its exact expectation, over all pairs of
trajectories, is compared with the exact gradient. A function that is right by accident on one problem passes neither.
"""

import math
import secrets
from dataclasses import dataclass, replace

import numpy as np

from pgrad import exact
from pgrad.errors import ConfigError, EstimatorError
from pgrad.exact.mdp import Floats
from pgrad.exact.trajectories import Act, EstimatorFunction
from pgrad.verify.check import relative
from pgrad.verify.known_forms import Known, known_forms
from pgrad.verify.random_problems import Trial, as_if_terminated, cut_trial, same, telling_trial, with_other_values
from pgrad.verify.zoo import ARGMAX, DROPPED, TOTAL, TRUNCATION, ZOO

RIGHT, UNKNOWN, SCALED, SUMMED = "right", "unknown", "wrong length", "summed over trajectories"
UNFAITHFUL, CUTS = "actions not drawn from π", "wrong at time limits"
WHY = {mistake.name: mistake.why for mistake in ZOO}

UNBIASED = 1e-6  # relative, of an expectation
AT_LIMITS = 1e-4  # the same at a time limit, of what is right elsewhere: float32 and cancellation reach 3e-6
NEARLY = 1e-2  # relative, of an expectation that rounding might explain
NOTHING = 1e-12  # relative, of an expectation that is zero
DRAWS, TABLES, MAX_Z = 1_000, 5, 6.0  # of a function that chooses actions


@dataclass(frozen=True)
class Diagnosis:
    """The verdict on an estimator."""

    name: str  # "right", the mistake's name, or "unknown"
    why: str
    right: bool  # whether its mean is ∇J
    seed: int  # gives the same problems again
    also: tuple[str, ...] = ()  # further mistakes on top
    bias: float = 0.0  # ‖mean - ∇J‖ / ‖∇J‖, the largest over the problems; NaN where the mean is not known
    angle: float = 0.0  # degrees between mean and ∇J, the largest; NaN where a mean is zero

    def __str__(self) -> str:
        title = f"{self.name}, and {' and '.join(self.also)}" if self.also else self.name
        lines = [title, f"  {self.why}"]
        if not (self.right or math.isnan(self.bias)):
            off = f"{self.bias:,.0%}" if self.bias >= 0.1 else f"{100 * self.bias:.2g}%"
            turned = "it is zero somewhere" if math.isnan(self.angle) else f"{self.angle:.3g}° away"
            lines.append(f"  its mean is off by {off} of ∇J, {turned}: the worst of the random problems")
        return "\n".join([*lines, f"  seed {self.seed}"])


def diagnose_estimator(
    function: EstimatorFunction,
    act: Act | None = None,
    problems: int = 3,
    seed: int | None = None,
    limit_is_part: bool = False,
) -> Diagnosis:
    """Say whether `function(trajectories)` estimates ∇J, and if not, which mistake it makes or how far it is off.

    function       takes a list of exact.Trajectory, each one episode with states, actions, rewards, scores
                   ∇log π(a_t|s_t) [T, P], discount and more, and returns an estimate of ∇J, [P]; it is given two
                   trajectories or more
    act            how actions are chosen, `act(probabilities [A], rng) -> action`; without it they are drawn from π
    problems       how many random problems to try
    seed           of the problems; without it they are different every time
    limit_is_part  whether a time limit is part of the problem for a function that reads V(s), `trajectory.values`;
                   otherwise it is expected to bootstrap there. For one that does not read V, it always is part

    Raises EstimatorError where the function raises, returns something else than P finite numbers, changes its input or
    is random, and ConfigError for wrong arguments.
    """
    chosen = _checked(function, problems, seed)
    rng = np.random.default_rng(chosen)
    fault = action_fault(act, rng) if act is not None else None
    if fault not in (None, ARGMAX):
        why = f"{fault}; the estimate assumes draws from π itself"
        return Diagnosis(UNFAITHFUL, why, False, chosen, bias=math.nan, angle=math.nan)
    known = known_forms()
    trials = [telling_trial(known, rng) for _ in range(problems)]
    try:
        if fault == ARGMAX:
            means = [trial.mean(function, greedy=True) for trial in trials]
            return _verdict(ARGMAX, WHY[ARGMAX], trials, means, chosen)
        return _judged(function, known, trials, cut_trial(rng, limit_is_part), chosen)
    except EstimatorError as error:
        raise EstimatorError(f"{error} (seed {chosen})") from error


def _checked(function: EstimatorFunction, problems: int, seed: int | None) -> int:
    """The seed, chosen at random if there is none; raises ConfigError."""
    wrong = []
    if not callable(function):
        wrong.append(f"function must be one that takes a list of trajectories, not {function!r}")
    if not isinstance(problems, int | np.integer) or problems < 1:
        wrong.append(f"problems must be a positive whole number, not {problems!r}")
    if seed is not None and (not isinstance(seed, int | np.integer) or seed < 0):
        wrong.append(f"seed must be a whole number, at least 0, not {seed!r}")
    if wrong:
        raise ConfigError(wrong)
    return secrets.randbelow(2**31) if seed is None else int(seed)


def _judged(function: EstimatorFunction, known: list[Known], trials: list[Trial], cut: Trial, seed: int) -> Diagnosis:
    """From the surest evidence to the weakest: right; a known form on every batch, or a multiple of one; the mean of a
    known one; none of them."""
    outputs = [trial.of(function) for trial in trials]
    if any((trial.of(function) != output).any() for trial, output in zip(trials, outputs, strict=True)):
        raise EstimatorError(
            "the estimator returns different numbers for the same trajectories: draw nothing in it, or only from a "
            "generator that it makes anew with a fixed seed"
        )
    means = [trial.mean(function) for trial in trials]
    found = next((form for k, form in enumerate(known) if _all_same(outputs, trials, k)), None)
    if _equal(means, [trial.solution.gradient for trial in trials]):
        return _at_time_limits(function, found, trials, cut, seed)
    if found is not None:
        return _verdict(found.names[0], found.why, trials, means, seed, found.names[1:])
    if (scaled := _scaled(outputs, known, trials)) is not None:
        (name, why), form = scaled
        also = form.names if form.mistake else ()
        return _verdict(name, f"{why} {form.title}", trials, means, seed, also)
    if _equal(means, [trial.solution.gradient_dropped for trial in trials]):
        return _verdict(DROPPED, WHY[DROPPED], trials, means, seed)
    for form in known:
        if form.mistake and _equal(means, [trial.mean(form.function, 1) for trial in trials]):
            why = f"on average the same as this: {form.why}"
            return _verdict(form.names[0], why, trials, means, seed, form.names[1:])
    why = "it is none of the known mistakes: compare it with Σ_t γ^t G_t ∇log π(a_t|s_t), averaged over trajectories"
    verdict = _verdict(UNKNOWN, why, trials, means, seed)
    if verdict.bias > NEARLY:
        return verdict
    return replace(verdict, why="nearly right: arithmetic of low precision, or a small term too many")


def _at_time_limits(
    function: EstimatorFunction, found: Known | None, trials: list[Trial], cut: Trial, seed: int
) -> Diagnosis:
    """The verdict on a function that is right where episodes end by themselves."""
    if found is not None and found.names[0] == TOTAL:
        return Diagnosis(TOTAL, found.why, True, seed)
    why = "its mean is ∇J on every problem" if found is None else f"it is {found.title}"
    mean = cut.mean(function)
    if cut.limit_is_part or not cut.differs(function, with_other_values):
        cut = replace(cut, limit_is_part=True)
        if relative(mean, cut.truth) <= AT_LIMITS:
            return Diagnosis(RIGHT, f"{why}; a time limit is taken as part of the problem", True, seed)
        return _verdict(CUTS, "not ∇J of the problem that ends at its time limit", [cut], [mean], seed)
    if not cut.differs(function, as_if_terminated):
        return _verdict(TRUNCATION, WHY[TRUNCATION], [cut], [mean], seed)
    if relative(mean, cut.truth) > AT_LIMITS:
        reason = "right where episodes end by themselves, but not where a time limit cuts them: add γ^T V(final state)"
        return _verdict(CUTS, reason, [cut], [mean], seed)
    off = [trial.mean(function, other_values=True) for trial in trials]
    if not _equal(off, [trial.solution.gradient for trial in trials]):
        why += ", as long as V is the true one: an imperfect V biases it"
    return Diagnosis(RIGHT, f"{why}; time limits bootstrap", True, seed)


def _all_same(outputs: list[Floats], trials: list[Trial], k: int) -> bool:
    return all(same(output, trial.outputs[k]) for output, trial in zip(outputs, trials, strict=True))


def _equal(means: list[Floats], truths: list[Floats]) -> bool:
    return all(relative(mean, truth) <= UNBIASED for mean, truth in zip(means, truths, strict=True))


def _scaled(outputs: list[Floats], known: list[Known], trials: list[Trial]) -> tuple[tuple[str, str], Known] | None:
    """The known form that the function is a constant multiple of, or the sum where that is the average, and which."""
    for k, form in enumerate(known):
        theirs = [trial.outputs[k] for trial in trials]
        sums = [output * trial.sizes for output, trial in zip(theirs, trials, strict=True)]
        if all(map(same, outputs, sums)):
            return (SUMMED, "it grows with the number of trajectories: divide by it. Otherwise it is"), form
        factor = float(np.concatenate(outputs) @ np.concatenate(theirs) / sum(their @ their for their in theirs))
        if factor > 0 and all(same(output, factor * their) for output, their in zip(outputs, theirs, strict=True)):
            return (SCALED, f"it is always {factor:.6g} times"), form
    return None


def _verdict(
    name: str, why: str, trials: list[Trial], means: list[Floats], seed: int, also: tuple[str, ...] = ()
) -> Diagnosis:
    """A verdict with how far the means are off."""
    truths = [trial.truth for trial in trials]
    bias = max(relative(mean, truth) for mean, truth in zip(means, truths, strict=True))
    angle = float(np.max([angle_between(mean, truth) for mean, truth in zip(means, truths, strict=True)]))
    return Diagnosis(name, why, False, seed, also, bias, angle)


def angle_between(mean: Floats, truth: Floats) -> float:
    """Degrees; NaN where the mean is zero."""
    length = float(np.linalg.norm(mean))
    if length <= NOTHING * np.linalg.norm(truth):
        return np.nan
    return float(np.degrees(np.arccos(np.clip(mean @ truth / length / np.linalg.norm(truth), -1.0, 1.0))))


def action_fault(act: Act, rng: np.random.Generator) -> str | None:
    """What is wrong with how actions are chosen, if anything: frequencies against π on random distributions.

    Raises MDPError where `act` raises or returns no action.
    """
    greedy, worst = True, (0.0, "")
    for _ in range(TABLES):
        probabilities = rng.dirichlet(np.ones(3))
        problem = exact.bandit(np.zeros(3))
        policy = exact.Tabular(2, 3)(np.log(np.tile(probabilities, (2, 1))))
        drawn = exact.sample_trajectories(problem, policy, DRAWS, rng, act=act)
        counts = np.bincount([int(trajectory.actions[0]) for trajectory in drawn], minlength=3)
        greedy = greedy and counts[probabilities.argmax()] == DRAWS
        z = np.abs(counts / DRAWS - probabilities) / np.sqrt(probabilities * (1 - probabilities) / DRAWS)
        a = int(z.argmax())
        fault = f"act chose action {a} in {counts[a] / DRAWS:.1%} of draws where π says {probabilities[a]:.1%}"
        worst = max(worst, (float(z[a]), fault))
    if greedy:
        return ARGMAX
    return worst[1] if worst[0] > MAX_Z else None
