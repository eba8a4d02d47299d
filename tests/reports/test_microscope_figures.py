"""The microscope's figures draw the numbers they are given: the assertions are on what is drawn."""

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_hex

from pgrad.diagnostics.along_run import RunDiagnosis
from pgrad.diagnostics.microscope import Microscope, View
from pgrad.estimators.catalogue import CATALOGUE
from pgrad.experiments.statistics import Estimate
from pgrad.reports.figures import save_figure
from pgrad.reports.microscope import SHOWN, along_training_figure, microscope_figure

NAMES = [named.name for named in CATALOGUE]
SIZES = (2, 5, 10, 20, 50)
NOTHING = Estimate(math.nan, math.nan, math.nan)
ENDLESS = Estimate(math.inf, math.nan, math.nan)
SILENT = {"error": (ENDLESS,) * len(SIZES), "slope": NOTHING, "needed": ENDLESS, "direction": NOTHING}


def around(value: float, factor: float = 1.3) -> Estimate:
    return Estimate(value, value / factor, value * factor)


def new_view(name: str, constant: float) -> View:
    error = tuple(around(constant / math.sqrt(size)) for size in SIZES)
    snr = tuple(around(math.sqrt(size) / constant) for size in SIZES)
    ones, cosine = (around(1.0),) * len(SIZES), (around(0.5, 1.1),) * len(SIZES)
    direction = Estimate(0.99, 0.95, 1.0) if constant < 15 else Estimate(0.7, 0.5, 0.9)
    return View(name, ones, ones, snr, error, cosine, around(-0.5, 0.9), around(100 * constant**2), direction)


def new_microscope(iteration: int | None = 80, factor: float = 1.0, **silent: dict[str, object]) -> Microscope:
    views = [new_view(name, factor * (2 + n)) for n, name in enumerate(NAMES)]
    views = [dataclasses.replace(view, **silent.get(view.name, silent.get("every", {}))) for view in views]
    mean_return = Estimate(20 * factor, 18 * factor, 23 * factor)
    return Microscope("CartPole-v1", iteration, 1000, 30_000, mean_return, SIZES, tuple(views), 1.0)


def lines(axes: Axes) -> dict[str, np.ndarray]:
    """What has a label, as x and y."""
    return {str(line.get_label()): np.array(line.get_data(), float) for line in axes.lines}


