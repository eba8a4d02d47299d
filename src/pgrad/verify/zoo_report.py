"""Each mistake of the zoo on a problem where it shows: its exact expectation, and whether the diagnosis names it."""

from typing import NamedTuple

import numpy as np

from pgrad.exact.mdp import Floats
from pgrad.verify.check import TOLERANCE, VISIBLE, relative
from pgrad.verify.diagnosis import angle_between, diagnose_estimator
from pgrad.verify.known_forms import known_forms
from pgrad.verify.random_problems import cut_trial, telling_trial
from pgrad.verify.zoo import ARGMAX, TRUNCATION, ZOO


class Sighting(NamedTuple):
    """One mistake; vectors are [P]."""

    name: str
    exact: Floats  # ∇J
    expectation: Floats  # of the mistaken estimate, over all pairs of trajectories
    unbiased: bool  # whether the mistake is one of noise alone
    named: str  # what the diagnosis calls it

    @property
    def bias(self) -> float:
        """‖expectation - exact‖ / ‖exact‖."""
        return relative(self.expectation, self.exact)

    @property
    def angle(self) -> float:
        """Degrees between the two."""
        return angle_between(self.expectation, self.exact)

    @property
    def holds(self) -> bool:
        """Whether it is as wrong as it should be, and recognised."""
        return self.named == self.name and (self.bias < TOLERANCE if self.unbiased else self.bias > VISIBLE)


def sightings(seed: int) -> list[Sighting]:
    """The whole zoo on one random problem; where time limits matter, on one that has them."""
    rng = np.random.default_rng(seed)
    ending, cut = telling_trial(known_forms(), rng), cut_trial(rng)
    seen = []
    for mistake in ZOO:
        trial = cut if mistake.name == TRUNCATION else ending
        mean = trial.mean(mistake.function, greedy=mistake.name == ARGMAX)
        diagnosis = diagnose_estimator(mistake.function, act=mistake.act, problems=1, seed=seed)
        seen.append(Sighting(mistake.name, trial.truth, mean, mistake.unbiased, diagnosis.name))
    return seen
