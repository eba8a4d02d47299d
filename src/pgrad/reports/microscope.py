"""Figures of the gradient microscope: error against batch size at one policy, and signal along training."""

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pgrad.experiments.statistics import UNKNOWN, Estimate
from pgrad.reports.figures import GREY, new_panels

if TYPE_CHECKING:
    from pgrad.diagnostics.along_run import RunDiagnosis
    from pgrad.diagnostics.microscope import Microscope

Floats = npt.NDArray[np.float64]

# Okabe and Ito's colours, which colour-blind readers tell apart.
SHOWN = {
    "total return": "#999999",
    "reward-to-go": "#D55E00",
    "reward-to-go, leave-one-out": "#E69F00",
    "reward-to-go, value": "#0072B2",
    "GAE(λ=0.95)": "#009E73",
    "GAE(λ=0)": "#CC79A7",
}


def microscope_figure(microscope: "Microscope") -> Figure:
    """Draw one policy: relative error against trajectories a batch, and the number needed for an error of 10 %."""
    figure, (left, right) = new_panels(12.0, 5.2, 1, 2, width_ratios=(1.0, 1.25))
    _error_curves(left, microscope)
    _needed_bars(right, microscope)
    when = "" if microscope.iteration is None else f", iteration {microscope.iteration}"
    figure.suptitle(
        f"{microscope.env}{when}: {microscope.trajectories:,} trajectories, mean return "
        f"{microscope.mean_return.value:.1f}",
        x=0.01,
        ha="left",
        fontsize=11,
    )
    return figure


def _error_curves(axes: Axes, microscope: "Microscope") -> None:
    sizes = np.array(microscope.sizes, dtype=np.float64)
    for name, colour in SHOWN.items():
        value, low, high = _columns(microscope.view(name).error)
        if np.isfinite(value).any():
            axes.plot(sizes, value, "o-", color=colour, markersize=4, linewidth=1.5, label=name)
            axes.fill_between(sizes, low, high, color=colour, alpha=0.15, linewidth=0)
    finite = [e.value for name in SHOWN for e in microscope.view(name).error[:1] if np.isfinite(e.value)]
    if finite:
        guide = np.median(finite) * np.sqrt(sizes[0] / sizes)
        axes.plot(sizes, guide, "--", color=GREY, linewidth=1, label="1/√N")
        axes.legend(frameon=False, fontsize=8, loc="best")
        axes.set_yscale("log")
        values = [e.value for name in SHOWN for e in microscope.view(name).error if 0 < e.value < np.inf]
        axes.set_ylim(min(values) / 1.6, 1.6 * max(values))  # bands beyond add nothing
    else:
        axes.text(0.5, 0.5, "no signal above the noise", transform=axes.transAxes, ha="center", color=GREY)
    axes.set_xscale("log")
    axes.set_xticks(sizes, [f"{size:g}" for size in sizes])
    axes.minorticks_off()
    axes.axhline(0.1, color=GREY, linewidth=0.8, linestyle=":")
    axes.set_xlabel("trajectories a batch")
    axes.set_ylabel("relative error, √tr Cov / ‖mean‖; bands: nominal 95 %, jackknife")


def _needed_bars(axes: Axes, microscope: "Microscope") -> None:
    views = [view for view in microscope.views if not view.hidden]
    views.sort(key=lambda view: view.needed.value)
    places = np.arange(len(views))
    value, low, high = _columns([view.needed for view in views])
    colours = [SHOWN.get(view.name, "#cccccc") for view in views]
    axes.barh(places, value, color=colours, height=0.7)
    axes.errorbar(value, places, xerr=[value - low, high - value], fmt="none", ecolor="black", elinewidth=0.8)
    for place, view in zip(places, views, strict=True):
        direction = view.direction.value
        note = "" if np.isnan(direction) else f"  along ∇J: {direction:.2f}"
        axes.text(
            view.needed.high,
            float(place),
            note,
            va="center",
            fontsize=7,
            color="black" if direction > 0.95 else "#D55E00",
        )
    lost = len(microscope.views) - len(views)
    axes.set_yticks(places, [view.name for view in views], fontsize=8)
    axes.invert_yaxis()
    if views:
        axes.set_xscale("log")
        axes.set_xlim(right=8 * float(high.max()))
    axes.set_xlabel("trajectories for a relative error of 10 %; bars: nominal 95 %, jackknife")
    if lost:
        axes.set_title(f"hidden by the noise: {lost} more", fontsize=8, color=GREY, loc="right")


def along_training_figure(diagnosis: "RunDiagnosis") -> Figure:
    """Draw a run by iteration: mean return, trajectories needed for an error of 10 %, and direction of the bias."""
    figure, (above, middle, below) = new_panels(9.0, 8.0, 3, 1, sharex=True, height_ratios=(1.0, 1.6, 1.0))
    iterations = np.array([microscope.iteration for microscope in diagnosis.microscopes], dtype=np.float64)
    value, low, high = _columns([microscope.mean_return for microscope in diagnosis.microscopes])
    above.plot(iterations, value, "o-", color="black", markersize=3, linewidth=1.2)
    above.fill_between(iterations, low, high, color="black", alpha=0.15, linewidth=0)
    above.set_ylabel("mean return")
    drawn = False
    for name, colour in SHOWN.items():
        views = [microscope.view(name) for microscope in diagnosis.microscopes]
        value, low, high = _columns([UNKNOWN if view.hidden else view.needed for view in views])
        middle.plot(iterations, value, "o-", color=colour, markersize=3, linewidth=1.3, label=name)
        middle.errorbar(iterations, value, [value - low, high - value], fmt="none", ecolor=colour, elinewidth=0.7)
        drawn = drawn or bool(np.isfinite(value).any())
        below.plot(
            iterations, [view.direction.value for view in views], "o-", color=colour, markersize=3, linewidth=1.3
        )
    if drawn:
        middle.set_yscale("log")
    middle.set_ylabel("trajectories for an error of 10 %")
    middle.legend(frameon=False, fontsize=8, ncols=2)
    below.axhline(1.0, color=GREY, linewidth=0.8, linestyle=":")
    below.set_ylim(-1.1, 1.1)
    below.set_ylabel("cosine of mean to ∇J")
    below.set_xlabel("iteration (gaps: the noise hides it; intervals: nominal 95 %, jackknife)")
    first = diagnosis.microscopes[0]
    above.set_title(f"{first.env}, seed {diagnosis.seed}: {first.trajectories:,} trajectories each", loc="left")
    return figure


def _columns(estimates: "list[Estimate] | tuple[Estimate, ...]") -> Floats:
    """Return values, lower and upper ends of intervals, [3, n]; unknown ends are set to the value."""
    columns = np.array(estimates, dtype=np.float64).reshape(-1, 3).T
    return np.where(np.isnan(columns), columns[:1], columns)
