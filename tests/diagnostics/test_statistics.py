"""Signal and noise from blocks, against textbooks, synthetic truth and repetition."""

import numpy as np
import pytest

from pgrad.diagnostics.statistics import (
    STUDENT_T,
    _settled_errors,
    certain_cosine,
    cosine,
    cross_block_mean,
    error_curve,
    jackknife,
    signal_and_noise,
)
from pgrad.experiments.statistics import Estimate

BLOCKS, SIZE = 20, 8
ALL = np.array([2.0, 5.0, 10.0, 20.0, 50.0, 100.0])


def isnan(*numbers: float) -> bool:
    return bool(np.isnan(numbers).all())


def synthetic(mean: np.ndarray, deviation: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """gram and square of blocks of SIZE estimates that are mean + Gaussian noise in each component."""
    estimates = mean + deviation * rng.standard_normal((BLOCKS, SIZE, mean.size))
    means = estimates.mean(axis=1)
    return means @ means.T, (estimates**2).sum(axis=2).mean(axis=1)


def test_between_is_the_average_product_of_different_blocks() -> None:
    gram = np.random.default_rng(0).standard_normal((4, 4, 3))
    pairs = [gram[j, k] for j in range(4) for k in range(4) if j != k]
    np.testing.assert_allclose(cross_block_mean(gram), np.mean(pairs, axis=0))
    assert cross_block_mean(gram[..., 0]).shape == ()


def test_noise_does_not_pass_for_signal() -> None:
    """Over repetitions pure noise has mean zero, and a signal its length; 4 standard errors. ‖mean‖² has not."""
    rng = np.random.default_rng(1)
    for mean in (np.zeros(30), np.full(30, 0.3)):
        grams = [synthetic(mean, 2.0, rng)[0] for _ in range(400)]
        powers = np.array([cross_block_mean(gram) for gram in grams])
        assert abs(powers.mean() - mean @ mean) < 4 * powers.std() / 20
        naive = np.mean([gram.mean() for gram in grams])
        assert naive - mean @ mean > 10 * powers.std() / 20


def test_signal_and_noise_of_gaussian_estimates() -> None:
    rng, mean = np.random.default_rng(2), np.full(25, 0.4)
    rows = np.array([signal_and_noise(*synthetic(mean, 1.0, rng)) for _ in range(200)])
    power, spread = mean @ mean, 25.0
    expected = np.array([np.sqrt(power), spread, np.sqrt(power / spread), np.sqrt(spread / power)])
    np.testing.assert_allclose(rows.mean(axis=0), expected, rtol=0.01)
    np.testing.assert_allclose(rows[:, 2] * rows[:, 3], 1)


def test_signal_and_noise_by_hand() -> None:
    """Blocks [3, 0], [1, 2]: products 3 of different ones, lengths² 10 on average."""
    gram = np.array([[9.0, 3.0], [3.0, 5.0]])
    np.testing.assert_allclose(
        signal_and_noise(gram, np.array([12.0, 8.0])), [np.sqrt(3), 7, np.sqrt(3 / 7), np.sqrt(7 / 3)]
    )


@pytest.mark.parametrize(
    ("cross", "square", "expected"),
    [
        (2.0, 2.0, [np.sqrt(2), 0, np.inf, 0]),  # no noise
        (2.0, 1.9, [np.sqrt(2), 0, np.inf, 0]),  # rounding
        (0.0, 3.0, [0, 3, 0, np.inf]),  # no signal
        (-1.0, 3.0, [0, 3, 0, np.inf]),  # noise alone
        (0.0, 0.0, [0, 0, 0, np.inf]),  # nothing at all
    ],
)
def test_no_signal_and_no_noise(cross: float, square: float, expected: list[float]) -> None:
    gram = np.full((3, 3), cross)
    np.testing.assert_allclose(signal_and_noise(gram, np.full(3, square)), expected)


def curves(constant: float, power: float = 4.0, exponent: float = -0.5) -> tuple[np.ndarray, np.ndarray]:
    """Blocks whose relative error is constant · N^exponent at N of ALL, exactly."""
    noise = power * (constant * ALL**exponent) ** 2
    return np.full((BLOCKS, BLOCKS, ALL.size), power), np.tile(power + noise, (BLOCKS, 1))


@pytest.mark.parametrize("constant", [0.5, 30.0])
def test_the_curve_of_an_error_that_falls_as_one_over_root_n(constant: float) -> None:
    slope, needed = error_curve(*curves(constant), ALL)
    assert slope == pytest.approx(-0.5)
    assert needed == pytest.approx(constant**2 / 0.01)


def test_the_slope_is_that_of_the_logarithms_and_of_settled_sizes() -> None:
    grams, squares = curves(3.0, exponent=-0.8)
    squares[:, :2] = 1e6  # below 10 trajectories a batch's own baseline is no fair one
    assert error_curve(grams, squares, ALL)[0] == pytest.approx(-0.8)
    errors, settled = _settled_errors(grams, squares, ALL)
    np.testing.assert_array_equal(settled, [10, 20, 50, 100])
    np.testing.assert_allclose(errors, 3 * settled**-0.8)
    few = ALL[:3]
    np.testing.assert_array_equal(_settled_errors(grams[..., :3], squares[:, :3], few)[1], few)


def test_sizes_of_many_batches_weigh_more() -> None:
    """Weighted least squares by hand: weight 1 / N."""
    grams, squares = curves(3.0)
    squares[:, -1] = 4 + 4 * 0.5**2
    errors, settled = _settled_errors(grams, squares, ALL)
    slope, needed = error_curve(grams, squares, ALL)
    assert slope == pytest.approx(np.polyfit(np.log(settled), np.log(errors), 1, w=settled**-0.5)[0])
    assert slope != pytest.approx(np.polyfit(np.log(settled), np.log(errors), 1)[0], abs=1e-3)
    assert needed == pytest.approx((errors**2).sum() / (1 / settled).sum() / 0.01)


def test_one_size_has_no_slope_and_no_signal_needs_infinitely_many() -> None:
    grams, squares = curves(2.0)
    slope, needed = error_curve(grams[..., 2:3], squares[:, 2:3], ALL[2:3])
    assert isnan(slope)
    assert needed == pytest.approx(400)
    grams[:, :, 3] = 0.0
    slope, needed = error_curve(grams, squares, ALL)
    assert isnan(slope)
    assert needed == np.inf
    slope, needed = error_curve(curves(0.0)[0], np.full((BLOCKS, ALL.size), 4.0), ALL)
    assert isnan(slope)
    assert needed == 0


def test_the_cosine_of_two_estimators() -> None:
    a, b = np.array([3.0, 0.0]), np.array([1.0, 1.0])
    rng, rows = np.random.default_rng(3), []
    for _ in range(300):
        x, y = (mean + 0.3 * rng.standard_normal((BLOCKS, 2)) for mean in (a, b))
        rows.append(cosine(np.stack([x @ y.T, x @ x.T, y @ y.T], axis=-1)))
    assert np.mean(rows) == pytest.approx(np.sqrt(0.5), abs=0.01)
    nothing = np.zeros((BLOCKS, BLOCKS))
    for crossed in ([nothing, nothing, nothing + 1], [nothing, nothing + 1, nothing - 1]):
        assert isnan(cosine(np.stack(crossed, axis=-1)))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (Estimate(0.5, 0.2, 0.8), Estimate(0.5, 0.2, 0.8)),
        (Estimate(1.01, 0.9, 1.12), Estimate(1.0, 0.9, 1.0)),
        (Estimate(-1.2, -1.5, -0.9), Estimate(-1.0, -1.0, -0.9)),
        (Estimate(0.0, -0.5, 0.5), Estimate(0.0, -0.5, 0.5)),
        (Estimate(0.0, -0.6, 0.5), None),
        (Estimate(0.5, np.nan, np.nan), None),
        (Estimate(np.nan, np.nan, np.nan), None),
    ],
)
def test_what_counts_as_known(given: Estimate, expected: Estimate | None) -> None:
    found = certain_cosine(given, 1.0)
    assert isnan(*found) if expected is None else found == expected


