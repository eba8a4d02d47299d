"""Each mistake of the zoo on a problem where it shows: its exact expectation, and the diagnosis of it."""

from typing import NamedTuple

import numpy as np

from pgrad.exact.mdp import Floats
from pgrad.verify.check import TOLERANCE, VISIBLE, relative
from pgrad.verify.diagnosis import angle_between, diagnose_estimator
from pgrad.verify.known_forms import known_forms
from pgrad.verify.random_problems import distinguishing_problem, truncated_problem
from pgrad.verify.zoo import ARGMAX, TRUNCATION, ZOO


class ZooRow(NamedTuple):
    """One mistake; vectors are [P]."""

    name: str
    exact: Floats  # ∇J
    expectation: Floats  # E[ĝ] of the mistaken estimate, over all pairs of trajectories
    unbiased: bool  # True if the mistake only adds variance
    diagnosis: str  # the name that diagnose_estimator gives it

    @property
    def bias(self) -> float:
        """‖expectation - exact‖ / ‖exact‖."""
        return relative(self.expectation, self.exact)

    @property
    def angle(self) -> float:
        """Degrees between expectation and ∇J."""
        return angle_between(self.expectation, self.exact)

    @property
    def holds(self) -> bool:
        """True if its bias is as stated and the diagnosis names it."""
        return self.diagnosis == self.name and (self.bias < TOLERANCE if self.unbiased else self.bias > VISIBLE)


def zoo_rows(seed: int) -> list[ZooRow]:
    """Return a row for each mistake, on a random problem without a time limit, or with one where it matters."""
    rng = np.random.default_rng(seed)
    ending, truncated = distinguishing_problem(known_forms(), rng), truncated_problem(rng)
    rows = []
    for mistake in ZOO:
        problem = truncated if mistake.name == TRUNCATION else ending
        mean = problem.mean(mistake.function, greedy=mistake.name == ARGMAX)
        diagnosis = diagnose_estimator(mistake.function, act=mistake.act, problems=1, seed=seed)
        rows.append(ZooRow(mistake.name, problem.truth, mean, mistake.unbiased, diagnosis.name))
    return rows
