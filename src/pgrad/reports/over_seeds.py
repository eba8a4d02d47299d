"""Figures of what settings reach on their seeds: final performance, and how many seeds are above each return."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from pgrad.experiments.profile import performance_profile
from pgrad.experiments.statistics import Estimate
from pgrad.reports.figures import COLOURS, GREY, LINES, Floats, new_figure

PROFILE_POINTS = 101  # returns at which a profile is drawn
MOST_BANDS = 4  # settings with intervals in one figure of profiles: of more they would hide each other
SPREAD = 0.28  # half the height over which a setting's seeds are drawn


class Reached(NamedTuple):
    """A setting in words, its seeds' returns [S], -inf of failed ones, and their interquartile mean."""

    label: str
    returns: Floats
    estimate: Estimate


def final_performance(settings: Sequence[Reached], title: str, threshold: float | None = None) -> Figure:
    """Draw each setting's seeds, faint, and over them their interquartile mean with its interval, a row a setting.

    Failed seeds are not in sight. An interval that reaches down to them is drawn to the lowest return of all, and a
    setting of which more than a quarter failed has no interquartile mean.
    """
    figure, axes = new_figure(8.0, 1.3 + 0.42 * len(settings))
    lowest = np.concatenate([one.returns[np.isfinite(one.returns)] for one in settings]).min(initial=np.inf)
    for row, one in enumerate(settings):
        finite = one.returns[np.isfinite(one.returns)]
        offsets = np.linspace(-SPREAD, SPREAD, finite.size) if finite.size > 1 else np.zeros(finite.size)
        axes.plot(np.sort(finite), row + offsets, ".", color=COLOURS[0], alpha=0.5, markersize=5, markeredgewidth=0)
        if np.isfinite(one.estimate.value):
            axes.hlines(row, max(one.estimate.low, lowest), one.estimate.high, color=COLOURS[1], linewidth=2)
            axes.plot(one.estimate.value, row, "o", color=COLOURS[1])
    if threshold is not None:
        axes.axvline(threshold, color=GREY, linewidth=1, linestyle="--", label="solved")
    axes.set_yticks(range(len(settings)), [one.label for one in settings], fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel("mean return of a seed's frozen policy, lowest first;\ninterquartile mean and its 95 % interval")
    axes.set_title(title, loc="left")
    return figure


def profiles(settings: Sequence[Reached], title: str) -> Figure:
    """Draw which share of a setting's seeds is above each return, with its interval where few settings are drawn."""
    figure, axes = new_figure(8.0, 4.5)
    thresholds = profile_points(settings)
    for k, one in enumerate(settings):
        share, low, high = performance_profile(one.returns, thresholds)
        colour = COLOURS[k % len(COLOURS)]
        line = LINES[k // len(COLOURS) % len(LINES)]
        axes.plot(thresholds, share, color=colour, linestyle=line, drawstyle="steps-post", label=one.label)
        if len(settings) <= MOST_BANDS:
            axes.fill_between(thresholds, low, high, step="post", color=colour, alpha=0.2, linewidth=0)
    axes.set_xlabel("return")
    axes.set_ylabel("share of seeds above it")
    axes.set_title(title, loc="left")
    axes.legend(framealpha=0.9, edgecolor="none", fontsize=8)
    return figure


def profile_points(settings: Sequence[Reached], points: int = PROFILE_POINTS) -> Floats:
    """Return returns from the lowest of all seeds to the highest, [points]."""
    finite = np.concatenate([one.returns[np.isfinite(one.returns)] for one in settings])
    return np.linspace(finite.min(), finite.max(), points) if finite.size else np.zeros(1)
