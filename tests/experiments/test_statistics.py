"""Point estimates and intervals over seeds."""

from typing import Any

import numpy as np
import pytest

from pgrad.experiments.statistics import Estimate, bootstrap, bootstrap_columns, interquartile_mean, mean


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
        ((0.5, np.nan, np.nan), "0.500 [nan, nan]"),
        ((-0.00012345, -0.0002, -0.0001), "-0.00012 [-0.00020, -0.00010]"),
        ((0.0, 0.0, 0.0), "0.0 [0.0, 0.0]"),
        ((2e301, 1e301, 3e301), "2e+301 [1e+301, 3e+301]"),
        ((np.inf, np.nan, np.nan), "inf [nan, nan]"),
    ],
)
def test_an_estimate_reads_well(estimate: Any, text: str) -> None:
    assert str(Estimate(*estimate)) == text


def test_bootstrap_of_equal_values_is_certain() -> None:
    assert bootstrap([3.0] * 5) == Estimate(3.0, 3.0, 3.0)


def test_bootstrap_of_one_value_has_no_interval() -> None:
    estimate = bootstrap([3.0])
    assert estimate.value == 3.0 and np.isnan([estimate.low, estimate.high]).all()


@pytest.mark.parametrize("x", [[], [[1.0, 2.0]], 3.0])
def test_bootstrap_wants_a_vector(x: Any) -> None:
    with pytest.raises(ValueError, match="non-empty vector, not shape"):
        bootstrap(x)


def test_bootstrap_of_two_values_by_enumeration() -> None:
    """Resamples of (0, 1) have the means 0, ½, 1 with probabilities ¼, ½, ¼: the 30 % and 70 % quantiles are ½."""
    assert bootstrap([0.0, 1.0], level=0.95) == Estimate(0.5, 0.0, 1.0)
    assert bootstrap([0.0, 1.0], level=0.40) == Estimate(0.5, 0.5, 0.5)


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


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    """With n = 30 the percentile interval covers a little less than its level (about 94 % for 95 %). The coverage of m
    intervals has standard error √(0.95 · 0.05 / m) = 1.1 %."""
    rng, m = np.random.default_rng(0), 400
    estimates = [bootstrap(rng.exponential(1.0, 30), resamples=400, seed=k) for k in range(m)]
    coverage = np.mean([estimate.low <= 1.0 <= estimate.high for estimate in estimates])
    assert 0.92 - 3 * 0.011 < coverage < 0.95 + 3 * 0.011


def test_the_statistic_is_the_one_asked_for() -> None:
    x = [*np.random.default_rng(0).normal(size=40), 1e6]
    estimate = bootstrap(x, interquartile_mean)
    assert estimate.value == interquartile_mean(np.array(x))
    assert -1 < estimate.low < estimate.value < estimate.high < 1


def test_columns_are_bootstrapped_like_vectors() -> None:
    """The interval's ends are quantiles of 20,000 resamples each: equal to within a few percent of the error."""
    x = np.random.default_rng(0).normal(3, 1, (50, 2))
    columns = bootstrap_columns(x, resamples=20_000)
    assert columns.shape == (3, 2)
    for column in range(2):
        expected = bootstrap(x[:, column], resamples=20_000)
        np.testing.assert_allclose(columns[:, column], expected, atol=0.1 * x.std() / np.sqrt(50))


def test_rows_are_resampled_together() -> None:
    """So that a curve's interval does not depend on what it is compared with."""
    x = np.random.default_rng(0).normal(size=20)
    one, scaled, shifted = bootstrap_columns(np.stack([x, 2 * x, x + 5], axis=1)).T
    np.testing.assert_allclose(scaled, 2 * one, rtol=1e-12)
    np.testing.assert_allclose(shifted, one + 5, rtol=1e-12)
    assert (bootstrap_columns(x[:, None], seed=0) != bootstrap_columns(x[:, None], seed=1))[1:].all()


def test_one_row_has_the_interval_of_a_point() -> None:
    assert bootstrap_columns([[1.0, 2.0]]).tolist() == [[1.0, 2.0]] * 3
