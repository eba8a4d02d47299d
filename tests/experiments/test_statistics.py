"""Point estimates and intervals over seeds."""

import math
from typing import Any

import numpy as np
import pytest

from pgrad.experiments.statistics import (
    Estimate,
    bootstrap,
    clopper_pearson,
    counted,
    expanded_tail,
    interquartile_mean,
    interval_name,
    mean,
    mean_interval,
    mean_interval_of_columns,
    student_t,
    unseen,
)


@pytest.mark.parametrize(
    ("x", "expected"),
    [
        ([7], 7.0),
        ([1, 3], 2.0),
        ([1, 2, 6], 3.0),
        ([100, 1, 2, 0], 1.5),
        ([5, 1, -100, 2, 3], 2.0),
        ([8, 1, 7, 2, 6, 3, 5, 4], 4.5),
        ([1, 2, 3, 4, 5, 6, 7, 8, 9000], 5.0),
        ([[4, 3, 2, 1], [0, 0, 8, 1000]], [2.5, 4.0]),
    ],
)
def test_interquartile_mean_by_hand(x: Any, expected: Any) -> None:
    assert interquartile_mean(np.array(x, float)).tolist() == expected


def test_interquartile_mean_ignores_the_outer_quarters() -> None:
    x = np.arange(40.0)
    outliers = x.copy()
    outliers[-10:], outliers[:10] = 1e9, -1e9
    assert interquartile_mean(outliers) == interquartile_mean(x) == mean(x)
    assert x.tolist() == list(range(40)), "the argument is not sorted in place"


@pytest.mark.parametrize(
    ("estimate", "text"),
    [
        ((475.04, 460.0, 490.66), "475.0 [460.0, 490.7]"),
        ((500.0, 500.0, 500.0), "500.0 [500.0, 500.0]"),
        ((0.7683, 0.71, 0.829), "0.77 [0.71, 0.83]"),
        ((0.81234, 0.81234, 0.81234), "0.812 [0.812, 0.812]"),
        ((0.5, np.nan, np.nan), "0.500"),
        ((-0.00012345, -0.0002, -0.0001), "-0.00012 [-0.00020, -0.00010]"),
        ((0.0, 0.0, 0.0), "0.0 [0.0, 0.0]"),
        ((-400.000001, -400.000001, -400.0), "-400.0 [-400.0, -400.0]"),
        ((400.0, 399.99, 400.01), "400.000 [399.990, 400.010]"),
        ((2e301, 1e301, 3e301), "2e+301 [1e+301, 3e+301]"),
        ((np.inf, np.nan, np.nan), "inf"),
    ],
)
def test_an_estimate_reads_well(estimate: Any, text: str) -> None:
    assert str(Estimate(*estimate)) == text


def test_equal_values_are_certain() -> None:
    assert bootstrap([3.0] * 10) == mean_interval([3.0] * 5) == Estimate(3.0, 3.0, 3.0)


@pytest.mark.parametrize("n", [1, 9])
def test_the_bootstrap_of_few_values_has_no_interval(n: int) -> None:
    estimate = bootstrap([3.0] * n)
    assert estimate.value == 3.0 and np.isnan([estimate.low, estimate.high]).all()
    assert not np.isnan(bootstrap([3.0] * 10)).any()


def test_the_mean_of_one_value_has_no_interval() -> None:
    estimate = mean_interval([3.0])
    assert estimate.value == 3.0 and np.isnan([estimate.low, estimate.high]).all()


@pytest.mark.parametrize("interval", [bootstrap, mean_interval])
@pytest.mark.parametrize("x", [[], [[1.0, 2.0]], 3.0])
def test_an_interval_wants_a_vector(x: Any, interval: Any) -> None:
    with pytest.raises(ValueError, match="non-empty vector, not shape"):
        interval(x)


@pytest.mark.parametrize(
    ("level", "degrees", "t"),
    [
        (0.95, 1, 12.7062),
        (0.95, 2, 4.3027),
        (0.95, 3, 3.1824),
        (0.95, 4, 2.7764),
        (0.95, 9, 2.2622),
        (0.95, 29, 2.0452),
        (0.95, 100, 1.9840),
        (0.99, 1, 63.6567),
        (0.99, 10, 3.1693),
        (0.50, 5, 0.7267),
    ],
)
def test_quantiles_of_student_are_those_of_the_tables(level: float, degrees: int, t: float) -> None:
    assert student_t(level, degrees) == pytest.approx(t, abs=6e-5)


def test_with_many_degrees_of_freedom_student_is_normal() -> None:
    assert student_t(0.95, 10**9) == pytest.approx(1.959964, rel=2e-4)
    assert expanded_tail(0.95, 10**6) == pytest.approx(0.025, rel=1e-3)


def test_the_interval_of_few_values_by_hand() -> None:
    """The mean of (1, 2, 3) is 2, s = 1, t = 4.3027 with two degrees of freedom: 2 ± 4.3027 / √3."""
    np.testing.assert_allclose(mean_interval([1.0, 2.0, 3.0]), (2.0, 2 - 2.48414, 2 + 2.48414), atol=1e-5)


