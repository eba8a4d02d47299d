"""What is found out about a function that may be an estimator: its estimates, means and weights, and if it reads V."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

import numpy as np

from pgrad.errors import EstimatorError
from pgrad.exact.mdp import Floats
from pgrad.exact.trajectories import EstimatorFunction, Trajectory
from pgrad.verify.decay import Decay, advantages, psis_of, psis_of_forward_recursion, psis_of_own_gamma, read_decays
from pgrad.verify.parts import each
from pgrad.verify.probes import (
    as_if_terminated,
    estimate,
    ignored,
    probes,
    read_weights,
    truncated_probes,
    with_other_values,
)
from pgrad.verify.random_problems import MeanOn, RandomProblem, random_problems, truncated_problem
from pgrad.verify.recognition import SAME, Candidates, Psi, Recognised, candidates, known_psis, recognise, right_psis
from pgrad.verify.zoo import SCORES, WHY, ZOO, Form

MAX_SIZE_WITH_OTHER_VALUES = 3  # trajectories in a batch where another V is tried


@dataclass(frozen=True, eq=False)
class Examination:
    """The problems and batches on which functions are examined, and what known estimators do there."""

    problems: list[RandomProblem]
    cut: RandomProblem  # with a time limit
    probes: list[list[Trajectory]]
    truncated: list[list[Trajectory]]  # probes with truncated trajectories
    _candidates: dict[tuple[bool, int], Candidates] = field(default_factory=dict)

    def candidates(self, mistakes: bool, least: int) -> Candidates:
        """Return the right forms, or those and mistakes, on the probes of at least so many trajectories."""
        if (mistakes, least) not in self._candidates:
            batches = [batch for batch in self.probes if len(batch) >= least]
            self._candidates[mistakes, least] = candidates(batches, known_psis() if mistakes else right_psis())
        return self._candidates[mistakes, least]


@lru_cache(maxsize=4)
def examination(seed: int, sets: int) -> Examination:
    """Return so many sets of random problems, and probes; the last few are kept, for many functions at one seed."""
    rng = np.random.default_rng(seed)
    problems = [problem for _ in range(sets) for problem in random_problems(rng)]
    return Examination(problems, truncated_problem(rng), probes(rng), truncated_probes(rng))


@dataclass(frozen=True)
class Evidence:
    """What is found out about one function; it is computed when it is first asked for."""

    function: EstimatorFunction
    examination: Examination

    @cached_property
    def estimates(self) -> list[Floats | None]:
        """The estimate from each probe; None for that of one trajectory, if the function fails on one."""
        return [self._unless_alone(batch) for batch in self.examination.probes]

    def _unless_alone(self, batch: list[Trajectory]) -> Floats | None:
        try:
            return estimate(self.function, batch)
        except EstimatorError:
            if len(batch) > 1:
                raise
            return None

    def _estimated(self, least: int = 1) -> Iterator[tuple[list[Trajectory], Floats]]:
        """Yield each probe of at least so many trajectories with its estimate, if there is one."""
        for batch, once in zip(self.examination.probes, self.estimates, strict=True):
            if once is not None and len(batch) >= least:
                yield batch, once

    def require_deterministic(self) -> None:
        """Raise EstimatorError if a second estimate from a probe differs from the first."""
        for batch, once in self._estimated():
            if (estimate(self.function, batch) != once).any():
                raise EstimatorError(
                    "the estimator returns different numbers for the same trajectories: draw no random numbers in it, "
                    "or only from a generator that it creates with a fixed seed"
                )

    @property
    def ignores_trajectories(self) -> bool:
        """True if the scores of some trajectory of a batch have no part in the estimate."""
        return any(ignored(once, batch) for batch, once in self._estimated(least=2))

    def means(self, problems: list[RandomProblem], other_values: bool = False) -> list[MeanOn]:
        """Return the means on the problems in all their sizes of batch; with another V, in the smaller ones.

        Batches of one trajectory are left out where the function fails or returns 0, as those may that need two.
        """
        result = []
        for problem in problems:
            for size in problem.sizes:
                if other_values and size > MAX_SIZE_WITH_OTHER_VALUES:
                    continue
                try:
                    mean = problem.mean(self.function, size, other_values)
                except EstimatorError:
                    if size > 1:
                        raise
                    continue
                if size > 1 or mean.mean.any():
                    result.append(mean)
        return result

    # Weights

    @cached_property
    def recognised(self) -> Recognised | None:
        """What has the same weights: right forms first, then mistakes and forms whose decay is read off."""
        least = 2 if (alone := self.estimates[0]) is None or not alone.any() else 1
        pairs = list(self._estimated(least))
        if right := [one for one in _alike(pairs, self.examination.candidates(False, least)) if not one.names]:
            return right[0]
        found = list[Recognised]()
        if psis := self._psis_read_off:
            found += _alike(pairs, candidates([batch for batch, _ in pairs], psis))
        found += _alike(pairs, self.examination.candidates(True, least))
        return min(found, key=lambda one: len(one.names), default=None)

    def mistake_of_same_mean(self, means: list[MeanOn]) -> str | None:
        """Return the name of the first mistake of the zoo whose mean is that of the function everywhere."""
        for mistake in ZOO:
            for form in mistake.forms:
                if all(one.problem.equal(one.problem.mean(form, one.size).mean, one.mean) for one in means):
                    return mistake.name
        return None

    @property
    def farthest_weight(self) -> str:
        """Where the weights differ most from those of the reward-to-go estimate, in words."""
        right, worst = Form(), (0.0, "it is no weighted sum of the scores of the actions taken")
        for batch, once in self._estimated():
            if (weights := read_weights(once, batch)) is None:
                continue
            expected, steps = right.weights(batch), [(n, t) for n, one in enumerate(batch) for t in range(len(one))]
            b = int(np.abs(weights - expected).argmax())
            n, t = steps[b]
            where = f"the score of step {t} of trajectory {n + 1} of {len(batch)}"
            told = f"{where} is multiplied by {weights[b]:.3g}, where γ^t G_t / N is {expected[b]:.3g}"
            worst = max(worst, (abs(weights[b] - expected[b]), told))
        return worst[1]

    # V

    @cached_property
    def reads_value(self) -> bool:
        """True if another V changes an estimate."""
        return self._changes(self.examination.probes, with_other_values) or self._changes(
            self.examination.truncated, with_other_values
        )

    @property
    def reads_final_value(self) -> bool:
        """True if V after a truncated trajectory, or that it is truncated, changes an estimate."""
        return self._changes(self.examination.truncated, as_if_terminated)

    def _changes(self, batches: list[list[Trajectory]], change: Callable[[list[Trajectory]], list[Trajectory]]) -> bool:
        for batch in batches:
            if len(batch) > 1:
                before, after = estimate(self.function, batch), estimate(self.function, change(batch))
                if np.linalg.norm(after - before) > SAME * max(np.linalg.norm(before), np.linalg.norm(after)):
                    return True
        return False

    @property
    def _rng(self) -> np.random.Generator:
        return np.random.default_rng(0)

    @cached_property
    def _decays(self) -> list[Decay]:
        """The decays with which the function may sum TD errors."""
        return read_decays(self.function, self._rng) if self.reads_value else []

    @cached_property
    def _psis_read_off(self) -> tuple[Psi, ...]:
        if self.reads_value:
            forward = psis_of_forward_recursion(self.function, self._rng)
            return (*(psi for decay in self._decays for psi in psis_of(decay)), *forward)
        return psis_of_own_gamma(self.function, self._rng)

    @cached_property
    def _means_with_other_values(self) -> list[MeanOn]:
        return self.means(self.examination.problems, other_values=True)

    @cached_property
    def right_with_any_value(self) -> bool:
        """True if the mean is ∇J with a random V as well."""
        return not self.reads_value or all(mean.right for mean in self._means_with_other_values)

    @property
    def is_advantage(self) -> bool:
        """True if the mean with a random V is that of a mean of n-step advantages, and the weights are no mistake's."""
        if self.recognised is not None and self.recognised.names:
            return False
        return any(self._has_mean_of(decay) for decay in self._decays if not decay.mistake)

    def _has_mean_of(self, decay: Decay) -> bool:
        form = Form(each(lambda one: advantages(decay, one)))
        return all(
            one.problem.equal(one.mean, one.problem.mean(form, 1, other_values=True).mean)
            for one in self._means_with_other_values
        )


def _alike(pairs: list[tuple[list[Trajectory], Floats]], among: Candidates) -> list[Recognised]:
    """Return what has the same weights on all probes: for each score of which the estimates are sums, one at most."""
    found = []
    for scores, mistake in SCORES:
        rows = [read_weights(once, batch, scores) for batch, once in pairs]
        weights = [row for row in rows if row is not None]
        if len(weights) == len(rows) and (one := recognise(np.concatenate(weights), among)) is not None:
            found.append(Recognised((mistake, *one.names), WHY[mistake], one.title) if mistake else one)
    return found
