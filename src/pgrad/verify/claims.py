"""Every estimator of the catalogue against its claim: by enumeration, and through the code that trains."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pgrad import exact
from pgrad.estimators.catalogue import CATALOGUE, DROPPED, GRADIENT, SHRUNK, Named
from pgrad.estimators.spec import GAE, VALUE, EstimatorSpec
from pgrad.exact.mdp import Floats
from pgrad.verify.as_estimator import as_function
from pgrad.verify.cases import Case
from pgrad.verify.check import TOLERANCE, VISIBLE, Check, relative
from pgrad.verify.sampling import largest_z, sampled

TRAJECTORIES = 2  # a batch
MAX_Z = 5.0  # standard errors
BATCHES = 10_000
LARGE_BATCH, LARGE_BATCHES = 1_000, 60


@dataclass(frozen=True)
class Row:
    """One estimator on one problem with one policy; vectors are [P]."""

    case: str
    estimator: str
    value: str  # which V was used: "exact", "off" by random numbers, or "" where none enters
    exact: Floats  # what the mean is claimed to be; ∇J where nothing is claimed
    expectation: Floats  # by enumeration of all batches
    standard_deviation: float  # √tr Cov of one batch's estimate
    z: float | None  # of the sample's mean from the expectation, the largest over parameters; None where not sampled
    claim: str | None  # "∇J", …; None where a bias is stated

    @property
    def bias(self) -> float:
        """‖expectation - exact‖ / ‖exact‖."""
        return relative(self.expectation, self.exact)

    @property
    def holds(self) -> bool:
        """Whether the expectation is what is claimed, and the sample agrees with it."""
        return (self.claim is None or self.bias <= TOLERANCE) and (self.z is None or self.z <= MAX_Z)

    @property
    def verdict(self) -> str:
        """A few words."""
        if self.z is not None and not self.z <= MAX_Z:
            return "WRONG: the sample differs"
        if self.claim is None:
            return "biased, as stated" if self.bias > TOLERANCE else "no bias here"
        if not self.bias <= TOLERANCE:
            return f"WRONG: not {self.claim}"
        return "unbiased" if self.claim == GRADIENT else f"= {self.claim}"


def rows_of(case: Case, seed: int, samples: bool) -> Iterator[Row]:
    """The whole catalogue on one case: what needs V with the exact one, and where nothing cuts with a wrong one too."""
    wrong = case.values + np.random.default_rng(seed).normal(size=case.values.shape)
    for named in CATALOGUE:
        yield row(case, named, None, seed, samples)
        if named.needs_value and case.problem.time_limit is None:
            yield row(case, named, wrong, seed, samples=False)


def row(case: Case, named: Named, values: Floats | None, seed: int, samples: bool) -> Row:
    """One estimator on one case. Raises EstimatorError where the estimate is not finite."""
    moments = exact.moments(case.problem, case.policy, as_function(named.spec), TRAJECTORIES, values=values)
    z = None
    if samples:
        estimates = sampled(case, named.spec, BATCHES, seed, episodes=TRAJECTORIES)
        z = largest_z(estimates, moments.mean)
    claim = named.mean if values is None or named.any_value else None
    return Row(
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
    """What a claim says the mean is, by linear algebra; [P].

    With V, a time limit only cuts what is recorded; without, it is part of the problem.
    """
    cut = named.needs_value and case.problem.time_limit is not None
    if claim == DROPPED:
        return case.solution.gradient_cut(_limit(case), dropped=True) if cut else case.solution.gradient_dropped
    gradient = case.solution.gradient_cut(_limit(case)) if cut else case.solution.gradient
    return gradient * (1 - 1 / TRAJECTORIES) if claim == SHRUNK else gradient


def _limit(case: Case) -> int:
    assert case.problem.time_limit is not None
    return case.problem.time_limit


def bias_checks(rows: list[Row]) -> Iterator[Check]:
    """A bias that is stated must show somewhere, or the statement would be idle."""
    for named in CATALOGUE:
        stated = [row for row in rows if row.estimator == named.name and row.claim is None]
        if stated:
            largest = max(row.bias for row in stated)
            yield Check(f"{named.name}: its bias shows", largest, VISIBLE, at_least=True)


def limit_checks(cases: list[Case], seed: int) -> Iterator[Check]:
    """Where the mean of small batches is biased: the direction of large ones, through the code that trains."""
    for named in CATALOGUE:
        if named.mean is not None:
            continue
        largest = max(_deviation_in_direction(case, named, seed) for case in cases)
        what = f"{named.name}: batches of {LARGE_BATCH:,} "
        if named.limit is None:
            yield Check(f"{what}stay off ∇J", largest, MAX_Z, at_least=True)
        else:
            yield Check(f"{what}point along {named.limit}", largest, MAX_Z)


def _deviation_in_direction(case: Case, named: Named, seed: int) -> float:
    """The largest z of what is orthogonal to the direction of the limit; infinite where it points the other way."""
    along = target(case, named, named.limit or GRADIENT)
    along = along / np.linalg.norm(along)
    estimates = sampled(case, named.spec, LARGE_BATCHES, seed, episodes=LARGE_BATCH)
    forward = estimates @ along
    if named.limit is not None and forward.mean() < -MAX_Z * forward.std() / np.sqrt(LARGE_BATCHES):
        return np.inf
    across = estimates - forward[:, None] * along
    return largest_z(across, np.zeros(along.size))


def fixed_step_checks(cases: list[Case], seed: int) -> Iterator[Check]:
    """The actor-critic's own batches: environments × steps, beginning anew after every end, cut by the batch's end.

    With the true V, any λ is unbiased: the mean over steps t of Σ_s P(s_t = s) Σ_a ∇π(a|s) Q(s, a).
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
    """1/T Σ_{t<T} Σ_s P(s_t = s) Σ_a ∇π(a|s) Q(s, a), where a new episode follows an end at once; [P]."""
    problem, policy = case.problem, case.policy
    step = np.einsum("sa,sat->st", policy.probabilities, problem.transition)
    here, total = problem.start, np.zeros(problem.num_states)
    for _ in range(num_steps):
        total = total + here
        following = here @ step
        here = np.where(problem.terminal, 0.0, following) + following[problem.terminal].sum() * problem.start
    per_state = np.einsum("sa,sa,sap->sp", policy.probabilities, case.solution.action_value, policy.scores)
    return np.asarray(total @ per_state / num_steps)