def test_from_ten_values_on_the_interval_is_the_bootstrap() -> None:
    x = np.random.default_rng(0).exponential(size=10)
    assert mean_interval(x) == bootstrap(x)
    low, high = mean_interval(x[:9])[1:]
    assert low + high == pytest.approx(2 * x[:9].mean()), "Student's interval is symmetric"


def test_the_name_says_which_interval_it_is_and_what_it_may_miss() -> None:
    few = "nominal 95 %, Student's t over 3 seeds, exact for normal returns; may miss what 63 % of seeds do"
    assert interval_name(3, "seeds") == few
    assert interval_name(9, "seeds").startswith("nominal 95 %, Student's t over 9 seeds")
    assert interval_name(10, "seeds") == "nominal 95 %, bootstrap over 10 seeds; may miss what 26 % of seeds do"
    assert interval_name(100, "episodes").endswith("over 100 episodes; may miss what 3 % of episodes do")
    assert interval_name(1, "episodes") == "no interval over 1 episode: two or more would show how they differ"


@pytest.mark.parametrize("n", [2, 3, 30, 1000])
def test_what_n_values_may_miss_they_miss_once_in_twenty_times(n: int) -> None:
    assert (1 - unseen(n)) ** n == pytest.approx(0.05)


@pytest.mark.parametrize(("failing", "n"), [(0.5, 3), (0.1, 5), (0.3, 10), (0.1, 30)])
def test_the_interval_of_returns_of_two_kinds_fails_where_one_kind_is_missing(failing: float, n: int) -> None:
    """500, or 100 where a seed fails: 5 % of intervals may miss the mean, and those of n equal returns must.

    Standard error of 1,500 intervals: at most 0.5 / √1500 = 0.013.
    """
    rng = np.random.default_rng(n)
    samples = np.where(rng.random((1500, n)) < failing, 100.0, 500.0)
    alike = (samples == samples[:, :1]).all(axis=1)
    covered = np.array([low <= 500 - 400 * failing <= high for _, low, high in map(mean_interval, samples)])
    assert not covered[alike].any()
    assert covered.mean() > 0.95 - alike.mean() - 3 * 0.013


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [
        (0, 10, 0.0, 0.3085),
        (1, 10, 0.0025, 0.4450),
        (5, 10, 0.1871, 0.8129),
        (10, 10, 0.6915, 1.0),
        (0, 1, 0.0, 0.975),
        (30, 30, 0.8843, 1.0),
        (100, 100, 0.9638, 1.0),
    ],
)
def test_the_interval_of_a_share_is_that_of_the_tables(successes: int, n: int, low: float, high: float) -> None:
    """Of 0 or all successes by hand, 0.025^(1/n); the others of 10 in every table of binomial confidence limits."""
    np.testing.assert_allclose(clopper_pearson(successes, n), (successes / n, low, high), atol=5e-5)


@pytest.mark.parametrize("n", [1, 3, 10, 30])
def test_the_interval_of_a_share_covers_at_least_as_often_as_it_says(n: int) -> None:
    """Enumerated: the probability of each count, summed over those whose interval has the true share in it."""
    intervals = [clopper_pearson(k, n) for k in range(n + 1)]
    covered = [
        sum(
            math.comb(n, k) * p**k * (1 - p) ** (n - k)
            for k, (_, low, high) in enumerate(intervals)
            if low <= p <= high
        )
        for p in np.linspace(0, 1, 401)
    ]
    assert min(covered) >= 0.95 - 1e-12
    assert min(covered) < 0.98, "and is no wider than that asks for"


def test_a_count_is_printed_with_the_interval_of_its_share() -> None:
    assert counted(30, 30) == "30 of 30 [88.4 %, 100 %]"
    assert counted(29, 30) == "29 of 30 [82.8 %, 99.9 %]"
    assert counted(0, 1) == "0 of 1 [0 %, 97.5 %]"


def test_the_bootstrap_of_two_kinds_of_values_is_binomial() -> None:
    """Resamples of five 0 and five 1 have the mean B / 10, B binomial: P(B ≤ 1) = 11/1024 and P(B ≤ 2) = 56/1024.

    α is 0.0086 at the level 0.95: the quantile is 0.1. At 0.90 it is above 11/1024: 0.2."""
    x = [0.0, 1.0] * 5
    assert expanded_tail(0.95, 10) == pytest.approx(0.0086, abs=1e-4)
    assert expanded_tail(0.90, 10) == pytest.approx(0.0267, abs=1e-3)
    assert bootstrap(x, level=0.95, resamples=20_000) == Estimate(0.5, 0.1, 0.9)
    assert bootstrap(x, level=0.90, resamples=20_000) == Estimate(0.5, 0.2, 0.8)


def test_the_seed_decides_the_interval() -> None:
    x = np.random.default_rng(0).normal(size=20)
    assert bootstrap(x, seed=1) == bootstrap(x, seed=1) != bootstrap(x, seed=2)