def band(axes: Axes, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper ends of the k-th shaded band."""
    corners = [c for c in axes.collections if isinstance(c, PolyCollection)][k].get_paths()[0].vertices
    x = np.unique(corners[:, 0])
    ends = np.array([(corners[corners[:, 0] == each, 1].min(), corners[corners[:, 0] == each, 1].max()) for each in x])
    return ends[:, 0], ends[:, 1]


def test_the_curves_are_the_errors_and_their_intervals(tmp_path: Path) -> None:
    microscope = new_microscope()
    figure = microscope_figure(microscope)
    save_figure(figure, tmp_path / "figure.png")
    left = figure.axes[0]
    drawn = lines(left)
    assert [text.get_text() for text in left.get_legend().get_texts()] == [*SHOWN, "1/√N"]
    for k, (name, colour) in enumerate(SHOWN.items()):
        value, low, high = np.array(microscope.view(name).error).T
        np.testing.assert_allclose(drawn[name], [SIZES, value])
        np.testing.assert_allclose(band(left, k), (low, high))
        assert to_hex(left.lines[k].get_color()) == colour.lower()
    x, y = drawn["1/√N"]
    np.testing.assert_allclose(y * np.sqrt(x), y[0] * np.sqrt(x[0]))
    assert y[0] == pytest.approx(np.median([microscope.view(name).error[0].value for name in SHOWN]))
    assert (left.get_xscale(), left.get_yscale()) == ("log", "log")
    assert figure.get_suptitle() == "CartPole-v1, iteration 80: 1,000 trajectories, mean return 20.0"
    assert microscope_figure(new_microscope(None)).get_suptitle().startswith("CartPole-v1: 1,000")


def test_the_bars_are_the_trajectories_needed_from_few_to_many() -> None:
    microscope = new_microscope(80, 1.0, **{NAMES[3]: SILENT, NAMES[5]: {"needed": Estimate(7777.0, 700.0, 70_001.0)}})
    right = microscope_figure(microscope).axes[1]
    views = sorted(
        (v for v in microscope.views if v.name not in (NAMES[3], NAMES[5])), key=lambda view: view.needed.value
    )
    assert [label.get_text() for label in right.get_yticklabels()] == [view.name for view in views]
    bars, whiskers = right.containers[0], right.collections[0].get_segments()
    np.testing.assert_allclose([bar.get_width() for bar in bars], [view.needed.value for view in views])
    for bar, whisker, text, view in zip(bars, whiskers, right.texts, views, strict=True):
        np.testing.assert_allclose(whisker[:, 0], view.needed[1:])
        assert to_hex(bar.get_facecolor()) == SHOWN.get(view.name, "#cccccc").lower()
        assert text.get_text() == f"  along ∇J: {view.direction.value:.2f}"
        assert (text.get_color() == "black") == (view.direction.value > 0.95)
        assert bar.get_y() + bar.get_height() / 2 == pytest.approx(text.get_position()[1])
    assert right.yaxis_inverted(), "the fewest on top"
    assert right.get_title(loc="right") == "hidden by the noise: 2 more"
    assert right.get_xlim()[1] > max(view.needed.high for view in views)


@pytest.mark.parametrize("needed", [ENDLESS, Estimate(0.0, math.nan, math.nan), NOTHING])
def test_without_any_signal_the_figure_says_so(tmp_path: Path, needed: Estimate) -> None:
    figure = microscope_figure(new_microscope(80, 1.0, every={**SILENT, "needed": needed}))
    save_figure(figure, tmp_path / "figure.png")
    left, right = figure.axes
    assert [text.get_text() for text in left.texts] == ["no signal above the noise"]
    assert left.get_legend() is None
    assert not right.patches
    assert right.get_title(loc="right") == f"hidden by the noise: {len(CATALOGUE)} more"


def test_an_error_that_is_lost_in_the_noise_at_some_sizes_has_gaps(tmp_path: Path) -> None:
    holes = (around(2.0), ENDLESS, Estimate(1.0, math.nan, math.nan), ENDLESS, around(0.5))
    figure = microscope_figure(new_microscope(80, 1.0, **{"reward-to-go": {"error": holes}}))
    save_figure(figure, tmp_path / "figure.png")
    assert lines(figure.axes[0])["reward-to-go"][1].tolist() == [2.0, math.inf, 1.0, math.inf, 0.5]


def test_without_noise_the_error_is_zero_and_still_drawn(tmp_path: Path) -> None:
    silent = {"error": (Estimate(0.0, math.nan, math.nan),) * len(SIZES), "needed": Estimate(0.0, math.nan, math.nan)}
    figure = microscope_figure(new_microscope(80, 1.0, **{"reward-to-go": silent}))
    save_figure(figure, tmp_path / "figure.png")
    assert lines(figure.axes[0])["reward-to-go"][1].tolist() == [0.0] * len(SIZES)


def along(*microscopes: Microscope) -> RunDiagnosis:
    return RunDiagnosis("runs/mine", 3, microscopes, "the run's value network")


def test_along_training_return_trajectories_and_direction(tmp_path: Path) -> None:
    wide = {"reward-to-go": {"needed": Estimate(1000.0, 10.0, 100_000.0)}, "total return": SILENT}
    microscopes = [new_microscope(0), new_microscope(40, 1.5), new_microscope(80, 2.0, **wide)]
    figure = along_training_figure(along(*microscopes))
    save_figure(figure, tmp_path / "figure.png")
    above, middle, below = figure.axes
    (curve,) = above.lines
    np.testing.assert_allclose(curve.get_data(), [[0, 40, 80], [20, 30, 40]])
    np.testing.assert_allclose(band(above, 0), [[18, 27, 36], [23, 34.5, 46]])
    drawn = lines(middle)
    assert [text.get_text() for text in middle.get_legend().get_texts()] == list(SHOWN)
    for k, name in enumerate(SHOWN):
        needed = np.array([microscope.view(name).needed for microscope in microscopes])
        hidden = [False, False, name in wide]
        expected = np.where(hidden, np.nan, needed[:, 0])
        np.testing.assert_allclose(drawn[name], [[0, 40, 80], expected])
        if name not in wide:
            bars = np.array(middle.collections[k].get_segments())[:, :, 1]
            np.testing.assert_allclose(bars, needed[:, 1:])
        direction = [microscope.view(name).direction.value for microscope in microscopes]
        np.testing.assert_allclose(below.lines[k].get_data(), [[0, 40, 80], direction])
        colours = {to_hex(axes.lines[k].get_color()) for axes in (middle, below)}
        assert colours == {SHOWN[name].lower()}
    assert middle.get_yscale() == "log"
    low, high = below.get_ylim()
    assert low < -1 < 1 < high
    assert above.get_title(loc="left") == "CartPole-v1, seed 3: 1,000 trajectories each"


@pytest.mark.parametrize("microscopes", [1, 3])
def test_along_training_without_any_signal_is_drawn_all_the_same(tmp_path: Path, microscopes: int) -> None:
    silent = [new_microscope(40 * k, 1.0, every=SILENT) for k in range(microscopes)]
    figure = along_training_figure(along(*silent))
    save_figure(figure, tmp_path / "figure.png")
    assert all(np.isnan(line.get_ydata()).all() for line in figure.axes[1].lines)
