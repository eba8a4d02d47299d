"""Every estimator of the catalogue checked against its claim: by enumeration, and through the iterations that train."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pgrad import exact
from pgrad.estimators.catalogue import CATALOGUE, DROPPED, GRADIENT, SHRUNK, Named
from pgrad.estimators.spec import GAE, VALUE, EstimatorSpec
from pgrad.exact.mdp import Floats
from pgrad.verify.as_estimator import as_function
from pgrad.verify.cases import Case
from pgrad.verify.check import MAX_Z, TOLERANCE, VISIBLE, Check, relative
from pgrad.verify.sampling import largest_z, sampled

TRAJECTORIES = 2  # in a batch
MAX_T = 6.5  # standard errors estimated from LARGE_BATCHES: as rare as MAX_Z of many
BATCHES = 10_000
LARGE_BATCH, LARGE_BATCHES = 1_000, 60


@dataclass(frozen=True)
class ClaimRow:
    """One estimator on one problem with one policy; vectors are [P]."""

    case: str
    estimator: str
    value: str  # the V used: "exact", "off" by random numbers, or "" for estimators without V
    exact: Floats  # the claimed mean; ∇J without a claim
    expectation: Floats  # E[ĝ] by enumeration of all batches
    standard_deviation: float  # √tr Cov of one batch's estimate
    z: float | None  # |sample mean - E[ĝ]| in standard errors, the largest over parameters; None if not sampled
    claim: str | None  # "∇J", …; None if a bias is stated

    @property
    def bias(self) -> float:
        """‖expectation - exact‖ / ‖exact‖."""
        return relative(self.expectation, self.exact)

    @property
    def holds(self) -> bool:
        """True if the expectation is as claimed and the sample agrees with it."""
        return (self.claim is None or self.bias <= TOLERANCE) and (self.z is None or self.z <= MAX_Z)

    @property
    def verdict(self) -> str:
        """The outcome in a few words."""
        if self.z is not None and not self.z <= MAX_Z:
            return "WRONG: the sample differs"
        if self.claim is None:
            return "biased, as stated" if self.bias > TOLERANCE else "no bias here"
        if not self.bias <= TOLERANCE:
            return f"WRONG: not {self.claim}"
        return "unbiased" if self.claim == GRADIENT else f"= {self.claim}"


def rows_of(case: Case, seed: int, samples: bool) -> Iterator[ClaimRow]:
    """Yield a row for each estimator of the catalogue; without a time limit those that use V also with a wrong V."""
    wrong = case.values + np.random.default_rng(seed).normal(size=case.values.shape)
    for named in CATALOGUE:
        yield row(case, named, None, seed, samples)
        if named.needs_value and case.problem.time_limit is None:
            yield row(case, named, wrong, seed, samples=False)


def row(case: Case, named: Named, values: Floats | None, seed: int, samples: bool) -> ClaimRow:
    """Return the row of one estimator on one case, with V [|S|] or the exact one; raise EstimatorError for NaN."""
    moments = exact.moments(case.problem, case.policy, as_function(named.spec), TRAJECTORIES, values=values)
    z = None
    if samples:
        estimates = sampled(case, named.spec, BATCHES, seed, episodes=TRAJECTORIES)
        z = largest_z(estimates, moments.mean)
    claim = named.mean if values is None or named.any_value else None
    return ClaimRow(
        case=case.name,
        estimator=named.name,
        value="" if not named.needs_value else "exact" if values is None else "off",
        exact=target(case, named, claim),
        expectation=moments.mean,
        standard_deviation=float(np.sqrt(np.trace(moments.covariance))),
        z=z,
        claim=claim,
    )


def target(case: Case, named: Named, claim: str | None) -> Floats:
    """Return the mean that a claim states, by linear algebra; [P].

    For estimators with V a time limit truncates the recording; for those without it is part of the problem.
    """
    truncates = named.needs_value and case.problem.time_limit is not None
    if claim == DROPPED:
        return case.solution.gradient_cut(_limit(case), dropped=True) if truncates else case.solution.gradient_dropped
    gradient = case.solution.gradient_cut(_limit(case)) if truncates else case.solution.gradient
    return gradient * (1 - 1 / TRAJECTORIES) if claim == SHRUNK else gradient


def _limit(case: Case) -> int:
    assert case.problem.time_limit is not None
    return case.problem.time_limit


def bias_checks(rows: list[ClaimRow]) -> Iterator[Check]:
    """Yield checks that each stated bias shows on some problem."""
    for named in CATALOGUE:
        stated = [row for row in rows if row.estimator == named.name and row.claim is None]
        if stated:
            largest = max(row.bias for row in stated)
            yield Check(f"{named.name}: its bias shows", largest, VISIBLE, at_least=True)


def limit_checks(cases: list[Case], seed: int) -> Iterator[Check]:
    """Yield checks of the direction of large batches, for estimators whose small-batch mean is biased."""
    for named in CATALOGUE:
        if named.mean is not None:
            continue
        largest = max(_deviation_in_direction(case, named, seed) for case in cases)
        what = f"{named.name}: batches of {LARGE_BATCH:,} "
        if named.limit is None:
            yield Check(f"{what}stay off ∇J", largest, MAX_T, at_least=True)
        else:
            yield Check(f"{what}point along {named.limit}", largest, MAX_T)


def _deviation_in_direction(case: Case, named: Named, seed: int) -> float:
    """Return the largest z of the part orthogonal to the claimed direction; infinity for the opposite direction."""
    along = target(case, named, named.limit or GRADIENT)
    along = along / np.linalg.norm(along)
    estimates = sampled(case, named.spec, LARGE_BATCHES, seed, episodes=LARGE_BATCH)
    forward = estimates @ along
    if named.limit is not None and forward.mean() < -MAX_T * forward.std() / np.sqrt(LARGE_BATCHES):
        return np.inf
    across = estimates - forward[:, None] * along
    return largest_z(across, np.zeros(along.size))


def fixed_step_checks(cases: list[Case], seed: int) -> Iterator[Check]:
    """Yield checks of the actor-critic's batches: environments × steps, reset after each end, truncated by the batch.

    With the true V every λ is unbiased for the mean over steps t of Σ_s P(s_t = s) Σ_a ∇π(a|s) Q(s, a).
    """
    num_steps = 7
    for gae_lambda in (0.0, 0.95, 1.0):
        spec = EstimatorSpec(GAE, VALUE, gae_lambda=gae_lambda, exact_discounting=False, per_episode=False)
        largest = 0.0
        for case in cases:
            if case.problem.time_limit is None and len(case.values) > 3:  # episodes of more than one step
                estimates = sampled(case, spec, BATCHES, seed, num_envs=2, num_steps=num_steps)
                largest = max(largest, largest_z(estimates, fixed_step_gradient(case, num_steps)))
        yield Check(f"GAE(λ={gae_lambda:g}) on 2 environments x {num_steps} steps, true V", largest, MAX_Z)


def fixed_step_gradient(case: Case, num_steps: int) -> Floats:
    """Return 1/T Σ_{t<T} Σ_s P(s_t = s) Σ_a ∇π(a|s) Q(s, a), resetting at once after each end; [P]."""
    problem, policy = case.problem, case.policy
    step = np.einsum("sa,sat->st", policy.probabilities, problem.transition)
    here, total = problem.start, np.zeros(problem.num_states)
    for _ in range(num_steps):
        total = total + here
        following = here @ step
        here = np.where(problem.terminal, 0.0, following) + following[problem.terminal].sum() * problem.start
    per_state = np.einsum("sa,sa,sap->sp", policy.probabilities, case.solution.action_value, policy.scores)
    return np.asarray(total @ per_state / num_steps)
