"""Diagnosis of an estimator of the policy gradient: right, a known mistake, or how far off it is.

There are two kinds of evidence, both from freshly drawn random problems. The function's estimates for given
trajectories are compared with those of every known form, and its exact expectation, over all pairs of trajectories, is
compared with the exact gradient. A function that is right on one problem by accident passes neither.
"""

import math
import secrets
from dataclasses import dataclass, replace

import numpy as np

from pgrad import exact
from pgrad.errors import ConfigError, EstimatorError, collecting, require_integer
from pgrad.exact.mdp import Floats
from pgrad.exact.trajectories import Act, EstimatorFunction
from pgrad.verify.check import relative
from pgrad.verify.known_forms import KnownForm, known_forms
from pgrad.verify.random_problems import (
    RandomProblem,
    as_if_terminated,
    distinguishing_problem,
    same,
    truncated_problem,
    with_other_values,
)
from pgrad.verify.zoo import ARGMAX, DROPPED, TOTAL, TRUNCATION, ZOO

RIGHT, UNKNOWN, SCALED, SUMMED = "right", "unknown", "wrong length", "summed over trajectories"
UNFAITHFUL, CUTS = "actions not drawn from π", "wrong at time limits"
WHY = {mistake.name: mistake.why for mistake in ZOO}

UNBIASED = 1e-6  # relative error up to which an expectation counts as exact
AT_LIMITS = 1e-4  # the same at time limits, for functions right elsewhere: float32 and cancellation reach 3e-6
NEARLY = 1e-2  # relative error that rounding might explain
NOTHING = 1e-12  # relative length of an expectation that counts as zero
DRAWS, DISTRIBUTIONS, MAX_Z = 1_000, 5, 6.0  # to test a function that chooses actions


@dataclass(frozen=True)
class Diagnosis:
    """The verdict on an estimator."""

    name: str  # "right", the mistake's name, or "unknown"
    why: str
    right: bool  # True if its mean is ∇J
    seed: int  # reproduces the problems
    also: tuple[str, ...] = ()  # further mistakes combined with it
    bias: float = 0.0  # ‖E[ĝ] - ∇J‖ / ‖∇J‖, the largest over the problems; NaN if the mean is not known
    angle: float = 0.0  # degrees between E[ĝ] and ∇J, the largest; NaN if a mean is zero

    def __str__(self) -> str:
        title = f"{self.name}, and {' and '.join(self.also)}" if self.also else self.name
        lines = [title, f"  {self.why}"]
        if not (self.right or math.isnan(self.bias)):
            off = f"{self.bias:,.0%}" if self.bias >= 0.1 else f"{100 * self.bias:.2g}%"
            turned = "zero on one of them" if math.isnan(self.angle) else f"{self.angle:.3g}° away"
            lines.append(f"  its mean is off by {off} of ∇J, {turned}, on the worst of the random problems")
        return "\n".join([*lines, f"  seed {self.seed}"])


