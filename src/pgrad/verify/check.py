"""One number that must be small, or must not."""

from typing import NamedTuple

import numpy as np

from pgrad.exact.mdp import Floats

TOLERANCE = 1e-10  # of an expectation, relative
VISIBLE = 1e-3  # a bias, relative, that shows


class Check(NamedTuple):
    """Holds where `measured` is at most `bound`, or with `at_least` where it is at least that; never for NaN."""

    name: str
    measured: float
    bound: float
    at_least: bool = False
    skipped: str = ""  # why it was not made, if it was not

    @property
    def holds(self) -> bool:
        """Whether it does, or was skipped."""
        return bool(self.skipped) or (self.measured >= self.bound if self.at_least else self.measured <= self.bound)


def relative(found: Floats, expected: Floats) -> float:
    """‖found - expected‖ / ‖expected‖."""
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))
