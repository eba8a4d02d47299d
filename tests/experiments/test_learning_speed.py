"""How fast seeds learn: areas and survival by hand, and what SciPy makes of the same data."""

import math

import numpy as np
import pytest

from pgrad.experiments.learning_speed import NEVER, area_under_curve, median_time, survival
from pgrad.experiments.power import seeds_to_tell
from pgrad.experiments.profile import performance_profile
from pgrad.experiments.statistics import clopper_pearson

TIMES, CENSORED = [3.0, 5, 5, 8, 10, 15], [False, False, True, False, True, False]


def test_the_area_under_a_curve_is_its_mean_height() -> None:
    assert area_under_curve([0, 1, 4], [0, 2, 8]) == pytest.approx((1 + 15) / 4)
    assert area_under_curve([7, 9], [5, 5]) == 5
    assert math.isnan(area_under_curve([3], [5]))


def test_survival_by_hand() -> None:
    """Six are watched at 3, five at 5, three at 8 and one at 15."""
    times, share, variance = survival(TIMES, CENSORED)
    assert times.tolist() == [3, 5, 8, 15]
    np.testing.assert_allclose(share, [5 / 6, 2 / 3, 4 / 9, 0])
    np.testing.assert_allclose(variance, [1 / 30, 1 / 30 + 1 / 20, 1 / 30 + 1 / 20 + 1 / 6, np.inf])


def test_the_median_time_is_when_half_have_got_there() -> None:
    assert median_time(TIMES, CENSORED).value == 8
    assert math.isnan(median_time(TIMES, CENSORED).low), "below ten values there is no interval"
    assert median_time([5.0] * 3 + [9.0] * 4, [False] * 3 + [True] * 4).value == NEVER
    assert median_time([5.0] * 4 + [NEVER] * 4, [False] * 4 + [True] * 4).value == 5, "exactly half"


def test_leaving_out_the_censored_would_make_it_earlier() -> None:
    """Uniform times on 0 … 200, watched until 120: their median is 100, that of those seen is 60."""
    times = np.arange(1.0, 201)
    found = median_time(np.minimum(times, 120), times > 120)
    assert found.value == 100 and found.low < 100 < found.high <= 120
    assert np.median(times[times <= 120]) == 60.5


def test_nineteen_of_twenty_intervals_of_the_median_time_cover_it() -> None:
    """Exponential times, a third of them censored; standard error of 1,000: 0.007."""
    rng, covered = np.random.default_rng(0), 0
    for _ in range(1000):
        times, ends = rng.exponential(1.0, 30), rng.uniform(0.6, 1.6, 30)
        _, low, high = median_time(np.minimum(times, ends), ends < times)
        covered += low <= math.log(2) <= high
    assert covered / 1000 == pytest.approx(0.95, abs=4 * 0.007)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of SciPy, where nobody is left
def test_it_is_scipys() -> None:
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(1)
    for n in (12, 30, 31):
        events, ends = rng.exponential(100, n).round(), rng.exponential(200, n).round()
        times, censored = np.minimum(events, ends), ends < events
        curve = stats.ecdf(stats.CensoredData.right_censored(times, censored)).sf
        moments, share, _ = survival(times, censored)
        np.testing.assert_allclose(curve.evaluate(moments), share, atol=1e-12)
        ends_of = curve.confidence_interval(method="log-log")
        known = curve.probabilities < 1
        first = [curve.quantiles[known][np.argmax(p[known] < 0.5)] for p in (ends_of.low.probabilities,)]
        assert median_time(times, censored).low == first[0]


def test_a_performance_profile_is_the_share_above_each_return() -> None:
    share, low, high = performance_profile([-math.inf, 1, 2, 3], [0, 1, 2.5, 3])
    assert share.tolist() == [0.75, 0.5, 0.25, 0]
    assert (share[1], low[1], high[1]) == clopper_pearson(2, 4)


@pytest.mark.parametrize(("improvement", "seeds"), [(0.76, 20), (0.24, 20), (0.6, 131), (0.5, math.inf), (1.0, 6)])
def test_seeds_to_tell_are_noethers(improvement: float, seeds: float) -> None:
    """(1.960 + 0.842)² = 7.849, over 6 × 0.26² = 0.4056: 19.4."""
    assert seeds_to_tell(improvement) == seeds
