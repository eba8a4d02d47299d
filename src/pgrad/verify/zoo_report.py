"""Each mistake of the zoo on a problem where it shows: its exact expectation, and the diagnosis of it."""

from typing import NamedTuple

import numpy as np

from pgrad.exact.mdp import Floats
from pgrad.verify.check import VISIBLE, relative
from pgrad.verify.diagnosis import angle_between, diagnose_estimator
from pgrad.verify.random_problems import random_problems, truncated_problem
from pgrad.verify.zoo import ARGMAX, TRUNCATION, ZOO


class ZooRow(NamedTuple):
    """One mistake; vectors are [P]."""

    name: str
    exact: Floats  # ∇J
    expectation: Floats  # E[ĝ] of the mistaken estimate, over all pairs of trajectories
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
        """True if its bias shows and the diagnosis names it."""
        return self.diagnosis == self.name and self.bias > VISIBLE


def zoo_rows(seed: int) -> list[ZooRow]:
    """Return a row for each mistake: on the problem, and in the size of batch, where its bias is largest."""
    rng = np.random.default_rng(seed)
    ending, truncated = random_problems(rng), [truncated_problem(rng)]
    rows = []
    for mistake in ZOO:
        shown = []
        for problem in truncated if mistake.name == TRUNCATION else ending:
            if mistake.name == ARGMAX:
                mean = problem.greedy_mean(mistake.function, 1).mean
            else:
                mean = problem.mean(mistake.function, 2).mean
            shown.append((relative(mean, problem.truth), problem.truth, mean))
        _, truth, mean = max(shown, key=lambda row: row[0])
        diagnosis = diagnose_estimator(mistake.function, act=mistake.act, problems=1, seed=seed)
        rows.append(ZooRow(mistake.name, truth, mean, diagnosis.name))
    return rows
