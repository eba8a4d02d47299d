"""Figures show what they say: the assertions are on what is drawn."""

import html
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pgrad.config.resolve import resolve
from pgrad.envs.make import Env, make
from pgrad.errors import InputError, RunError
from pgrad.experiments.statistics import interval_name, mean_interval_of_columns, running_mean
from pgrad.policies.mlp import MLPPolicy
from pgrad.reports import figures
from pgrad.reports.figures import action_probabilities, figures_of, save_figure, training_curve
from pgrad.rollouts.batch import Episodes
from pgrad.spaces import Discrete
from pgrad.training.loops import History
from pgrad.training.result import Result, SeedResult, compare

FIVE_STATES = [
    (0, 0, 0, 0),
    (-1, -0.5, 0.1, 0.5),
    (1, 0.5, -0.1, -0.5),
    (0, 0, 0.2, 1.5),
    (0, 0, -0.2, -1.5),
]


def new_policy(seed: int = 0) -> MLPPolicy:
    return MLPPolicy(np.random.default_rng(seed).standard_normal(4 * 3 + 3 + 3 * 2 + 2).astype(np.float32), (4, 3, 2))


def new_result(lengths: list[list[int]], env: Env | None = None, algorithm: str = "reinforce") -> Result:
    """Seeds whose episodes had the given lengths, with a reward of 1 a step."""
    seeds = []
    for seed, of_seed in enumerate(lengths):
        length = np.array(of_seed, np.int32)
        episodes = Episodes(length.astype(float), length, np.cumsum(length, dtype=np.int64))
        seeds.append(SeedResult(seed, new_policy(seed), History(np.empty((0, 8)), episodes, 1.0), None, sum(of_seed)))
    chosen = env or make("CartPole-v1")
    return Result(resolve(chosen.id, algorithm, {"seeds": len(lengths)}), chosen, tuple(seeds), 1.0)


def dots(figure: Figure) -> list[Line2D]:
    return [line for line in figure.axes[0].lines if line.get_marker() == "."]


def line(figure: Figure, label: str) -> Line2D:
    (found,) = [line for line in figure.axes[0].lines if str(line.get_label()).startswith(label)]
    return found


def xy(line: Line2D) -> tuple[np.ndarray, np.ndarray]:
    return np.asarray(line.get_xdata(), float), np.asarray(line.get_ydata(), float)


def test_the_bars_are_the_policys_probabilities_at_the_five_states() -> None:
    policy = new_policy()
    axes = action_probabilities(policy).axes[0]
    left, right = axes.containers
    expected = policy.probabilities(np.array(FIVE_STATES))
    assert np.unique(expected.round(4)).size == 10, "the policy has to tell the states and actions apart"
    np.testing.assert_allclose([bar.get_height() for bar in left], expected[:, 0])
    np.testing.assert_allclose([bar.get_height() for bar in right], expected[:, 1])
    assert (left.get_label(), right.get_label()) == ("π(left)", "π(right)")
    assert [text.get_text() for text in axes.texts] == [f"{p:.2f}" for p in expected.T.ravel()]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["π(left)", "π(right)"]
    low, high = axes.get_ylim()
    assert low == 0
    assert high > 1


def test_the_bars_stand_over_the_names_of_their_states() -> None:
    axes = action_probabilities(new_policy()).axes[0]
    names = ["centred\nupright", "cart left", "cart right", "pole falling\nright fast", "pole falling\nleft fast"]
    left, right = axes.containers
    for k, (name, state) in enumerate(zip(names, FIVE_STATES, strict=True)):
        text = axes.get_xticklabels()[k].get_text()
        assert text.startswith(name)
        assert text.endswith(f"({', '.join(f'{x:g}' for x in state)})")
        middle = (left[k].get_x() + right[k].get_x() + right[k].get_width()) / 2
        assert middle == pytest.approx(axes.get_xticks()[k])
        assert left[k].get_x() + left[k].get_width() <= right[k].get_x()


@pytest.mark.parametrize(("window", "expected"), [(1, [4, 2, 6, 8]), (2, [4, 3, 4, 7]), (50, [4, 3, 4, 5])])
def test_the_running_mean_by_hand(window: int, expected: list[float]) -> None:
    np.testing.assert_allclose(running_mean(np.array([4.0, 2.0, 6.0, 8.0]), window), expected)


