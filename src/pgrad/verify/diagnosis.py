"""Diagnosis of an estimator of the policy gradient: right, a known mistake, or how far off it is.

Two kinds of evidence, from problems that are drawn afresh. Whether the function is right is judged by its exact mean
over all batches of 1, 2, 3 and 5 trajectories, compared with ∇J by linear algebra: with the true V and, if it reads V,
with another. What it is called is judged by the weight that it gives to each step of trajectories in which no state
comes twice. The name never decides the verdict.
"""

import math
import secrets
from dataclasses import dataclass, replace

import numpy as np

from pgrad.errors import ConfigError, EstimatorError, collecting, require_integer
from pgrad.exact.mdp import Floats
from pgrad.exact.trajectories import Act, EstimatorFunction
from pgrad.verify.actions import action_fault
from pgrad.verify.check import relative
from pgrad.verify.evidence import Evidence, examination
from pgrad.verify.random_problems import MeanOn
from pgrad.verify.recognition import TOTAL, names_by_means
from pgrad.verify.zoo import ARGMAX, TRUNCATION, WHY

RIGHT, WASTEFUL, UNKNOWN = "right", "right, but wasteful", "unknown"
UNFAITHFUL, CUTS = "actions not drawn from π", "wrong at time limits"

NEARLY = 1e-2  # relative error that rounding might explain
NOTHING = 1e-12  # relative length of a mean that counts as zero