# -------------------------------------------------------------------------------------------------------- the jackknife


def test_the_jackknife_of_a_mean_is_the_textbooks() -> None:
    x = np.random.default_rng(4).standard_normal(BLOCKS)
    ((value, low, high),) = jackknife(np.mean, x)
    half = STUDENT_T * x.std(ddof=1) / np.sqrt(BLOCKS)
    assert (value, low, high) == pytest.approx((x.mean(), x.mean() - half, x.mean() + half))
    assert pytest.approx(2.09302, abs=1e-3) == STUDENT_T  # tables: t of 19 degrees of freedom at 97.5 %


def test_the_jackknife_of_a_logarithm_is_multiplicative() -> None:
    x = np.random.default_rng(5).uniform(1, 2, BLOCKS)
    ((value, low, high),) = jackknife(np.mean, x, positive=True)
    left_out = np.log([np.delete(x, k).mean() for k in range(BLOCKS)])
    half = STUDENT_T * np.sqrt((BLOCKS - 1) / BLOCKS * ((left_out - left_out.mean()) ** 2).sum())
    assert value == pytest.approx(x.mean())
    assert np.log([low / value, high / value]) == pytest.approx([-half, half])


@pytest.mark.parametrize("positive", [False, True])
def test_intervals_cover_what_they_promise(positive: bool) -> None:
    """1,000 repetitions: 95 % within 3 standard errors of 0.7 %, for a mean and its exponential."""
    rng, hits = np.random.default_rng(6), 0
    for _ in range(1000):
        x = 1.0 + rng.standard_normal(BLOCKS)
        ((_, low, high),) = jackknife(lambda y: np.exp(y.mean()) if positive else y.mean(), x, positive=positive)
        hits += low <= (np.e if positive else 1.0) <= high
    assert abs(hits / 1000 - 0.95) < 0.021


