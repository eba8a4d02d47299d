"""Sine, cosine, exp, tanh and log against the C library's, over the ranges and to the errors that they promise.

A processor with fused multiply-adds rounds once where another rounds twice, so compiled results differ by a unit in the
last place (ulp) between processors: SLACK is added to every promised error that is not far above that.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from pgrad.kernels.fast_math import exp, log, sin_cos, tanh, wrap_angle
from pgrad.kernels.jit import strict

Array = npt.NDArray[Any]

HALF_ULP = 2.0**-54  # how far the C library's own sine and cosine may be from the exact value
SLACK = 2.0**-24  # half an ulp of float32, relative
SLACK_64 = 2.0**-53  # an ulp of float64 below 1


@strict
def every_sin_cos(x: Any) -> Any:
    result = np.empty((2, x.size))
    for n in range(x.size):
        result[0, n], result[1, n] = sin_cos(x[n])
    return result


@strict
def every_exp(x: Any) -> Any:
    result = np.empty_like(x)
    for n in range(x.size):
        result[n] = exp(x[n])
    return result


@strict
def every_tanh(x: Any) -> Any:
    result = np.empty_like(x)
    for n in range(x.size):
        result[n] = tanh(x[n])
    return result


@strict
def every_log(x: Any) -> Any:
    result = np.empty_like(x)
    for n in range(x.size):
        result[n] = log(x[n])
    return result


def test_sine_and_cosine() -> None:
    angle = np.linspace(-10, 10, 200_001)
    exact = np.stack([np.vectorize(math.sin)(angle), np.vectorize(math.cos)(angle)])
    assert np.abs(every_sin_cos(angle) - exact).max() <= 1.7e-16 + HALF_ULP + SLACK_64


def test_sine_and_cosine_keep_their_promise() -> None:
    """Against 100 bits of precision; mpmath comes with PyTorch."""
    mpmath = pytest.importorskip("mpmath")
    angles = [2.343312935045155, *np.random.default_rng(0).uniform(-10, 10, 5000)]
    with mpmath.workprec(100):
        for angle, sine, cosine in zip(angles, *every_sin_cos(np.array(angles)), strict=True):
            assert abs(mpmath.sin(angle) - sine) <= 1.7e-16 + SLACK_64
            assert abs(mpmath.cos(angle) - cosine) <= 1.7e-16 + SLACK_64


@pytest.mark.parametrize("turns", range(-9, 10))
@pytest.mark.parametrize("side", [-1e-9, 0.0, 1e-9])
def test_sine_and_cosine_change_octant_in_the_right_place(turns: int, side: float) -> None:
    angle = turns * math.pi / 4 + side
    for sine, cosine in (sin_cos(angle), every_sin_cos(np.array([angle]))[:, 0]):
        assert abs(sine - math.sin(angle)) <= 1.7e-16 + HALF_ULP + SLACK_64
        assert abs(cosine - math.cos(angle)) <= 1.7e-16 + HALF_ULP + SLACK_64


@pytest.mark.parametrize("angle", [1e2, 1e4, 1e6])
def test_the_error_of_sine_and_cosine_grows_slowly_with_the_angle(angle: float) -> None:
    angles = angle + np.linspace(-5, 5, 1001)
    exact = np.stack([np.vectorize(math.sin)(angles), np.vectorize(math.cos)(angles)])
    assert np.abs(every_sin_cos(angles) - exact).max() <= 1.7e-16 + HALF_ULP + SLACK_64 + 2e-21 * angle


def test_exp() -> None:
    x = np.linspace(-87, 88, 70_001, dtype=np.float32)
    exact = np.exp(x.astype(np.float64))
    assert (np.abs(every_exp(x) - exact) / exact).max() < 1.2e-7 + SLACK


def test_exp_of_zero_is_one() -> None:
    assert every_exp(np.zeros(1, np.float32))[0] == 1.0


def test_exp_is_clamped_outside_its_range() -> None:
    x = np.array([-1e9, -np.inf, -88, -87, 88, 89, 1e9, np.inf], np.float32)
    y = every_exp(x)
    assert (y[:4] == y[3]).all() and (y[4:] == y[4]).all() and 0 < y[3] < 1e-37 and 1e38 < y[4] < np.inf


def test_tanh() -> None:
    x = np.linspace(-20, 20, 80_001, dtype=np.float32)
    y = every_tanh(x)
    assert np.abs(y - np.tanh(x.astype(np.float64))).max() < 3e-7 + SLACK
    assert (y == -y[::-1]).all(), "tanh is odd"
    assert np.abs(every_tanh(np.array([np.inf, -np.inf], np.float32)) - [1, -1]).max() < 3e-7 + SLACK


def test_tanh_is_relatively_exact_near_zero() -> None:
    x = np.geomspace(1e-30, 1e-3, 1001).astype(np.float32)
    exact = np.tanh(x.astype(np.float64))
    assert (np.abs(every_tanh(x) - exact) / exact).max() < 3e-7 + SLACK


def test_log() -> None:
    x = np.concatenate([np.geomspace(1.2e-38, 0.5, 20_001), np.geomspace(2, 3e38, 20_001)]).astype(np.float32)
    exact = np.log(x.astype(np.float64))
    assert (np.abs(every_log(x) - exact) / np.abs(exact)).max() < 2e-7 + SLACK


def test_log_near_one() -> None:
    x = np.linspace(0.5, 2, 20_001, dtype=np.float32)
    assert np.abs(every_log(x) - np.log(x.astype(np.float64))).max() < 1.2e-7 + SLACK
    assert every_log(np.ones(1, np.float32))[0] == 0.0


@pytest.mark.parametrize("function", [every_exp, every_tanh])
def test_nan_stays_nan_in_its_own_lane(function: Callable[[Array], Array]) -> None:
    x = np.array([0.5, np.nan, 0.25, -1.0], np.float32)
    assert np.isnan(function(x)).tolist() == [False, True, False, False]


@pytest.mark.parametrize(
    ("one", "every", "points"),
    [
        (exp, every_exp, [-80.0, -1.5, 0.0, 0.3, 88.0]),
        (tanh, every_tanh, [-9.0, -0.4, 0.0, 1e-4, 2.0]),
        (log, every_log, [1e-30, 0.4, 1.0, 1.1, 1e30]),
    ],
)
def test_interpreted_and_compiled_agree(one: Any, every: Any, points: list[float]) -> None:
    x = np.array(points, np.float32)
    np.testing.assert_allclose(every(x), [one(item) for item in x], rtol=6e-7, atol=1e-9)


@pytest.mark.parametrize("angle", [0.0, 1.0, 3.14, -3.14, 3.15, -3.15, 7.0, -9.5, 12.6, 1e3, -1e4])
def test_a_wrapped_angle_points_the_same_way(angle: float) -> None:
    assert -math.pi <= wrap_angle(angle) < math.pi
    np.testing.assert_allclose(wrap_angle(angle), np.arctan2(np.sin(angle), np.cos(angle)), rtol=0, atol=1e-11)