@dataclass(frozen=True)
class Diagnosis:
    """The verdict on an estimator."""

    name: str  # "right", "right, but wasteful", the mistake's name, or "unknown"
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

    Its exact mean on random MDPs, over all batches of 1, 2, 3 and 5 trajectories of up to 12 steps, is compared with
    ∇J by linear algebra, and what it multiplies each score by with every known mistake and estimator. What differs
    from them only on longer episodes or in larger batches is not noticed.

    function       `function(trajectories) -> [P]`, an estimate of ∇J in the direction of ascent, averaged over the
                   trajectories: a list of exact.Trajectory, each one episode with rewards [T], scores ∇log π(a_t|s_t)
                   [T, P], values [T + 1], discount and more; one that needs two trajectories may fail for one
    act            how actions are chosen, `act(probabilities [A], rng) -> action`; by default they are drawn from π.
                   8,000 draws notice an ε of 0.05 or a temperature of 0.8 in 99 of 100 calls; 6 in 10^7 alarms are
                   false
    problems       number of sets of random problems, at least 1
    seed           of the problems; by default they differ each time, and the Diagnosis holds the seed that was drawn
    limit_is_part  True if a time limit ends the return for a function that reads V(s), `trajectory.values`; otherwise
                   that function must bootstrap there. A function that does not read V always ends the return there

    Returns a Diagnosis: `right`, or the mistake by `name` with the reason, and how far off it is; print it. With V it
    is right if its mean is ∇J for every V, or if it is GAE(λ) or an n-step advantage, whose mean is ∇J for the true V.

    Raises EstimatorError if the function raises, returns anything but P finite numbers, changes its input or is random,
    MDPError if `act` fails, and ConfigError for wrong arguments. Williams (1992); Sutton et al. (2000), theorem 1.
    """
    chosen = _checked(function, problems, seed)
    fault = action_fault(act, np.random.default_rng(chosen)) if act is not None else None
    if fault not in (None, ARGMAX):
        why = f"{fault}; the estimate assumes draws from π itself"
        return Diagnosis(UNFAITHFUL, why, False, chosen, bias=math.nan, angle=math.nan)
    evidence = Evidence(function, examination(chosen, problems))
    try:
        if fault == ARGMAX:
            return _wrong((ARGMAX,), WHY[ARGMAX], [_greedy_mean(evidence)], chosen)
        return _judged(evidence, limit_is_part, chosen)
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


def _judged(evidence: Evidence, limit_is_part: bool, seed: int) -> Diagnosis:
    """Judge by the mean, then by the mean with another V, then by a problem with a time limit."""
    evidence.require_deterministic()
    try:
        means = evidence.means(evidence.examination.problems)
    except EstimatorError:
        if (found := evidence.recognised) is None or not found.names:
            raise
        why = f"{found.why}; and it fails on some batches"
        return Diagnosis(found.names[0], why, False, seed, found.names[1:], math.nan, math.nan)
    if not all(mean.right for mean in means):
        return _of_wrong_mean(evidence, means, seed)
    if not (evidence.right_with_any_value or evidence.is_advantage):
        return _right_with_true_value_alone(evidence, seed)
    bootstraps = evidence.reads_value and not limit_is_part
    at_limits = evidence.means([replace(evidence.examination.cut, limit_is_part=not bootstraps)])
    if not all(mean.right for mean in at_limits):
        return _wrong_at_limits(evidence, at_limits, bootstraps, seed)
    return _right(evidence, means, bootstraps, seed)


def _wrong(names: tuple[str, ...], why: str, means: list[MeanOn], seed: int) -> Diagnosis:
    """Return the Diagnosis of a wrong function, with how far its means are off."""
    bias = max(relative(mean.mean, mean.problem.truth) for mean in means)
    angle = float(np.max([angle_between(mean.mean, mean.problem.truth) for mean in means]))
    return Diagnosis(names[0], why, False, seed, names[1:], bias, angle)


def _of_wrong_mean(evidence: Evidence, means: list[MeanOn], seed: int) -> Diagnosis:
    """Name a function whose mean is not ∇J: by its weights, or else by its means."""
    found = evidence.recognised
    if found is not None and found.names:
        return _wrong(found.names, found.why, means, seed)
    if (named := names_by_means(means)) is not None:
        return _wrong(*named, means, seed)
    if (mistake := evidence.mistake_of_same_mean(means)) is not None:
        return _wrong((mistake,), f"it has the same mean as this mistake: {WHY[mistake]}", means, seed)
    verdict = _wrong((UNKNOWN,), f"it is none of the known mistakes: {evidence.farthest_weight}", means, seed)
    if verdict.bias > NEARLY:
        return verdict
    return replace(verdict, why="nearly right: arithmetic of low precision, or a small extra term")


def _right_with_true_value_alone(evidence: Evidence, seed: int) -> Diagnosis:
    """Refuse a function that is no advantage although its mean is ∇J with the true V."""
    names: tuple[str, ...] = (UNKNOWN,)
    why = "it is neither GAE(λ) nor an n-step advantage"
    if (found := evidence.recognised) is not None and found.names:
        names, why = found.names, found.why
    why += "; its mean is ∇J with the true V, but with another V it is not that of an advantage"
    return Diagnosis(names[0], why, False, seed, names[1:], math.nan, math.nan)


def _wrong_at_limits(evidence: Evidence, means: list[MeanOn], bootstraps: bool, seed: int) -> Diagnosis:
    """Return the Diagnosis of a function that is wrong only where a time limit truncates trajectories."""
    if not bootstraps:
        return _wrong((CUTS,), "its mean is not ∇J of the problem that ends at its time limit", means, seed)
    if not evidence.reads_final_value:
        return _wrong((TRUNCATION,), WHY[TRUNCATION], means, seed)
    why = "right where episodes terminate, but not where a time limit truncates them: add γ^T V(final state)"
    return _wrong((CUTS,), why, means, seed)


def _right(evidence: Evidence, means: list[MeanOn], bootstraps: bool, seed: int) -> Diagnosis:
    """Return the Diagnosis of a right function: what it is, and if it leaves trajectories unused."""
    what, found = "its mean is ∇J on every problem", evidence.recognised
    if found is not None and not found.names:
        what = f"it is {found.title}"
        if found.title == TOTAL:
            what += ", noisier than the reward-to-go: terms of earlier rewards have mean zero"
    if not evidence.right_with_any_value:
        what += " with the true V; any other V biases it"
    what += "; time limits bootstrap" if bootstraps else "; time limits are treated as part of the problem"
    if not evidence.ignores_trajectories:
        return Diagnosis(RIGHT, what, True, seed)
    largest = max(means, key=lambda mean: mean.size)
    why = (
        "it leaves trajectories of a batch unused: take the mean over all of them; in batches of "
        f"{largest.size} its variance is {largest.noise:.2g} times that of the reward-to-go estimate"
    )
    return Diagnosis(WASTEFUL, f"{what}; {why}", True, seed)


def _greedy_mean(evidence: Evidence) -> MeanOn:
    """Return the mean if always the most probable action is taken."""
    problem, alone = evidence.examination.problems[0], evidence.estimates[0] is not None
    return problem.greedy_mean(evidence.function, 1 if alone else 2)


def angle_between(mean: Floats, truth: Floats) -> float:
    """Return the angle in degrees; NaN if the mean is zero."""
    length = float(np.linalg.norm(mean))
    if length <= NOTHING * np.linalg.norm(truth):
        return np.nan
    return float(np.degrees(np.arccos(np.clip(mean @ truth / length / np.linalg.norm(truth), -1.0, 1.0))))