def test_each_episode_is_a_dot_at_the_step_it_ended() -> None:
    lengths = [[10, 20, 40], [30, 50], [80]]
    drawn = dots(training_curve(new_result(lengths)))
    assert len(drawn) == 3
    for of_seed, line in zip(lengths, drawn, strict=True):
        np.testing.assert_array_equal(xy(line), (np.cumsum(of_seed), of_seed))
        assert line.get_linestyle() == "None"
        assert 0 < line.get_alpha() < 1


def test_the_line_of_the_maximum_is_at_500_and_in_sight() -> None:
    figure = training_curve(new_result([[10, 20]]))
    _, y = xy(line(figure, "maximum"))
    np.testing.assert_array_equal(y, [500, 500])
    low, high = figure.axes[0].get_ylim()
    assert low < 10 < 500 < high


@pytest.mark.parametrize(("threshold", "labels"), [(195.0, ["solved"]), (None, [])])
def test_without_a_maximum_the_line_is_the_threshold_if_there_is_one(
    threshold: float | None, labels: list[str]
) -> None:
    figure = training_curve(new_result([[10, 20]], Env("Other-v0", 4, Discrete(2), 200, threshold)))
    dashed = [line for line in figure.axes[0].lines if line.get_linestyle() == "--"]
    assert [line.get_label() for line in dashed] == labels
    for drawn in dashed:
        np.testing.assert_array_equal(xy(drawn)[1], [threshold] * 2)


def test_the_curve_is_the_mean_over_seeds_of_running_means_with_its_interval() -> None:
    """Seeds of constant return have constant running means, so that the curve and its interval are known."""
    figure = training_curve(new_result([[10] * 60, [20] * 30, [60] * 10]))
    x, y = xy(line(figure, "50-episode running mean of 3 seeds"))
    np.testing.assert_allclose(y, 30)
    assert x[0] >= 60, "before the last seed's first episode there is no mean over seeds"
    assert x[0] == pytest.approx(60, abs=600 / figures.GRID_POINTS)
    assert x[-1] == 600
    (band,) = [c for c in figure.axes[0].collections if isinstance(c, PolyCollection)]
    _, low, high = mean_interval_of_columns([[10.0], [20.0], [60.0]])
    corners = band.get_paths()[0].vertices
    assert corners[:, 1].min() == pytest.approx(float(low[0]))
    assert corners[:, 1].max() == pytest.approx(float(high[0]))
    assert low[0] < 30 < high[0]
    assert band.get_label().replace("\n", " ") == interval_name(3, "seeds")


def test_results_are_compared_on_one_axes() -> None:
    """The same curves as alone, each with its interval, under the names given."""
    both = {"short": new_result([[10] * 60, [20] * 30]), "long": new_result([[50] * 60, [70] * 30])}
    figure = compare(both)
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == ["short", "long"]
    for name, value in (("short", 15), ("long", 60)):
        x, y = xy(line(figure, name))
        np.testing.assert_allclose(y, value)
        alone = xy(line(training_curve(both[name]), "50-episode"))[0]
        np.testing.assert_array_equal(x, alone)
    assert len([c for c in figure.axes[0].collections if isinstance(c, PolyCollection)]) == 2
    assert len({line.get_color() for line in figure.axes[0].lines}) == 2


def test_results_without_a_limit_of_steps_are_compared_by_episodes() -> None:
    """Seeds of very different lengths are all drawn to their last episode, also beside others."""
    notebook = new_result([[10] * 60, [400] * 60], algorithm="notebook")
    figure = compare({"a": notebook, "b": new_result([[5] * 80, [5] * 80], algorithm="notebook")})
    assert figure.axes[0].get_xlabel() == "episodes"
    assert (xy(line(figure, "a"))[0][-1], xy(line(figure, "b"))[0][-1]) == (60, 80)
    np.testing.assert_allclose(xy(line(figure, "a"))[1], 205)
    figure = compare({"a": notebook, "b": new_result([[5] * 80])})
    assert figure.axes[0].get_xlabel() == "episodes"
    assert xy(line(figure, "a"))[0][-1] == 60


def test_what_cannot_be_compared_is_named() -> None:
    one = new_result([[10] * 60])
    with pytest.raises(InputError, match="must be of one environment, and are of none"):
        compare({})
    with pytest.raises(InputError, match=r"are of Acrobot-v1, CartPole-v1"):
        compare({"a": one, "b": new_result([[10]], make("Acrobot-v1"))})
    for nothing in ([[]], [[10], [500]]):
        with pytest.raises(InputError, match="'b' has no step that all of its seeds' finished episodes reach"):
            compare({"a": one, "b": new_result(nothing)})


