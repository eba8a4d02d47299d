"""The gamma function and its derivatives against many digits."""

from typing import Any

import mpmath
import numpy as np

from pgrad.kernels.jit import strict
from pgrad.kernels.special import gamma_functions, log_double

NUMBERS = np.concatenate([[1.0, 1.5, 2.0, 3.0, 1 + 1e-9], np.exp(np.random.default_rng(0).uniform(0, 12, 200))])


@strict
def compiled(x: Any, result: Any) -> None:
    for n in range(x.size):
        result[0, n], result[1, n], result[2, n] = gamma_functions(x[n])
        result[3, n], result[4, n] = log_double(x[n]), log_double(1 / x[n])


def test_log_gamma_and_its_derivatives_are_mpmaths() -> None:
    found = np.empty((5, NUMBERS.size))
    compiled(NUMBERS, found)
    with mpmath.workprec(100):
        expected = [
            (mpmath.loggamma(x), mpmath.digamma(x), mpmath.polygamma(1, x), mpmath.log(x), -mpmath.log(x))
            for x in map(mpmath.mpf, NUMBERS.tolist())
        ]
    exact = np.array([[float(each) for each in row] for row in expected]).T
    assert (np.abs(found - exact) <= 1e-12 * np.maximum(1.0, np.abs(exact))).all()
    np.testing.assert_allclose(found[2], exact[2], rtol=1e-12)
    np.testing.assert_allclose(found[3:, 5:], exact[3:, 5:], rtol=4e-15)


def test_uncompiled_they_are_the_same() -> None:
    found = np.empty((5, NUMBERS.size))
    compiled(NUMBERS, found)
    for n, x in enumerate(NUMBERS[:20]):
        np.testing.assert_allclose(gamma_functions(x), found[:3, n], rtol=1e-13, atol=1e-13)
