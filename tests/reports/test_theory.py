"""The figures of the theory draw the numbers that the theory gives; the page about them prints what it says."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.container import ErrorbarContainer
from matplotlib.contour import QuadContourSet
from matplotlib.figure import Figure
from matplotlib.quiver import Quiver

from pgrad import exact
from pgrad.errors import EstimatorError, InputError, MDPError
from pgrad.estimators.spec import CONSTANT, LEAVE_ONE_OUT, MEAN, NO_BASELINE, OPTIMAL, EstimatorSpec
from pgrad.policies.softmax import entropy, log_softmax, softmax
from pgrad.reports import theory
from pgrad.reports.figures import BLUE, ORANGE
from pgrad.verify.as_estimator import as_function

PAGE = Path(__file__).parents[2] / "docs" / "theory.md"
SNIPPETS = re.findall(r"```python\n(.*?)```.*?!\[.*?\]\(images/theory_(.*?)\.png\)", PAGE.read_text("utf-8"), re.DOTALL)

REINFORCE = as_function(EstimatorSpec())
ARMS = exact.Linear(np.broadcast_to(np.eye(2), (3, 2, 2)))  # of a bandit with noise: one decision, two ends


def two_decisions() -> tuple[exact.MDP, exact.Linear]:
    features = np.zeros((3, 2, 2))
    features[[0, 1], 1, [0, 1]] = 1.0
    return exact.chain(2, discount=0.9), exact.Linear(features)


def arrows(figure: Figure, label: str | None = None, axes: int = 0) -> list[Quiver]:
    found = [c for c in figure.axes[axes].collections if isinstance(c, Quiver)]
    return [c for c in found if label is None or c.get_label() == label]


def line(figure: Figure, label: str, axes: int = 0) -> np.ndarray:
    """The points of the line whose label begins so, [n, 2]."""
    (found,) = [x for x in figure.axes[axes].lines if str(x.get_label()).startswith(label)]
    return np.asarray(found.get_xydata(), float)


def heights(figure: Figure, axes: int) -> list[float]:
    return [bar.get_height() for bar in figure.axes[axes].containers[0]]


def draw(figure: Figure, path: Path) -> None:
    """Warnings of glyphs that are missing, or of layouts that fail, come only here."""
    figure.savefig(path / "figure.png", dpi=50)


@pytest.mark.parametrize("temperature", [0.5, 4.0])
@pytest.mark.parametrize(
    "preferences", [[1.0, 2.0, 3.0], [-3.0, -1.0], [0.0], [1e300, -1e300, -np.inf, 5.0], [-700.0, 20.0]]
)
def test_bars_are_preferences_and_their_softmax(preferences: list[float], temperature: float, tmp_path: Path) -> None:
    figure = theory.preference_bars(preferences, temperature)
    np.testing.assert_array_equal(heights(figure, 0), np.where(np.isfinite(preferences), preferences, 0.0))
    np.testing.assert_allclose(heights(figure, 1), softmax(preferences, temperature), rtol=1e-12)
    assert sum(heights(figure, 1)) == pytest.approx(1)
    if temperature < 1 and preferences[-1] in (5.0, 0.0):
        draw(figure, tmp_path)


def test_the_values_stand_on_the_bars() -> None:
    figure = theory.preference_bars([-1.5, 2.0, -np.inf, -8.0], names=["up", "left", "down", "right"])
    left, right = figure.axes
    assert [text.get_text() for text in left.texts] == ["−1.5", "2", "−∞", "−8"]
    assert [text.get_text() for text in right.texts] == ["0.029", "0.971", "0", "4e−05"]
    assert [text.get_text() for text in left.get_xticklabels()] == ["up", "left", "down", "right"]
    assert right.get_title(loc="left") == "probabilities π(a) at τ = 1"


def test_temperature_curves_are_the_softmax_between_its_limits(tmp_path: Path) -> None:
    h = np.array([1.0, 3.0, 3.0, -np.inf])
    figure = theory.temperature_curves(h, np.geomspace(0.001, 1e6, 50))
    for k in range(4):
        curve = line(figure, f"action {k}")
        np.testing.assert_allclose(curve[:, 1], [softmax(h, t)[k] for t in curve[:, 0]])
        ends = figure.axes[0].lines[2 * k + 1].get_xydata()
        np.testing.assert_allclose(ends[:, 1], [[0, 1 / 3], [0.5, 1 / 3], [0.5, 1 / 3], [0, 0]][k])
        np.testing.assert_allclose(ends, curve[[0, -1]], atol=1e-5, err_msg="the curve goes elsewhere")
    undecided, ends = figure.axes[1].lines
    x, y = np.asarray(undecided.get_xydata()).T
    np.testing.assert_allclose(y, [entropy(h, t) for t in x], atol=1e-12)
    np.testing.assert_allclose(np.asarray(ends.get_ydata(), float), np.log([2, 3]))
    assert figure.axes[0].get_xscale() == "log"
    draw(figure, tmp_path)


@pytest.mark.parametrize("preferences", [[2.0, 2.0], [1e300, -1e300], list(range(9))])
def test_any_preferences_have_temperature_curves(preferences: list[float], tmp_path: Path) -> None:
    figure = theory.temperature_curves(preferences)
    looks = {(to_hex(x.get_color()), x.get_linestyle()) for x in figure.axes[0].lines[: 2 * len(preferences) : 2]}
    assert len(looks) == len(preferences), "actions are told apart"
    draw(figure, tmp_path)


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_scores_are_the_slope_of_log_pi(temperature: float) -> None:
    h, step = np.array([0.3, -1.0, 0.8]), 1e-6
    figure = theory.score_bars(h, temperature)
    for taken in range(3):
        up, down = (log_softmax(h + sign * step * np.eye(3), temperature)[:, taken] for sign in (1, -1))
        np.testing.assert_allclose(heights(figure, taken), (up - down) / (2 * step), atol=1e-8)
    low, high = figure.axes[0].get_ylim()
    assert low < -1 / temperature < 1 / temperature < high
    weighted = softmax(h, temperature) @ [heights(figure, taken) for taken in range(3)]
    np.testing.assert_allclose(weighted, 0, atol=1e-12)


@pytest.mark.parametrize("action", [0, 1])
@pytest.mark.parametrize("preferences", [[0.5, -0.2], [40.0, -40.0], [-3.0, 3.0]])
def test_arrows_are_return_times_slope_of_log_pi(preferences: list[float], action: int, tmp_path: Path) -> None:
    h, step = np.array(preferences), 1e-6
    figure = theory.return_sign(h, action, returns=(2.0, -1.0, 0.0), step=0.7)
    slope = [(log_softmax(h + e) - log_softmax(h - e))[action] / (2 * step) for e in step * np.eye(2)]
    for k, gain in enumerate((2.0, -1.0, 0.0)):
        (arrow,) = arrows(figure, axes=k)
        np.testing.assert_allclose(arrow.XY, [h])
        np.testing.assert_allclose([*arrow.U, *arrow.V], 0.7 * gain * np.array(slope), atol=1e-7)
        assert (arrow.angles, arrow.scale_units, arrow.scale) == ("xy", "xy", 1), "lengths are those of the axes"
    if action == 1 and preferences[0] > 0:
        draw(figure, tmp_path)


def test_a_positive_return_reinforces_and_a_negative_one_discourages() -> None:
    figure = theory.return_sign([0.5, -0.2], 1)
    notes = [[text.get_text() for text in axes.texts if "π" in text.get_text()] for axes in figure.axes]
    assert notes == [["before: π(1) = 0.332", "after: π(1) = 0.654"], ["before: π(1) = 0.332", "after: π(1) = 0.115"]]
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == ["G = +1: action 1 is reinforced", "G = −1: action 1 is discouraged"]
    assert [to_hex(arrows(figure, axes=k)[0].get_facecolor()[0]) for k in (0, 1)] == [BLUE, ORANGE]


def test_contours_are_those_of_the_probability() -> None:
    for action, sign in ((0, -1), (1, 1)):
        axes = theory.return_sign([0.5, -0.2], action).axes[0]
        (drawn,) = [c for c in axes.collections if isinstance(c, QuadContourSet) and not c.filled]
        seen = [
            (level, p.vertices) for level, p in zip(drawn.levels, drawn.get_paths(), strict=True) if len(p.vertices)
        ]
        assert len(seen) > 3
        for level, points in seen:
            difference = sign * (points[:, 1] - points[:, 0])
            np.testing.assert_allclose(1 / (1 + np.exp(-difference)), level, atol=1e-3)


def test_the_landscape_is_j() -> None:
    mdp, family = two_decisions()
    grid = np.array([-2.0, 0.5, 1.0])
    values = theory.performance_on_grid(mdp, family, grid)
    for k, i in ((0, 2), (2, 0), (1, 1)):
        assert values[k, i] == exact.solve(mdp, family([grid[i], grid[k]])).performance
    assert values[0, 2] != values[2, 0]
    (filled,) = [c for c in theory.landscape(mdp, family, [0, 0]).axes[0].collections if isinstance(c, QuadContourSet)]
    every = theory.performance_on_grid(mdp, family, np.linspace(-3, 3, theory.GRID))
    np.testing.assert_array_equal([filled.zmin, filled.zmax], [every.min(), every.max()])
    for level, path in zip(filled.levels[2:-2], filled.get_paths()[2:-1], strict=False):
        ends = [exact.solve(mdp, family(point)).performance for point in path.vertices[:5]]
        assert max(ends) == pytest.approx(level, abs=filled.levels[1] - filled.levels[0] + 0.02)


def test_the_field_is_the_gradients_direction_and_darker_where_it_is_long() -> None:
    mdp, family = two_decisions()
    (field,) = arrows(theory.landscape(mdp, family, [0, 0], num_iterations=0))
    lengths = np.hypot(field.U, field.V)
    np.testing.assert_allclose(lengths, lengths[0])
    norms = []
    for point, u, v in list(zip(field.XY, field.U, field.V, strict=True))[::7]:
        slope = exact.finite_difference_gradient(mdp, family, point)
        norms.append(np.linalg.norm(slope))
        np.testing.assert_allclose([u, v] / lengths[0], slope / norms[-1], atol=1e-6)
    darkness = field.get_facecolor()[::7, 3]
    assert np.corrcoef(darkness, norms)[0, 1] > 0.9999
    assert len(lengths) == theory.ARROWS**2


def test_the_paths_are_those_of_exact_ascent(tmp_path: Path) -> None:
    mdp, family = two_decisions()
    figure = theory.landscape(mdp, family, [-2, -1], learning_rate=0.3, num_iterations=7)
    for natural, label in ((False, "gradient ascent"), (True, "natural gradient ascent")):
        path = exact.ascend(mdp, family, [-2, -1], 0.3, 7, natural).parameters
        np.testing.assert_array_equal(line(figure, label), path)
    np.testing.assert_array_equal(line(figure, "θ"), [[-2, -1]])
    draw(figure, tmp_path)


def test_the_cloud_is_the_estimates_and_its_mean_is_right(tmp_path: Path) -> None:
    mdp, family = two_decisions()
    theta = np.array([-0.5, 0.5])
    sample = theory.sampled_gradients(mdp, family(theta), REINFORCE, 3, 400, seed=5)
    figure = theory.landscape(
        mdp, family, theta, REINFORCE, num_iterations=0, num_trajectories=3, num_estimates=400, seed=5
    )
    gradient = exact.solve(mdp, family(theta)).gradient
    (drawn,) = arrows(figure, "∇J(θ), exact")
    scale = drawn.U[0] / gradient[0]
    np.testing.assert_allclose([*drawn.U, *drawn.V], scale * gradient)
    np.testing.assert_allclose(line(figure, "400 estimates"), theta + scale * sample)
    (mean,) = (line(figure, "the estimates' mean") - theta) / scale
    np.testing.assert_allclose(mean, sample.mean(axis=0))
    error = sample.std(axis=0, ddof=1) / np.sqrt(400)
    assert (np.abs(mean - gradient) < 5 * error).all()
    assert f"θ + {scale:g} ĝ" in {str(x.get_label()).split(", ")[-1] for x in figure.axes[0].lines}
    draw(figure, tmp_path)


def test_the_seed_decides_the_sample_and_estimates_are_of_different_trajectories() -> None:
    mdp, family = two_decisions()
    first, same, other = (theory.sampled_gradients(mdp, family([0, 0]), REINFORCE, 2, 20, s) for s in (0, 0, 1))
    np.testing.assert_array_equal(first, same)
    assert (first != other).any()
    lengths = theory.sampled_gradients(mdp, family([0, 0]), lambda ts: np.full(2, len(ts)), 3, 5)
    np.testing.assert_array_equal(lengths, np.full((5, 2), 3))
    assert len(np.unique(first, axis=0)) > 10


@pytest.mark.parametrize(
    ("row", "spec"),
    [
        (0, EstimatorSpec(baseline=NO_BASELINE)),
        (1, EstimatorSpec(baseline=MEAN)),
        (2, EstimatorSpec(baseline=LEAVE_ONE_OUT)),
        (2, EstimatorSpec(baseline=OPTIMAL)),
        (3, EstimatorSpec(baseline=CONSTANT)),
    ],
)
@pytest.mark.parametrize(
    ("rewards", "noise", "n"), [((1.0, 0.0), 1.0, 4), ((3.0, -0.5), 0.3, 3), ((2.0, 2.0), 0.0, 2), ((0.0, 1.0), 0.0, 5)]
)
def test_the_formula_is_the_exact_variance(
    row: int, spec: EstimatorSpec, rewards: tuple[float, float], noise: float, n: int
) -> None:
    constants = np.array([-2.0, 0.0, 1.5])
    formula = theory.variance_formula(constants, rewards, noise, n)[row]
    for c, expected in zip(constants, formula, strict=True):
        problem = exact.bandit(np.array(rewards) + c, noise)
        policy = exact.Linear(np.broadcast_to(np.eye(2), (problem.num_states, 2, 2)))([0.0, 0.0])
        estimate = as_function(spec._replace(constant=sum(rewards) / 2 + c))
        covariance = exact.moments(problem, policy, estimate, n).covariance
        assert np.trace(covariance) == pytest.approx(expected, abs=1e-10)


def test_without_a_baseline_a_parabola_with_one_flat() -> None:
    constants = np.linspace(-3, 3, 7)
    formula = theory.variance_formula(constants)
    np.testing.assert_allclose(np.diff(formula[0], 2), 2 / (2 * 4), err_msg="second differences of c² / 2N")
    assert constants[formula[0].argmin()] in (-1, 0), "the mean reward, 1/2, with the sign turned"
    np.testing.assert_allclose(formula[1:], formula[1:, :1] * np.ones(7))
    assert (np.diff(formula[:, -1]) != 0).all()


def test_measured_variances_are_those_of_the_formula() -> None:
    """44 intervals of 95 %: fewer than 38 hits have a probability below 0.5 %."""
    data = theory.variance_of_shifted_bandit(np.linspace(-3, 2, 11), seed=1)
    np.testing.assert_array_equal(data.exact, theory.variance_formula(data.constants))
    hits = (data.low < data.exact) & (data.exact < data.high)
    assert 38 <= hits.sum() <= 44
    error = (data.high - data.measured) / 1.96
    assert (np.abs(data.measured - data.exact) < 5 * error).all()
    assert (error < 0.05 * data.exact).all()
    np.testing.assert_allclose(data.measured - data.low, data.high - data.measured)
    assert len(np.unique(data.measured)) == 44, "each is a sample of its own"


def test_the_variances_are_drawn_with_their_intervals(tmp_path: Path) -> None:
    constants = [-1.0, 0.0, 2.0]
    settings: dict[str, Any] = {"rewards": (2.0, -1.0), "noise": 0.5, "num_trajectories": 3, "num_batches": 50}
    data = theory.variance_of_shifted_bandit(constants, **settings, seed=3)
    figure = theory.variance_against_constant(constants, **settings, seed=3)
    drawn = [c for c in figure.axes[0].containers if isinstance(c, ErrorbarContainer)]
    assert [str(c.get_label()) for c in drawn] == list(theory.BASELINES)
    lines = [x for x in figure.axes[0].lines if len(x.get_xydata()) == 100]
    for k, (dots, curve) in enumerate(zip(drawn, lines, strict=True)):
        np.testing.assert_allclose(dots[0].get_xydata(), np.stack([constants, data.measured[k]], axis=1))
        for c, segment in enumerate(dots[2][0].get_segments()):
            np.testing.assert_allclose(segment[:, 1], [data.low[k, c], data.high[k, c]])
        x, y = np.asarray(curve.get_xydata()).T
        np.testing.assert_allclose(y, theory.variance_formula(x, (2.0, -1.0), 0.5, 3)[k])
        assert to_hex(curve.get_color()) == to_hex(dots[0].get_color())
    assert len({to_hex(dots[0].get_color()) for dots in drawn}) == 4
    draw(figure, tmp_path)


def test_gaps_are_those_of_exact_ascent() -> None:
    rewards = np.array([1.0, 0.8, 0.5])
    for natural in (False, True):
        path = exact.ascend(exact.bandit(rewards), exact.Tabular(2, 3), np.zeros(6), 0.4, 50, natural)
        np.testing.assert_allclose(theory.bandit_gaps(rewards, 0.4, 50, natural), 1 - path.performance, atol=1e-12)


@pytest.mark.parametrize("rewards", [[1.0, 0.0], [1.0, 0.8, 0.5], [5.0, 1.0, 1.0, 1.0]])
def test_gradient_ascent_ends_as_one_over_t(rewards: list[float]) -> None:
    gaps, arms = theory.bandit_gaps(rewards, 0.4, 2000), len(rewards)
    assert gaps[2000] * 2000 == pytest.approx((arms - 1) / (arms * 0.4), rel=0.05)
    assert gaps[1000] / gaps[2000] == pytest.approx(2, rel=0.05)


def test_the_natural_gradient_multiplies_odds_by_a_constant() -> None:
    """π(a) / π(a*) is exp(−α (r* − r_a) t) after t steps, so that the gap is known."""
    rewards, t = np.array([1.0, 0.8, 0.5]), np.arange(201)[:, None]
    odds = np.exp(-0.4 * (1 - rewards) * t)
    expected = (odds / odds.sum(axis=1, keepdims=True)) @ (1 - rewards)
    np.testing.assert_allclose(theory.bandit_gaps(rewards, 0.4, 200, natural=True), expected, rtol=1e-6)


def test_the_ascent_is_drawn_on_two_logarithmic_axes(tmp_path: Path) -> None:
    figure = theory.bandit_ascent([1.0, 0.0], 0.5, 300)
    axes = figure.axes[0]
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    gaps = theory.bandit_gaps([1.0, 0.0], 0.5, 300)
    np.testing.assert_allclose(line(figure, "gradient ascent"), np.stack([np.arange(1, 301), gaps[1:]], axis=1))
    natural = line(figure, "natural gradient ascent")
    known = theory.bandit_gaps([1.0, 0.0], 0.5, 300, natural=True)
    np.testing.assert_allclose(natural[:, 1], known[natural[:, 0].astype(int)])
    x, y = line(figure, "(A − 1) / (A α t)").T
    np.testing.assert_allclose(x * y, 1 / (2 * 0.5))
    draw(figure, tmp_path)


MDP, FAMILY = two_decisions()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: theory.preference_bars([]), InputError, r"preferences .* at least one, not of shape \(0,\)"),
        (lambda: theory.preference_bars([[1.0, 2.0]]), InputError, r"one list .* shape \(1, 2\)"),
        (lambda: theory.preference_bars(["up"]), InputError, "preferences must be a list of real numbers"),
        (lambda: theory.preference_bars([1.0, np.nan]), InputError, "preferences must be finite"),
        (lambda: theory.preference_bars([1e308, 0.0]), InputError, r"within ±1e\+300 to be drawn"),
        (lambda: theory.preference_bars([-np.inf]), InputError, "at least one preference must be finite"),
        (lambda: theory.preference_bars([1.0], -1.0), InputError, "temperature must be positive .* -1"),
        (lambda: theory.preference_bars([1.0, 2.0], names=["a"]), InputError, r"names must be 2, .* \['a'\]"),
        (lambda: theory.temperature_curves([1.0], [1.0]), InputError, "temperatures must be at least two"),
        (lambda: theory.temperature_curves([1.0], [2.0, 1.0]), InputError, "positive and increasing"),
        (lambda: theory.temperature_curves([1.0], [0.0, 1.0]), InputError, "positive and increasing"),
        (lambda: theory.temperature_curves([1.0], [1.0, np.inf]), InputError, "temperatures must be finite"),
        (lambda: theory.score_bars(range(7)), InputError, "at most 6, not 7"),
        (lambda: theory.return_sign([1.0, 2.0, 3.0], 0), InputError, "preferences must be two"),
        (lambda: theory.return_sign([1.0, 2.0], 2), InputError, "integers in 0 … 1, not 2"),
        (lambda: theory.return_sign([1.0, 2.0], -1), InputError, "action must be an integer.* -1"),
        (lambda: theory.return_sign([1.0, 2.0], 0, [1.0] * 5), InputError, "one to four .* not 5"),
        (lambda: theory.return_sign([1.0, 2.0], 0, [np.nan]), InputError, "returns must be finite"),
        (lambda: theory.return_sign([1.0, 2.0], 0, step=0.0), InputError, "step must be positive .* not 0"),
        (lambda: theory.landscape(MDP, exact.Tabular(3, 2), [0, 0]), MDPError, "over two parameters, .* has 6"),
        (lambda: theory.landscape(MDP, FAMILY, [0, 4]), MDPError, r"within limits = \(-3.0, 3.0\), not \[0, 4\]"),
        (lambda: theory.landscape(MDP, FAMILY, [0, 0, 0]), MDPError, "θ must be two numbers"),
        (lambda: theory.landscape(MDP, FAMILY, [0, 0], limits=(2, 1)), InputError, "the lower first"),
        (lambda: theory.landscape(MDP, FAMILY, [0, 0], learning_rate=-1), MDPError, "learning_rate must be positive"),
        (lambda: theory.landscape(MDP, FAMILY, [0, 0], lambda _: None), EstimatorError, "is a `return` missing"),
        (lambda: theory.landscape(MDP, FAMILY, [0, 0], REINFORCE, num_estimates=1), InputError, "at least 2"),
        (
            lambda: theory.landscape(
                exact.short_corridor(), exact.Linear(exact.short_corridor_features()), [-2, 2], learning_rate=9
            ),
            MDPError,
            "gradient ascent with learning_rate = 9: .* .a smaller learning_rate may help",
        ),
        (lambda: theory.variance_formula([0.0], (1.0, 2.0, 3.0)), InputError, "two arms"),  # type: ignore[arg-type]
        (lambda: theory.variance_formula([np.nan]), InputError, "constants must be finite"),
        (lambda: theory.variance_formula([0.0], num_trajectories=1), InputError, "at least 2, not 1"),
        (lambda: theory.variance_formula([0.0], noise=-1.0), InputError, "noise must .* -1"),
        (lambda: theory.variance_against_constant([0.0], num_batches=1), InputError, "num_batches .* not 1"),
        (lambda: theory.bandit_ascent([1.0, 1.0]), InputError, "exactly one of them the best"),
        (lambda: theory.bandit_ascent([1.0]), InputError, "two or more arms"),
        (lambda: theory.bandit_ascent([1.0, 0.0], num_iterations=0), InputError, "num_iterations .* not 0"),
    ],
)
def test_what_cannot_be_drawn_says_why(call: Callable[[], object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize(("code", "name"), SNIPPETS, ids=[name for _, name in SNIPPETS])
def test_the_page_prints_what_it_says(code: str, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {}
    exec(code, names)
    said = " ".join(re.findall(r"print\(.*\)  # (.*)", code))
    assert capsys.readouterr().out.split() == said.split()
    assert isinstance(names["figure"], Figure)
    assert code.count("print(") >= 1
    assert (PAGE.parent / "images" / f"theory_{name}.png").read_bytes().startswith(b"\x89PNG")


def test_every_figure_of_the_page_has_its_snippet() -> None:
    page = PAGE.read_text("utf-8")
    assert len(SNIPPETS) == page.count("```python") == page.count("](images/theory_") == page.count("\n## ") == 8


def test_nothing_is_drawn_through_pyplot() -> None:
    code = "import sys; from pgrad.reports import theory as t; t.preference_bars([1, 2]); t.return_sign([1, 2], 0); "
    code += "print('matplotlib.pyplot' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "False\n"


def test_the_derivation_prints_what_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    """Its blocks, marked py, are one program; each comment in them is printed output."""
    names: dict[str, Any] = {}
    blocks = re.findall(r"```py\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    assert len(blocks) > 10
    for code in blocks:
        exec(code, names)
        assert capsys.readouterr().out.split() == " ".join(re.findall(r"# (.*)", code)).split()
