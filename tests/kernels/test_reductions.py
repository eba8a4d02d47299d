"""Means and variances as loops."""

import numpy as np
import pytest

from pgrad.kernels.reductions import mean, row_sum, variance, variance_of_difference


@pytest.mark.parametrize("size", [1, 2, 37])
def test_they_are_numpys(size: int) -> None:
    x, y = np.random.default_rng(0).normal(size=(2, size))
    assert mean(x) == pytest.approx(x.mean(), rel=1e-12)
    assert variance(x) == pytest.approx(x.var(), rel=1e-12)
    assert variance_of_difference(x, y) == pytest.approx((x - y).var(), rel=1e-12)
    assert row_sum(np.stack([x, y]), 1, size) == pytest.approx(y.sum(), rel=1e-12)


def test_of_nothing_they_are_nan() -> None:
    assert np.isnan([mean(np.empty(0)), variance(np.empty(0))]).all()


def test_the_variance_of_large_numbers_is_that_of_their_differences() -> None:
    """Σ x² - N m² would lose all digits of it."""
    assert variance(np.array([1e9, 1e9 + 1.0])) == 0.25