def test_a_block_is_left_out_of_every_array_and_both_sides_of_a_gram() -> None:
    rows = np.random.default_rng(7).standard_normal((BLOCKS, 3))
    shapes: list[tuple[int, ...]] = []

    def statistic(gram: np.ndarray, square: np.ndarray) -> np.ndarray:
        shapes.append((*gram.shape, *square.shape))
        np.testing.assert_allclose(np.diag(gram), square)
        return np.array([np.trace(gram), square.sum()])

    first, second = jackknife(statistic, rows @ rows.T, (rows**2).sum(axis=1), gram=True)
    assert shapes == [(20, 20, 20), *[(19, 19, 19)] * 20]
    assert first == pytest.approx(second)
    assert first.low < first.value < first.high


def test_positive_intervals_are_positive_however_wide() -> None:
    x = np.array([100.0, *[1e-6] * 19])
    (plain,), (logarithmic,) = jackknife(np.mean, x), jackknife(np.mean, x, positive=True)
    assert plain.low < 0 < logarithmic.low < logarithmic.value < logarithmic.high
    assert plain.value == logarithmic.value


@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_with_some_block_left_out_has_no_interval(bad: float, positive: bool) -> None:
    x = np.arange(1.0, 21.0)

    def statistic(y: np.ndarray) -> np.ndarray:
        return np.array([y.sum(), bad if 7.0 not in y else y.sum()])

    fine, lost = jackknife(statistic, x, positive=positive)
    assert np.isfinite(fine).all()
    assert lost.value == 210
    assert isnan(*lost[1:])
    (never,) = jackknife(lambda y: bad, x, positive=positive)
    assert never.value == pytest.approx(bad, nan_ok=True)
    assert isnan(*never[1:])


def test_only_what_is_positive_has_a_logarithm() -> None:
    x = np.array([1.0, *[0.0] * 19])  # nothing is left where the first is left out
    both = jackknife(lambda y: np.array([y.mean(), y.mean()]), x, positive=(True, False))
    assert isnan(*both[0][1:])
    assert np.isfinite(both[1]).all()
    assert both[0].value == both[1].value == 0.05
