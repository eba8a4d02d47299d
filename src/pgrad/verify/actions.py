"""A test of how actions are chosen: their frequencies against π."""

import numpy as np

from pgrad.exact.trajectories import Act, checked_action
from pgrad.verify.zoo import ARGMAX

# Rare actions betray a mixture with other distributions, and actions of like size another temperature.
DISTRIBUTIONS = ((0.97, 0.02, 0.01), (0.7, 0.2, 0.1), (0.9, 0.1), (0.4, 0.3, 0.2, 0.1))
DRAWS = 2_000  # from each
MAX_CHI_SQUARED = 45.0  # 8 degrees of freedom: π itself exceeds it in 6 of 10^7 tests


def action_fault(act: Act, rng: np.random.Generator) -> str | None:
    """Compare action frequencies with π by Pearson's χ² over four distributions; return the fault, ARGMAX, or None.

        χ² = Σ (count - 2000 π)² / (2000 π) > 45

    π itself fails in 6 of 10^7 tests. Noticed are 99 % of mixtures (1 - ε) π + ε · uniform at ε = 0.05 (4 % at 0.02),
    and over 99.9 % of temperatures 0.8 and 1.25 (30 % of 0.9).

    Raises MDPError if `act` raises or returns no action.
    """
    chi_squared, greedy, worst = 0.0, True, (0.0, "")
    for distribution in DISTRIBUTIONS:
        probabilities = rng.permutation(distribution)
        drawn = [checked_action(act, probabilities, rng) for _ in range(DRAWS)]
        counts = np.bincount(drawn, minlength=probabilities.size)
        greedy = greedy and counts[probabilities.argmax()] == DRAWS
        terms = (counts - DRAWS * probabilities) ** 2 / (DRAWS * probabilities)
        chi_squared += float(terms.sum())
        a = int(terms.argmax())
        fault = f"act chose action {a} in {counts[a] / DRAWS:.1%} of draws where π says {probabilities[a]:.1%}"
        worst = max(worst, (float(terms[a]), fault))
    if greedy:
        return ARGMAX
    return worst[1] if chi_squared > MAX_CHI_SQUARED else None
