"""The figure of a sweep: what each setting that differs changes."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pgrad.config.values import shown_setting
from pgrad.experiments.statistics import Estimate
from pgrad.reports.figures import COLOURS, LINES, Floats, new_panels

DECADE = 10.0  # a setting that spans as much is drawn on a logarithmic axis
MOST_PANELS = 4  # settings that differ, of more nobody sees anything
MOST_MARKED = 6  # values, of more their labels would run into each other
MOST_NAMED = 12  # lines, of more a legend would hide the figure


class Point(NamedTuple):
    """A setting: the values that differ, its seeds' returns [S], -inf of failed ones, and their interquartile mean."""

    values: Mapping[str, Any]
    returns: Floats
    estimate: Estimate


def sensitivity(points: Sequence[Point], title: str) -> Figure:
    """Draw returns against each setting that differs, a panel each: seeds faint, interquartile means with intervals.

    Lines join the points that differ in the panel's setting alone. A failed seed is not in sight: an interval that
    reaches down to failures is drawn to the lowest return of all, and a setting of which more than a quarter failed has
    no interquartile mean, and its line a gap.
    """
    names = list(points[0].values)
    figure, panels = new_panels(1.0 + 4.5 * len(names), 4.2, 1, len(names), sharey=True)
    for axes, name in zip(panels, names, strict=True):
        draw_panel(axes, name, points)
    panels[0].set_ylabel("mean return of a seed's frozen policy;\ninterquartile mean and its 95 % interval")
    panels[0].set_title(title, loc="left")
    return figure


def draw_panel(axes: Axes, name: str, points: Sequence[Point]) -> None:
    """Draw returns against one setting."""
    where = positions(axes, name, points)
    returns = np.concatenate([point.returns for point in points])
    lowest = returns[np.isfinite(returns)].min(initial=np.inf)
    lines: dict[str, list[Point]] = {}
    for point in points:
        others = ", ".join(f"{other} {shown_setting(v)}" for other, v in point.values.items() if other != name)
        lines.setdefault(others, []).append(point)
    for k, (label, line) in enumerate(lines.items()):
        colour = COLOURS[k % len(COLOURS)]
        line = sorted(line, key=lambda point: where[shown_setting(point.values[name])])
        x = np.array([where[shown_setting(point.values[name])] for point in line])
        middle, low, high = np.array([point.estimate for point in line]).T
        middle = np.where(np.isfinite(middle), middle, np.nan)
        axes.plot(x, middle, f"o{LINES[k // len(COLOURS) % len(LINES)]}", color=colour, label=label)
        axes.vlines(x, np.where(np.isneginf(low), lowest, low), np.where(np.isnan(middle), np.nan, high), color=colour)
        for centre, point in zip(x, line, strict=True):
            finite = point.returns[np.isfinite(point.returns)]
            axes.plot(np.full(finite.size, centre), finite, "_", color=colour, alpha=0.3)
    if 1 < len(lines) <= MOST_NAMED:
        axes.legend(framealpha=0.9, edgecolor="none", fontsize=8)
    axes.set_xlabel(name)


def positions(axes: Axes, name: str, points: Sequence[Point]) -> dict[str, float]:
    """Return where on the axis each value of a setting is, and mark it there: numbers to scale, others side by side."""
    values = {shown_setting(point.values[name]): point.values[name] for point in points}
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in values.values()):
        axes.set_xticks(range(len(values)), list(values))
        return {text: float(k) for k, text in enumerate(values)}
    where = {text: float(value) for text, value in values.items()}
    if min(where.values()) > 0 and max(where.values()) >= DECADE * min(where.values()):
        axes.set_xscale("log")
    if len(where) <= MOST_MARKED:
        axes.set_xticks(list(where.values()), list(where))
        axes.minorticks_off()
    return where
