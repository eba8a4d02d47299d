"""Figures that explain the theory with exact numbers: data in, figure out. docs/theory.md shows each of them.

figure = theory.preference_bars([1.0, 2.0, 3.0])
figure.savefig("bars.png")
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from pgrad import exact
from pgrad.errors import InputError, MDPError, require_integer
from pgrad.exact.trajectories import EstimatorFunction
from pgrad.policies.softmax import entropy, score, softmax
from pgrad.reports.figures import BLUE, GREY, ORANGE, new_figure, new_panels
from pgrad.reports.theory_numbers import (
    BASELINES,
    bandit_gaps,
    numbers,
    performance_on_grid,
    require_positive,
    sampled_gradients,
    variance_formula,
    variance_of_shifted_bandit,
    vector,
)

Floats = npt.NDArray[np.float64]

GREEN, PURPLE, YELLOW = "#1b9e77", "#8e4a9e", "#c9a800"
PALETTE = (BLUE, ORANGE, GREEN, PURPLE, YELLOW, GREY)  # neighbours differ for colour-blind readers
STYLES = ("-", "--", ":", "-.")  # the next one each time the palette starts over
BACKGROUND = LinearSegmentedColormap.from_list("uphill is lighter", ["#9a9a9a", "#ffffff"])
GRID, ARROWS = 41, 13  # points and arrows along each axis of a landscape
LARGEST = 1e300  # preference: axes need some room below the largest float
SMALLEST = 1e-14  # gap to the optimum; smaller ones are rounding and not drawn
MARKS = ((BLUE, "o", "-"), (GREEN, "s", "-."), (ORANGE, "^", "--"), ("black", "D", ":"))  # of the BASELINES


def preference_bars(preferences: npt.ArrayLike, temperature: float = 1.0, names: Sequence[str] | None = None) -> Figure:
    """Draw preferences h(a) on the left, probabilities π(a) = exp(h(a) / τ) / Σ_k exp(h(k) / τ) on the right.

    preferences  [A] in nats at τ = 1, -inf for an action of probability zero
    temperature  τ > 0
    names        of the actions

    Raises InputError for anything else. Sutton and Barto (2018), equation 13.2, at τ = 1.
    """
    h = _preferences(preferences)
    labels = _names(names, h.size)
    figure, (left, right) = new_panels(7.6, 3.2, 1, 2)
    _bars(left, np.where(np.isfinite(h), h, 0.0), labels, [_signed(f"{value:.4g}") for value in h])
    probabilities = softmax(h, temperature)
    _bars(right, probabilities, labels, [_probability(value) for value in probabilities])
    left.set_title("preferences h(a)", loc="left")
    right.set_title(f"probabilities π(a) at τ = {temperature:g}", loc="left")
    right.set_ylim(0, 1.1)
    return figure


def temperature_curves(
    preferences: npt.ArrayLike, temperatures: npt.ArrayLike | None = None, names: Sequence[str] | None = None
) -> Figure:
    """Draw π(a) of each action against the temperature τ, and below it the entropy; circles mark the limits.

    As τ → 0 the policy becomes greedy (ties share), as τ → ∞ uniform over the actions whose preference is not -inf.

    preferences   [A]
    temperatures  positive and increasing; by default two decades either side of the preferences' spread
    names         of the actions

    Raises InputError for anything else.
    """
    h = _preferences(preferences)
    labels, possible = _names(names, h.size), np.isfinite(h)
    spread = float(np.ptp(h[possible])) or 1.0
    tau = vector(
        "temperatures", np.geomspace(spread / 100, spread * 100, 200) if temperatures is None else temperatures
    )
    if tau.size < 2 or tau[0] <= 0 or (np.diff(tau) <= 0).any():
        raise InputError(f"temperatures must be at least two, positive and increasing, not {temperatures!r}")
    limits = np.stack([h == h.max(), possible]).astype(np.float64)
    limits /= limits.sum(axis=1, keepdims=True)
    figure, (upper, lower) = new_panels(7.0, 4.6, 2, 1, sharex=True, height_ratios=[2, 1])
    curves = np.array([softmax(h, float(t)) for t in tau])
    for k, label in enumerate(labels):
        color, style = PALETTE[k % len(PALETTE)], STYLES[k // len(PALETTE) % len(STYLES)]
        upper.plot(tau, curves[:, k], style, color=color, label=_signed(f"{label}: h = {h[k]:.4g}"), linewidth=1.8)
        upper.plot(tau[[0, -1]], limits[:, k], "o", color=color, markerfacecolor="none", clip_on=False)
    upper.plot([], [], "o", color=GREY, markerfacecolor="none", label="limits τ → 0, τ → ∞")
    lower.plot(tau, [entropy(h, float(t)) for t in tau], color=GREY, linewidth=1.8)
    ends = np.log(np.count_nonzero(limits, axis=1))
    lower.plot(tau[[0, -1]], ends, "o", color=GREY, markerfacecolor="none", clip_on=False)
    upper.set(xscale="log", ylim=(-0.02, 1.02), ylabel="π(a)")
    lower.set(xlabel="temperature τ", ylabel="entropy, nats", ylim=(-0.05, math.log(h.size) * 1.1 + 0.05))
    upper.set_title("greedy ← low temperature, high temperature → uniform", loc="left")
    upper.legend(frameon=False, loc="upper right", ncols=1 + (h.size - 1) // 5)
    return figure


def score_bars(preferences: npt.ArrayLike, temperature: float = 1.0, names: Sequence[str] | None = None) -> Figure:
    """Draw the score ∂ log π(a) / ∂h = (onehot(a) − π) / τ, a panel for each action a that may have been taken.

    preferences  [A], at most six
    temperature  τ > 0
    names        of the actions

    Raises InputError for anything else. Sutton and Barto (2018), exercise 13.3, with one-hot features and τ = 1.
    """
    h = _preferences(preferences)
    if h.size > len(PALETTE):
        raise InputError(f"score_bars draws a panel for each action, at most {len(PALETTE)}, not {h.size}")
    labels, probabilities = _names(names, h.size), softmax(h, temperature)
    figure, panels = new_panels(2.5 * h.size, 2.9, 1, h.size, sharey=True)
    for taken, axes in enumerate(panels):
        values = score(h, taken, temperature)
        _bars(axes, values, labels, [_signed(f"{value:+.2f}") for value in values], chosen=taken)
        axes.set_title(f"{labels[taken]} taken, π = {_probability(probabilities[taken])}", loc="left", fontsize=10)
    panels[0].set_ylim(-1.2 / temperature, 1.2 / temperature)
    panels[0].set_ylabel("∂ log π / ∂h")
    return figure


def return_sign(
    preferences: npt.ArrayLike, action: int, returns: Sequence[float] = (1.0, -1.0), step: float = 1.0
) -> Figure:
    """Draw how the return's sign directs the step: arrows step · G · ∇log π(action), a panel for each return G.

    The plane is that of both preferences of a two-armed softmax, with contours of π(action).

    preferences  [2], where the arrows start
    action       the action taken, 0 or 1
    returns      G, one to four numbers
    step         the step size, positive

    Raises InputError for anything else. Williams (1992).
    """
    h, arm = vector("preferences", preferences), require_integer("action", action, 0)
    if h.shape != (2,):
        raise InputError(f"preferences must be two, which make the plane that is drawn, not {preferences!r}")
    gains = vector("returns", returns)
    if not 1 <= gains.size <= 4:
        raise InputError(f"returns must be one to four numbers, a panel for each, not {gains.size}")
    moves = require_positive("step", step) * gains[:, None] * score(h, arm)
    reach = max(1.25 * float(np.abs(moves).max()), 1.0)
    plane = np.stack(np.meshgrid(*[np.linspace(x - reach, x + reach, GRID) for x in h]), axis=-1)
    figure, panels = new_panels(4.1 * gains.size, 4.1, 1, gains.size)
    for axes, gain, move in zip(panels, gains, moves, strict=True):
        color, side = BLUE if gain >= 0 else ORANGE, 1 if move[0] > 0 else -1
        _draw_probability(axes, plane, arm, 0.35 * reach * side)
        axes.quiver(*h, *move, angles="xy", scale_units="xy", scale=1, color=color, width=0.014, zorder=3)
        axes.plot(*h, "o", color="black", markersize=5, zorder=4)
        _note(axes, h, f"before: π({arm}) = {_probability(softmax(h)[arm])}", (-12 * side, 12 * side))
        _note(axes, h + move, f"after: π({arm}) = {_probability(softmax(h + move)[arm])}", (-12 * side, -12 * side))
        axes.set(xlabel="h(0)", ylabel="h(1)", aspect="equal")
        effect = "reinforced" if gain > 0 else "discouraged" if gain < 0 else "left alone"
        size = f"{gain:+g}" if gain else "0"
        axes.set_title(_signed(f"G = {size}: action {arm} is {effect}"), loc="left", fontsize=11)
    return figure


def landscape(
    mdp: exact.MDP,
    family: exact.Family,
    theta: npt.ArrayLike,
    estimator: EstimatorFunction | None = None,
    *,
    limits: tuple[float, float] = (-3.0, 3.0),
    learning_rate: float = 0.1,
    num_iterations: int = 100,
    num_trajectories: int = 1,
    num_estimates: int = 300,
    seed: int = 0,
) -> Figure:
    """Draw J over two parameters as filled contours, ∇J as arrows of one length, darker where it is long.

    mdp, family       the problem, and policies with two parameters
    theta             θ, where paths and estimates start; [2]
    estimator         draw a cloud of its estimates ĝ at θ, with their mean and ∇J on the same scale; one that trains is
                      verify.as_estimator.as_function(spec)
    limits            of both parameters
    learning_rate     α of both paths
    num_iterations    draw paths of that many steps of exact gradient and natural gradient ascent; 0 for none
    num_trajectories  in a batch, from which one estimate is made
    num_estimates     in the cloud

    Raises InputError for wrong numbers, MDPError if θ, the family or a path does not fit, EstimatorError if the
    estimator fails. Kakade (2001), for the natural gradient.
    """
    start = _plane_point(family, theta, limits)
    figure, axes = new_figure(6.4, 5.8)
    _draw_performance(figure, axes, mdp, family, np.linspace(*limits, GRID))
    _draw_field(axes, mdp, family, np.linspace(*limits, ARROWS + 2)[1:-1], 0.75 if estimator is None else 0.25)
    if num_iterations:
        for natural in (False, True):
            _draw_path(axes, mdp, family, start, learning_rate, num_iterations, natural)
    if estimator is not None:
        estimates = sampled_gradients(mdp, family(start), estimator, num_trajectories, num_estimates, seed)
        _draw_cloud(axes, start, estimates, exact.solve(mdp, family(start)).gradient, limits[1] - limits[0])
    axes.plot(*start, "o", color="black", markersize=6, zorder=6, label="θ")
    axes.set(xlim=limits, ylim=limits, xlabel="θ₁", ylabel="θ₂", aspect="equal")
    axes.set_title(f"J(θ) and its gradient: {mdp.name or 'a problem'}", loc="left")
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    return figure


def variance_against_constant(
    constants: npt.ArrayLike,
    rewards: tuple[float, float] = (1.0, 0.0),
    noise: float = 1.0,
    num_trajectories: int = 4,
    num_batches: int = 2000,
    seed: int = 0,
) -> Figure:
    """Draw the variance caused by a constant added to both rewards of a bandit: lines by formula, dots measured.

    Arguments are those of `variance_of_shifted_bandit`, which computes the numbers.
    """
    data = variance_of_shifted_bandit(constants, rewards, noise, num_trajectories, num_batches, seed)
    grid = np.linspace(data.constants.min(), data.constants.max(), 100)
    lines = variance_formula(grid, rewards, noise, num_trajectories)
    figure, axes = new_figure(7.0, 4.4)
    for k, (color, marker, style) in enumerate(MARKS):
        axes.plot(grid, lines[k], style, color=color, linewidth=1.5)
        bars = np.stack([data.measured[k] - data.low[k], data.high[k] - data.measured[k]])
        axes.errorbar(data.constants, data.measured[k], bars, fmt=marker, color=color, ms=4.5, label=BASELINES[k])
    axes.set(xlabel="constant c added to both rewards", ylabel="variance tr Cov(ĝ)")
    axes.set_ylim(bottom=0)
    axes.set_title("A constant in the reward adds variance, unless a baseline removes it", loc="left")
    axes.legend(frameon=False, loc="upper center", title="baseline")
    return figure


def bandit_ascent(rewards: npt.ArrayLike, learning_rate: float = 0.4, num_iterations: int = 2000) -> Figure:
    """Draw J* − J(θ_t) of gradient and natural gradient ascent on log-log axes, and the first one's asymptote.

    With A arms and one best, J* − J(θ_t) ~ (A − 1) / (A α t) whatever the rewards: with y_a = π(a)(r* − r_a) and the
    gap δ = Σ_a y_a, near the optimum d log y_a / dt = −α (y_a + δ), which makes all y_a equal. Natural gradient ascent
    multiplies π(a) / π(a*) by exp(−α (r* − r_a)) in each step.

    rewards         [A], one of them the largest
    learning_rate   α
    num_iterations  steps of gradient ascent; natural gradient ascent takes at most 500

    Raises InputError unless exactly one arm is best. Mei et al. (2020), for the rate 1/t.
    """
    gaps = bandit_gaps(rewards, learning_rate, num_iterations)
    natural = bandit_gaps(rewards, learning_rate, min(num_iterations, 500), natural=True)
    time, arms = np.arange(1, gaps.size), np.size(rewards)
    seen = natural[1:] > SMALLEST
    figure, axes = new_figure(7.0, 4.2)
    axes.loglog(time, gaps[1:], color=BLUE, linewidth=1.8, label="gradient ascent")
    axes.loglog(
        np.flatnonzero(seen) + 1, natural[1:][seen], color=ORANGE, linewidth=1.8, label="natural gradient ascent"
    )
    limit = (arms - 1) / (arms * learning_rate * time)
    axes.loglog(time, limit, "--", color=GREY, linewidth=1.2, label="(A − 1) / (A α t)")
    axes.set_ylim(max(gaps[-1] / 1000, SMALLEST), 3 * max(gaps[1], limit[0]))
    axes.set(xlabel="step t", ylabel="J* − J(θₜ)")
    axes.set_title(f"Gradient ascent on a bandit is slow in the end (α = {learning_rate:g})", loc="left")
    axes.legend(frameon=False, loc="lower left")
    return figure


def _draw_probability(axes: Axes, plane: Floats, arm: int, aside: float) -> None:
    """Draw contours of π(arm) over a plane [G, G, 2] of two preferences, with labels in a row beside the middle."""
    x, y, levels = plane[..., 0], plane[..., 1], np.linspace(0, 1, 11)
    axes.contourf(x, y, softmax(plane)[..., arm], levels, cmap=BACKGROUND)
    lines = axes.contour(x, y, softmax(plane)[..., arm], levels, colors=GREY, linewidths=0.7)
    half = np.log(levels[1:-1] / levels[-2:0:-1]) / 2  # π(1) = level where h(1) − h(0) is twice this
    places = plane.mean(axis=(0, 1)).mean() + aside + np.stack([-half, half], axis=1)
    inside = ((plane[1, 1] < places) & (places < plane[-2, -2])).all(axis=1)
    axes.clabel(lines, fmt="%.1f", fontsize=8, manual=places[inside].tolist())


def _draw_performance(figure: Figure, axes: Axes, mdp: exact.MDP, family: exact.Family, grid: Floats) -> None:
    levels = axes.contourf(grid, grid, performance_on_grid(mdp, family, grid), 16, cmap=BACKGROUND)
    figure.colorbar(levels, ax=axes, label="J(θ)", shrink=0.8)


def _draw_field(axes: Axes, mdp: exact.MDP, family: exact.Family, grid: Floats, strength: float) -> None:
    points = np.array([[x, y] for y in grid for x in grid])
    gradients = np.array([exact.solve(mdp, family(point)).gradient for point in points])
    norms = np.linalg.norm(gradients, axis=1)
    length = 0.7 * (grid[1] - grid[0]) * gradients / np.where(norms > 0, norms, 1.0)[:, None]
    colors = np.zeros((len(points), 4))
    colors[:, 3] = strength * (0.2 + 0.8 * norms / (norms.max() or 1.0))
    axes.quiver(*points.T, *length.T, angles="xy", scale_units="xy", scale=1, color=colors, width=0.004)


def _draw_path(
    axes: Axes, mdp: exact.MDP, family: exact.Family, theta: Floats, rate: float, count: int, natural: bool
) -> None:
    name = "natural gradient ascent" if natural else "gradient ascent"
    try:
        path = exact.ascend(mdp, family, theta, rate, count, natural).parameters
    except MDPError as error:
        raise MDPError(f"{name} with learning_rate = {rate:g}: {error} (a smaller learning_rate may help)") from error
    color = ORANGE if natural else BLUE
    axes.plot(*path.T, ".-", color=color, markersize=5, linewidth=1.6, label=f"{name}, {count} steps")


def _draw_cloud(axes: Axes, theta: Floats, estimates: Floats, gradient: Floats, width: float) -> None:
    """Draw estimates at θ + scale · ĝ, scaled so that nine in ten lie within a quarter of the width."""
    scale = 0.25 * width / (float(np.quantile(np.linalg.norm(estimates, axis=1), 0.9)) or 1.0)
    scale = float(f"{scale:.1g}")
    label = f"{len(estimates)} estimates, θ + {scale:g} ĝ"
    axes.plot(*(theta + scale * estimates).T, ".", color=PURPLE, markersize=4, alpha=0.5, zorder=3, label=label)
    arrow: dict[str, Any] = {"angles": "xy", "scale_units": "xy", "scale": 1, "width": 0.009, "zorder": 4}
    axes.quiver(*theta, *(scale * gradient), color=BLUE, label="∇J(θ), exact", **arrow)
    look: dict[str, Any] = {"color": ORANGE, "markeredgecolor": "black", "markersize": 10, "linestyle": "none"}
    axes.plot(*(theta + scale * estimates.mean(axis=0)), "X", label="the estimates' mean", zorder=5, **look)


def _bars(axes: Axes, heights: Floats, names: list[str], labels: list[str], chosen: int | None = None) -> None:
    colors = [ORANGE if k == chosen else BLUE for k in range(heights.size)]
    bars = axes.bar(np.arange(heights.size), heights, 0.7, color=colors)
    axes.bar_label(bars, labels, fontsize=9, padding=2)
    axes.axhline(0, color=GREY, linewidth=0.8)
    axes.set_xticks(np.arange(heights.size), names)
    axes.tick_params(axis="x", length=0)
    axes.margins(y=0.15)


def _note(axes: Axes, point: Floats, text: str, offset: tuple[float, float]) -> None:
    box, side = (
        {"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 1.5},
        "left" if offset[0] > 0 else "right",
    )
    place: dict[str, Any] = {"textcoords": "offset points", "ha": side, "va": "center"}
    axes.annotate(text, (point[0], point[1]), offset, fontsize=9, bbox=box, zorder=5, **place)


def _probability(value: float) -> str:
    return f"{value:.3f}" if value >= 5e-4 else _signed(f"{value:.0e}") if value > 0 else "0"


def _signed(text: str) -> str:
    """Replace the ASCII minus and inf of a number by typographic signs."""
    return text.replace("-inf", "−∞").replace("-", "−")


def _preferences(values: npt.ArrayLike) -> Floats:
    array = numbers("preferences", values)
    if (np.abs(array[np.isfinite(array)]) > LARGEST).any():
        raise InputError(f"preferences must be within ±{LARGEST:g} to be drawn, not {values!r}: subtract their maximum")
    softmax(array)  # raises for anything else that is wrong
    return array


def _names(names: Sequence[str] | None, count: int) -> list[str]:
    if names is not None and len(names) != count:
        raise InputError(f"names must be {count}, one for each action, not {len(names)}: {list(names)!r}")
    return [f"action {k}" for k in range(count)] if names is None else [str(name) for name in names]


def _plane_point(family: exact.Family, theta: npt.ArrayLike, limits: tuple[float, float]) -> Floats:
    ends = vector("limits", limits)
    if ends.shape != (2,) or not ends[0] < ends[1]:
        raise InputError(f"limits must be two numbers, the lower first, not {limits!r}")
    if family.num_parameters != 2:
        raise MDPError(
            f"a landscape is drawn over two parameters, and this family has {family.num_parameters}: use one with two, "
            "such as exact.Linear with two features"
        )
    point = vector("θ", theta)
    if point.shape != (2,) or not ((ends[0] <= point) & (point <= ends[1])).all():
        raise MDPError(f"θ must be two numbers within limits = {limits}, not {theta!r}: move it, or widen the limits")
    return point