def test_the_curve_follows_the_returns() -> None:
    lengths = list(range(1, 201))
    figure = training_curve(new_result([lengths]))
    _, y = xy(line(figure, "50-episode running mean of 1 seed"))
    assert y[-1] == pytest.approx(np.mean(lengths[-50:]))
    assert (np.diff(y) > 0).all()


def test_one_seed_has_no_interval() -> None:
    axes = training_curve(new_result([[10] * 60])).axes[0]
    assert not axes.collections
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [
        "50-episode running mean of 1 seed",
        "maximum",
    ]


def test_seeds_that_end_early_end_the_mean_not_the_dots() -> None:
    figure = training_curve(new_result([[10] * 10, [10] * 100]))
    assert xy(line(figure, "50-episode running mean of 2 seeds"))[0][-1] <= 100
    assert xy(dots(figure)[1])[0][-1] == 1000


@pytest.mark.parametrize("lengths", [[[]], [[], [10, 20]], [[10], [500]]])
def test_little_data_is_drawn_all_the_same(tmp_path: Path, lengths: list[list[int]]) -> None:
    figure = training_curve(new_result(lengths))
    assert len(dots(figure)) == sum(len(of_seed) > 0 for of_seed in lengths)
    save_figure(figure, tmp_path / "figure.png")


def test_many_dots_are_fainter_and_all_there(monkeypatch: pytest.MonkeyPatch) -> None:
    few = training_curve(new_result([[10] * 20]))
    monkeypatch.setattr(figures, "FAINT_POINTS", 500)
    many = training_curve(new_result([[10] * 1000, [10] * 500]))
    assert sum(xy(line)[0].size for line in dots(many)) == 1500
    assert 0 < dots(many)[0].get_alpha() < dots(few)[0].get_alpha() < 1


def test_without_a_limit_of_steps_the_axis_counts_episodes() -> None:
    figure = training_curve(new_result([[10, 20, 40], [30, 50]], algorithm="notebook"))
    assert figure.axes[0].get_xlabel() == "episodes"
    for of_seed, drawn in zip([[10, 20, 40], [30, 50]], dots(figure), strict=True):
        np.testing.assert_array_equal(xy(drawn), (np.arange(1, len(of_seed) + 1), of_seed))
    x, y = xy(line(figure, "50-episode running mean of 2 seeds"))
    assert (x[0], x[-1]) == (1, 2)
    assert (y[0], y[-1]) == (20, (15 + 40) / 2)


def test_seeds_that_share_no_step_have_no_mean() -> None:
    figure = training_curve(new_result([[10], [500]]))
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == ["maximum"]


def test_the_axes_say_what_they_show() -> None:
    axes = training_curve(new_result([[10, 20], [30]])).axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("environment steps", "episode return")
    assert axes.get_title(loc="left") == "CartPole-v1, reinforce"
    assert axes.xaxis.get_major_formatter()(1_500_000.0) == "1,500,000"
    assert len({to_hex(line.get_color()) for line in axes.lines}) == 3, "dots, mean and maximum are told apart"


def test_a_result_has_the_figures_of_its_first_policy() -> None:
    result = new_result([[10, 20], [30]])
    drawn = dict(figures_of(result))
    assert list(drawn) == ["training_curve", "action_probabilities"]
    heights = [bar.get_height() for bar in drawn["action_probabilities"].axes[0].containers[0]]
    np.testing.assert_allclose(heights, result.policies[0].probabilities(np.array(FIVE_STATES))[:, 0])
    assert len(dots(result.plot())) == 2


def test_notebooks_show_figures_and_results_without_pyplot() -> None:
    assert new_result([[10] * 60]).plot()._repr_png_().startswith(b"\x89PNG")  # type: ignore[attr-defined]
    nothing = replace(new_result([[10]]), seeds=())
    assert nothing._repr_html_() == f"<pre>{html.escape(nothing.summary())}</pre>"
    assert "CartPole-v1 · reinforce · 0 seeds" in nothing._repr_html_()


def test_figures_are_saved_as_png_from_any_thread_without_pyplot(tmp_path: Path) -> None:
    path, errors = tmp_path / "figure.png", []

    def work() -> None:
        try:
            assert save_figure(action_probabilities(new_policy()), path) == path
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert not errors
    assert path.read_bytes().startswith(b"\x89PNG\r\n")
    with pytest.raises(RunError, match="cannot write"):
        save_figure(training_curve(new_result([[10]])), tmp_path / "nowhere" / "figure.png")