def diagnose_estimator(
    function: EstimatorFunction,
    act: Act | None = None,
    problems: int = 3,
    seed: int | None = None,
    limit_is_part: bool = False,
) -> Diagnosis:
    """Test if `function` estimates ∇J = E[Σ_t γ^t G_t ∇log π(a_t|s_t)]; if not, name its mistake or measure its bias.

    Its exact expectation on random MDPs, over all pairs of trajectories, is compared with ∇J by linear algebra; its
    estimates for drawn batches of 2 to 4 trajectories are compared with every known mistake's and estimator's.

    function       `function(trajectories) -> [P]`, an estimate of ∇J in the direction of ascent, averaged over the
                   trajectories: a list of exact.Trajectory, each one episode with rewards [T], scores ∇log π(a_t|s_t)
                   [T, P], values [T + 1], discount and more
    act            how actions are chosen, `act(probabilities [A], rng) -> action`; by default they are drawn from π
    problems       number of random problems, at least 1
    seed           of the problems; by default they differ each time, and the Diagnosis holds the seed that was drawn
    limit_is_part  True if a time limit ends the return for a function that reads V(s), `trajectory.values`; otherwise
                   that function must bootstrap there. A function that does not read V always ends the return there

    Returns a Diagnosis: `right`, or the mistake by `name` with the reason, and how far off it is; print it.

    Raises EstimatorError if the function raises, returns anything but P finite numbers, changes its input or is random,
    MDPError if `act` fails, and ConfigError for wrong arguments. Williams (1992); Sutton et al. (2000), theorem 1.
    """
    chosen = _checked(function, problems, seed)
    rng = np.random.default_rng(chosen)
    fault = action_fault(act, rng) if act is not None else None
    if fault not in (None, ARGMAX):
        why = f"{fault}; the estimate assumes draws from π itself"
        return Diagnosis(UNFAITHFUL, why, False, chosen, bias=math.nan, angle=math.nan)
    known = known_forms()
    drawn = [distinguishing_problem(known, rng) for _ in range(problems)]
    try:
        if fault == ARGMAX:
            means = [problem.mean(function, greedy=True) for problem in drawn]
            return _verdict(ARGMAX, WHY[ARGMAX], drawn, means, chosen)
        return _judged(function, known, drawn, truncated_problem(rng, limit_is_part), chosen)
    except EstimatorError as error:
        raise EstimatorError(f"{error} (seed {chosen})") from error


def _checked(function: EstimatorFunction, problems: int, seed: int | None) -> int:
    """Return the seed, drawn at random for None; raise ConfigError for wrong arguments."""
    wrong: list[str] = []
    if not callable(function):
        wrong.append(f"function must be callable with a list of trajectories, not {function!r}")
    with collecting(wrong):
        require_integer("problems", problems, 1)
    chosen = secrets.randbelow(2**31) if seed is None else seed
    with collecting(wrong):
        chosen = require_integer("seed", chosen, 0)
    if wrong:
        raise ConfigError(wrong)
    return chosen


def _judged(
    function: EstimatorFunction, known: list[KnownForm], problems: list[RandomProblem], cut: RandomProblem, seed: int
) -> Diagnosis:
    """Judge by the strongest evidence first: the mean is ∇J; every estimate is a known form's, or a constant multiple
    of one; the mean is a known form's."""
    outputs = [problem.outputs(function) for problem in problems]
    if any((problem.outputs(function) != output).any() for problem, output in zip(problems, outputs, strict=True)):
        raise EstimatorError(
            "the estimator returns different numbers for the same trajectories: draw no random numbers in it, or only "
            "from a generator that it creates with a fixed seed"
        )
    means = [problem.mean(function) for problem in problems]
    found = next((form for k, form in enumerate(known) if _all_same(outputs, problems, k)), None)
    if _equal(means, [problem.solution.gradient for problem in problems]):
        return _at_time_limits(function, found, problems, cut, seed)
    if found is not None:
        return _verdict(found.names[0], found.why, problems, means, seed, found.names[1:])
    if (scaled := _scaled(outputs, known, problems)) is not None:
        (name, why), form = scaled
        also = form.names if form.mistake else ()
        return _verdict(name, f"{why} {form.title}", problems, means, seed, also)
    if _equal(means, [problem.solution.gradient_dropped for problem in problems]):
        return _verdict(DROPPED, WHY[DROPPED], problems, means, seed)
    for form in known:
        if form.mistake and _equal(means, [problem.mean(form.function, 1) for problem in problems]):
            why = f"it has the same mean as this mistake: {form.why}"
            return _verdict(form.names[0], why, problems, means, seed, form.names[1:])
    why = "it is none of the known mistakes: compare it with Σ_t γ^t G_t ∇log π(a_t|s_t), averaged over trajectories"
    verdict = _verdict(UNKNOWN, why, problems, means, seed)
    if verdict.bias > NEARLY:
        return verdict
    return replace(verdict, why="nearly right: arithmetic of low precision, or a small extra term")


