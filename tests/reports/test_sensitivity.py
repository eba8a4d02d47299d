"""The figure of a sweep shows what it says: the assertions are on what is drawn."""

from typing import Any

import numpy as np

from pgrad.experiments.statistics import Estimate
from pgrad.reports.sensitivity import Point, sensitivity


def point(value: float, returns: Any = (1.0, 3.0), low: float = 1.0, **values: Any) -> Point:
    return Point(values, np.array(returns), Estimate(value, low, value + 1))


def test_a_panel_for_each_setting_and_a_line_for_each_combination_of_the_others() -> None:
    points = [
        point(10.0 * n + rate, learning_rate=rate, hidden=(8,) * n) for rate in (0.1, 0.001, 0.01) for n in (1, 2)
    ]
    rates, layers = sensitivity(points, "CartPole-v1").axes
    assert [axes.get_xlabel() for axes in (rates, layers)] == ["learning_rate", "hidden"]
    assert rates.get_xscale() == "log" and layers.get_xscale() == "linear"
    assert [text.get_text() for text in layers.get_xticklabels()] == ["8", "8-8"]
    one, two = (line for line in rates.get_lines() if line.get_marker() == "o")
    assert [one.get_label(), two.get_label()] == ["hidden 8", "hidden 8-8"]
    np.testing.assert_allclose(one.get_xydata(), [[0.001, 10.001], [0.01, 10.01], [0.1, 10.1]])
    assert len([line for line in layers.get_lines() if line.get_marker() == "o"]) == 3
    assert rates.get_title(loc="left") == "CartPole-v1"


def test_failures_leave_a_gap_and_an_interval_that_reaches_them_is_drawn_to_the_lowest_return() -> None:
    points = [
        point(5.0, (-4.0, 5.0), discount=0.9),
        point(6.0, (-np.inf, 6.0), low=-np.inf, discount=0.95),
        point(-np.inf, (-np.inf, -np.inf), low=-np.inf, discount=0.99),
    ]
    (axes,) = sensitivity(points, "x").axes
    line = next(line for line in axes.get_lines() if line.get_marker() == "o")
    np.testing.assert_allclose(line.get_ydata(), [5.0, 6.0, np.nan])
    ends = [path.vertices[:, 1] for path in axes.collections[0].get_paths()[:2]]
    np.testing.assert_allclose(ends, [[1.0, 6.0], [-4.0, 7.0]])
    seeds = [line.get_ydata() for line in axes.get_lines() if line.get_marker() == "_"]
    assert [np.asarray(returns).tolist() for returns in seeds] == [[-4.0, 5.0], [6.0], []]


def test_numbers_are_to_scale_and_many_are_not_all_marked() -> None:
    (axes,) = sensitivity([point(k, num_envs=k) for k in (4, 8, 12)], "x").axes
    assert axes.get_xscale() == "linear" and [t.get_text() for t in axes.get_xticklabels()] == ["4", "8", "12"]
    (axes,) = sensitivity([point(k, num_envs=k) for k in range(1, 30)], "x").axes
    assert axes.get_xscale() == "log" and len(axes.get_xticks()) < 29