@pytest.mark.parametrize("level", [0.5, 0.9, 0.99])
def test_the_interval_of_a_mean_is_the_normal_one_for_many_values(level: float) -> None:
    """mean ± z s/√n; a quantile of R resamples has standard error √(q (1 - q) / R) / density, here below 0.04 s/√n."""
    z = {0.5: 0.674490, 0.9: 1.644854, 0.99: 2.575829}[level]
    x = np.random.default_rng(0).normal(10, 2, 1000)
    error = x.std() / np.sqrt(x.size)
    estimate = bootstrap(x, level=level, resamples=10_000)
    assert estimate.value == x.mean()
    np.testing.assert_allclose(
        [estimate.low, estimate.high], x.mean() + error * z * np.array([-1, 1]), atol=0.12 * error
    )


NORMAL, SKEWED = "normal", "exponential"  # both with mean 1


def coverage(draws: str, n: int, m: int, interval: Any, truth: float = 1.0) -> float:
    """How often the intervals of m samples of n values cover the truth; standard error √(p (1 - p) / m)."""
    rng = np.random.default_rng(n)
    samples = rng.normal(1.0, 1.0, (m, n)) if draws == NORMAL else rng.exponential(1.0, (m, n))
    estimates = [interval(x) for x in samples]
    return float(np.mean([estimate.low <= truth <= estimate.high for estimate in estimates]))


@pytest.mark.parametrize("n", [2, 3, 5, 9])
def test_the_interval_of_a_few_normal_values_covers_as_often_as_it_says(n: int) -> None:
    """Student's is exact: 0.95 within 4 standard errors of √(0.95 · 0.05 / 4000) = 0.0034."""
    assert coverage(NORMAL, n, 4000, mean_interval) == pytest.approx(0.95, abs=4 * 0.0034)


@pytest.mark.parametrize(("draws", "n", "least"), [(NORMAL, 10, 0.935), (NORMAL, 30, 0.94), (SKEWED, 30, 0.92)])
def test_the_expanded_bootstrap_covers_about_as_often_as_it_says(draws: str, n: int, least: float) -> None:
    """docs/results.md has the table; the standard error of 1500 intervals is √(0.95 · 0.05 / 1500) = 0.0056."""
    covered = coverage(draws, n, 1500, lambda x: bootstrap(x, resamples=500))
    assert least - 3 * 0.0056 < covered < 0.95 + 3 * 0.0056


def test_the_plain_percentile_interval_would_not() -> None:
    """Of ten normal values it covers 0.90, of three 0.69: what the expansion is for."""
    picks = np.random.default_rng(0).integers(0, 10, (500, 10))

    def plain(x: Any) -> Estimate:
        return Estimate(x.mean(), *np.quantile(x[picks].mean(axis=-1), [0.025, 0.975]))

    assert coverage(NORMAL, 10, 1500, plain) < 0.95 - 5 * 0.0056


@pytest.mark.parametrize("draws", [NORMAL, SKEWED])
def test_the_interval_of_the_interquartile_mean_covers_as_often_as_it_says(draws: str) -> None:
    """Of the exponential distribution the middle half's mean is 2 ∫_{1/4}^{3/4} -log(1 - u) du = 0.7383."""
    truth = 1.0 if draws == NORMAL else 0.7383
    covered = coverage(draws, 10, 1500, lambda x: bootstrap(x, interquartile_mean, resamples=500), truth)
    assert 0.95 - 3 * 0.0056 < covered < 0.985


def test_the_statistic_is_the_one_asked_for() -> None:
    x = [*np.random.default_rng(0).normal(size=40), 1e6]
    estimate = bootstrap(x, interquartile_mean)
    assert estimate.value == interquartile_mean(np.array(x))
    assert -1 < estimate.low < estimate.value < estimate.high < 1


def test_columns_have_the_intervals_of_vectors() -> None:
    """Of many rows the ends are quantiles of 2,000 resamples each: equal to within a few per cent of the error."""
    x = np.random.default_rng(0).normal(3, 1, (50, 2))
    few, many = mean_interval_of_columns(x[:5]), mean_interval_of_columns(x)
    assert few.shape == many.shape == (3, 2)
    for column in range(2):
        np.testing.assert_allclose(few[:, column], mean_interval(x[:5, column]))
        np.testing.assert_allclose(many[:, column], mean_interval(x[:, column]), atol=0.2 * x.std() / np.sqrt(50))


def test_rows_are_resampled_together() -> None:
    """So that a curve's interval does not depend on what it is compared with."""
    x = np.random.default_rng(0).normal(size=20)
    one, scaled, shifted = mean_interval_of_columns(np.stack([x, 2 * x, x + 5], axis=1)).T
    np.testing.assert_allclose(scaled, 2 * one, rtol=1e-12)
    np.testing.assert_allclose(shifted, one + 5, rtol=1e-12)
    assert (mean_interval_of_columns(x[:, None], seed=0) != mean_interval_of_columns(x[:, None], seed=1))[1:].all()


def test_one_row_has_the_interval_of_a_point() -> None:
    assert mean_interval_of_columns([[1.0, 2.0]]).tolist() == [[1.0, 2.0]] * 3