def _at_time_limits(
    function: EstimatorFunction, found: KnownForm | None, problems: list[RandomProblem], cut: RandomProblem, seed: int
) -> Diagnosis:
    """Judge a function that is right on problems without a time limit by one that has a limit."""
    if found is not None and found.names[0] == TOTAL:
        return Diagnosis(TOTAL, found.why, True, seed)
    why = "its mean is ∇J on every problem" if found is None else f"it is {found.title}"
    mean = cut.mean(function)
    if cut.limit_is_part or not cut.differs(function, with_other_values):
        cut = replace(cut, limit_is_part=True)
        if relative(mean, cut.truth) <= AT_LIMITS:
            return Diagnosis(RIGHT, f"{why}; time limits are treated as part of the problem", True, seed)
        return _verdict(CUTS, "its mean is not ∇J of the problem that ends at its time limit", [cut], [mean], seed)
    if not cut.differs(function, as_if_terminated):
        return _verdict(TRUNCATION, WHY[TRUNCATION], [cut], [mean], seed)
    if relative(mean, cut.truth) > AT_LIMITS:
        reason = "right where episodes terminate, but not where a time limit truncates them: add γ^T V(final state)"
        return _verdict(CUTS, reason, [cut], [mean], seed)
    off = [problem.mean(function, other_values=True) for problem in problems]
    if not _equal(off, [problem.solution.gradient for problem in problems]):
        why += " with the true V; any other V biases it"
    return Diagnosis(RIGHT, f"{why}; time limits bootstrap", True, seed)


def _all_same(outputs: list[Floats], problems: list[RandomProblem], k: int) -> bool:
    return all(same(output, problem.known[k]) for output, problem in zip(outputs, problems, strict=True))


def _equal(means: list[Floats], truths: list[Floats]) -> bool:
    return all(relative(mean, truth) <= UNBIASED for mean, truth in zip(means, truths, strict=True))


def _scaled(
    outputs: list[Floats], known: list[KnownForm], problems: list[RandomProblem]
) -> tuple[tuple[str, str], KnownForm] | None:
    """Find a known form of which the function is a constant multiple, or the sum over trajectories, and say which."""
    for k, form in enumerate(known):
        theirs = [problem.known[k] for problem in problems]
        sums = [output * problem.sizes for output, problem in zip(theirs, problems, strict=True)]
        if all(map(same, outputs, sums)):
            return (SUMMED, "it grows with the number of trajectories: divide by it. Otherwise it is"), form
        factor = float(np.concatenate(outputs) @ np.concatenate(theirs) / sum(their @ their for their in theirs))
        if factor > 0 and all(same(output, factor * their) for output, their in zip(outputs, theirs, strict=True)):
            return (SCALED, f"it is always {factor:.6g} times"), form
    return None


def _verdict(
    name: str, why: str, problems: list[RandomProblem], means: list[Floats], seed: int, also: tuple[str, ...] = ()
) -> Diagnosis:
    """Return the Diagnosis of a wrong function, with how far its means are off."""
    truths = [problem.truth for problem in problems]
    bias = max(relative(mean, truth) for mean, truth in zip(means, truths, strict=True))
    angle = float(np.max([angle_between(mean, truth) for mean, truth in zip(means, truths, strict=True)]))
    return Diagnosis(name, why, False, seed, also, bias, angle)


def angle_between(mean: Floats, truth: Floats) -> float:
    """Return the angle in degrees; NaN if the mean is zero."""
    length = float(np.linalg.norm(mean))
    if length <= NOTHING * np.linalg.norm(truth):
        return np.nan
    return float(np.degrees(np.arccos(np.clip(mean @ truth / length / np.linalg.norm(truth), -1.0, 1.0))))


def action_fault(act: Act, rng: np.random.Generator) -> str | None:
    """Compare action frequencies with π on random distributions; return the fault, ARGMAX, or None.

    Raises MDPError if `act` raises or returns no action.
    """
    greedy, worst = True, (0.0, "")
    for _ in range(DISTRIBUTIONS):
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
