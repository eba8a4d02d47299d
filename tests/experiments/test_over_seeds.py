"""What is said of a setting from its seeds, with failures counted, and of two settings from theirs."""

import math
from statistics import NormalDist

import numpy as np
import pytest

from pgrad.experiments.over_seeds import (
    FAILED,
    OverSeeds,
    best_of,
    over_seeds,
    probability_of_improvement,
    trust,
)
from pgrad.experiments.statistics import Estimate, bootstrap, clopper_pearson, interquartile_mean, mean_interval

EIGHT = [8.0, 1, 7, 2, 6, 3, 5, 4]


def test_the_statistics_of_eight_seeds_by_hand() -> None:
    """The middle half of 1 … 8 is 3, 4, 5, 6."""
    found = over_seeds(EIGHT, threshold=6)
    assert (found.n, found.failures, found.median, found.worst, found.solved) == (8, 0, 4.5, 1.0, 3)
    assert found.mean == mean_interval(EIGHT) and found.mean.value == 4.5
    assert found.interquartile_mean.value == 4.5
    assert np.isnan(found.interquartile_mean.low), "below ten seeds it has no interval"
    assert found.solved_share == clopper_pearson(3, 8)
    assert over_seeds(EIGHT).solved is None and np.isnan(over_seeds(EIGHT).solved_share.value)


def test_from_ten_seeds_on_the_interquartile_mean_has_its_bootstrap_interval() -> None:
    x = np.random.default_rng(0).normal(size=30)
    assert over_seeds(x).interquartile_mean == bootstrap(x, interquartile_mean)


def test_a_failed_seed_counts_as_the_worst_everywhere() -> None:
    """Of 1 … 8 with 8 failed the middle half is 2, 3, 4, 5, the median 3.5."""
    found = over_seeds([FAILED, *EIGHT[1:]], threshold=6)
    assert (found.n, found.failures, found.median, found.worst, found.solved) == (8, 1, 3.5, FAILED, 2)
    assert found.mean.value == FAILED and found.interquartile_mean.value == 3.5
    assert "".join(found.cells()).count("failed") == 2, "the mean and the worst"
    assert found.tolerance().startswith("worst seed failed: with 8 seeds, nothing is sure of 68 % of future seeds")


def test_over_a_quarter_of_failures_leaves_no_interquartile_mean() -> None:
    x = np.arange(12.0)
    x[:3] = FAILED
    assert over_seeds(x).interquartile_mean.value == 5.5
    x[:4] = FAILED
    found = over_seeds(x)
    assert found.interquartile_mean.value == FAILED and found.median == 5.5
    x[:] = FAILED
    assert over_seeds(x).interquartile_mean == (FAILED, FAILED, FAILED)


def test_the_interval_of_values_with_failures_is_one() -> None:
    """Between a failure and a number there is nothing: an end is one of the two, and never NaN."""
    x = np.concatenate([[FAILED] * 7, np.full(23, 100.0)])
    value, low, high = over_seeds(x).interquartile_mean
    assert (value, low, high) == (100.0, FAILED, 100.0)


@pytest.mark.parametrize(("n", "share"), [(10, 74), (30, 90), (59, 95), (100, 97), (299, 99), (1, 5)])
def test_the_tolerance_statement_is_that_of_the_tables(n: int, share: int) -> None:
    """One-sided nonparametric tolerance limits: 59 values for 95 %, 299 for 99 %, at 95 % confidence."""
    seeds = f"{n} seed{'s' * (n > 1)}"
    expected = f"worst seed 300.0: with {seeds}, {share} % of future seeds reach this, at 95 % confidence"
    assert over_seeds(np.full(n, 300.0)).tolerance() == expected


@pytest.mark.parametrize("n", [3, 30])
def test_the_tolerance_statement_holds_nineteen_times_in_twenty(n: int) -> None:
    """Of uniform values, so that the share above the worst is 1 minus it; standard error of 4,000: 0.0034."""
    worst = np.random.default_rng(n).random((4000, n)).min(axis=1)
    share = over_seeds(np.arange(float(n))).share_above
    assert np.mean(1 - worst >= share) == pytest.approx(0.95, abs=4 * 0.0034)


def test_few_seeds_are_not_to_be_trusted() -> None:
    assert trust(10) is None
    assert str(trust(9)).startswith("with 9 seeds no interval can be trusted")
    assert str(trust(1)).startswith("with 1 seed no")


@pytest.mark.parametrize(
    ("x", "y", "expected"),
    [
        ([1.0], [0.0], 1.0),
        ([0.0], [0.0], 0.5),
        ([1, 2, 3], [0, 2, 4], 4.5 / 9),
        ([5, 6], [1, 2, 5], (3 + 2.5) / 6),
        ([FAILED, 3], [FAILED, 2], (0.5 + 0 + 1 + 1) / 4),
    ],
)
def test_the_probability_of_improvement_by_hand(x: list[float], y: list[float], expected: float) -> None:
    value, low, high = probability_of_improvement(x, y)
    assert value == pytest.approx(expected)
    assert 0 <= low <= value <= high <= 1
    np.testing.assert_allclose(probability_of_improvement(y, x), (1 - value, 1 - high, 1 - low))


def test_the_interval_of_the_probability_of_improvement_solves_its_equation() -> None:
    """With θ̂ = 1 and n = m = 2, k is 1: 1 - θ = z² θ (1 + (1 - θ) / (2 - θ) + θ / (1 + θ)) / 4."""
    low = probability_of_improvement([3.0, 4.0], [1.0, 2.0]).low
    z = NormalDist().inv_cdf(0.975)
    assert 1 - low == pytest.approx(z**2 * low * (1 + (1 - low) / (2 - low) + low / (1 + low)) / 4)


@pytest.mark.parametrize("shift", [0.0, 1.0, 3.0])
@pytest.mark.parametrize(("n", "m"), [(10, 10), (30, 30), (30, 10)])
def test_the_interval_of_the_probability_of_improvement_covers_it(shift: float, n: int, m: int) -> None:
    """Of normal values a shift apart it is Φ(shift / √2); the standard error of 1,000 samples is 0.0069."""
    rng = np.random.default_rng([n, m, int(shift)])
    truth = NormalDist().cdf(shift / math.sqrt(2))
    pairs = zip(rng.normal(shift, 1, (1000, n)), rng.normal(0, 1, (1000, m)), strict=True)
    intervals = [probability_of_improvement(x, y) for x, y in pairs]
    assert np.mean([low <= truth <= high for _, low, high in intervals]) > 0.95 - 4 * 0.0069


def test_a_bootstrap_would_say_that_what_is_apart_is_certain() -> None:
    x, y = np.arange(30.0) + 100, np.arange(30.0)
    value, low, high = probability_of_improvement(x, y)
    assert (value, high) == (1.0, pytest.approx(1.0)) and 0.9 < low < 0.97


def test_the_best_has_the_largest_interquartile_mean_then_mean_then_worst_then_comes_first() -> None:
    def made(iqm: float, mean: float, worst: float) -> OverSeeds:
        return OverSeeds(3, 0, Estimate(mean, 0, 0), 0.0, Estimate(iqm, 0, 0), worst, None)

    assert best_of([made(1, 9, 9), made(2, 0, 0), made(2, 1, 0), made(2, 1, 5), made(2, 1, 5)]) == 3
    assert best_of([over_seeds([FAILED] * 3), over_seeds([0.0, 0.0, 0.0])]) == 1
