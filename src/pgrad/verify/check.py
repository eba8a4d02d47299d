"""Numbers that must be small, or must be large."""

from typing import NamedTuple

import numpy as np

from pgrad.exact.mdp import Floats

TOLERANCE = 1e-10  # relative error of an exact expectation
VISIBLE = 1e-3  # relative size from which a bias counts as shown
MAX_Z = 5.5  # standard errors: a right pgrad is farther off by chance in one of 26 million comparisons


class Check(NamedTuple):
    """Holds if `measured` is at most `bound`, or with `at_least` at least `bound`; never for NaN."""

    name: str
    measured: float
    bound: float
    at_least: bool = False
    skipped: str = ""  # why it was not made; empty if it was

    @property
    def holds(self) -> bool:
        """True if the bound is met or the check was skipped."""
        return bool(self.skipped) or (self.measured >= self.bound if self.at_least else self.measured <= self.bound)


def relative(found: Floats, expected: Floats) -> float:
    """Return ‖found - expected‖ / ‖expected‖."""
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))
