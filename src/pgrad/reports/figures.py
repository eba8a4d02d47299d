"""Figures: data in, figure out. No pyplot: nothing global, any thread."""

import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from pgrad.errors import InputError
from pgrad.experiments.statistics import (
    WINDOW,
    interval_name,
    mean_interval,
    mean_interval_of_columns,
    running_mean,
)
from pgrad.policies.mlp import MLPPolicy
from pgrad.runs.atomic import write_atomically

if TYPE_CHECKING:
    from pgrad.rollouts.batch import Episodes
    from pgrad.training.result import Result

Floats = npt.NDArray[np.float64]
Curve = tuple[npt.NDArray[Any], npt.NDArray[Any]]  # of one seed: x of its points, rising, and y

BLUE, ORANGE, GREY = "#2a6fbb", "#e07b28", "#777777"
# Okabe and Ito's colours, which colour-blind readers tell apart; yellow, which is faint on white, last.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#999999", "#F0E442")
LINES = ("-", "--", ":", "-.")  # of the second, third and fourth round through the colours
GRID_POINTS = 200  # of the smoothed curve
FAINT_CURVES, FAINTEST = 8, (0.05, 0.3)  # so many curves' worth of ink, within these opacities
FAINT_POINTS = 20_000  # with more dots than this, each gets fainter

CARTPOLE_STATES = (
    ("centred\nupright", (0.0, 0.0, 0.0, 0.0)),
    ("cart left,\npole tilting right", (-1.0, -0.5, 0.1, 0.5)),
    ("cart right,\npole tilting left", (1.0, 0.5, -0.1, -0.5)),
    ("pole falling\nright fast", (0.0, 0.0, 0.2, 1.5)),
    ("pole falling\nleft fast", (0.0, 0.0, -0.2, -1.5)),
)


class ShownFigure(Figure):
    """A figure that notebooks show, without pyplot's help."""

    def _repr_png_(self) -> bytes:
        image = io.BytesIO()
        self.savefig(image, format="png", dpi=100)
        return image.getvalue()


def new_figure(width: float, height: float) -> tuple[Figure, Axes]:
    """Make a figure with one pair of axes, inches wide and high."""
    figure, (axes,) = new_panels(width, height, 1, 1)
    return figure, axes


def new_panels(width: float, height: float, rows: int, columns: int, **settings: Any) -> tuple[Figure, list[Axes]]:
    """Make a figure with several pairs of axes, inches wide and high; settings are those of Figure.subplots."""
    figure = ShownFigure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    panels = list(figure.subplots(rows, columns, squeeze=False, **settings).ravel())
    for axes in panels:
        axes.spines[["top", "right"]].set_visible(False)
    return figure, panels


def training_curve(result: "Result") -> Figure:
    """Draw a result's training: `training_episodes`.

    Against environment steps, or where the configuration limits iterations and not steps, against episodes: seeds then
    end after different numbers of steps.
    """
    logs, by_steps = [seed.history.episodes for seed in result.seeds], result.config.total_steps is not None
    lines = {"maximum": result.env.max_return, "solved": result.env.reward_threshold}
    return training_episodes(logs, f"{result.env.id}, {result.config.algorithm}", by_steps, lines)


def training_episodes(
    logs: "Sequence[Episodes]", title: str, by_steps: bool, lines: Mapping[str, float | None]
) -> Figure:
    """Draw each seed's episode returns, faint; over them the mean over seeds of each one's running mean of 50 episodes,
    with its 95 % interval at each point (mean_interval); and the first of the `lines` that is known.
    """
    figure, axes = new_figure(8.0, 4.5)
    logs = [log for log in logs if log.length.size]
    times = [ends(log, by_steps) for log in logs]
    points = sum(x.size for x in times)
    faintness = float(np.clip(0.4 * FAINT_POINTS / max(points, 1), 0.1, 0.4))
    for x, log in zip(times, logs, strict=True):
        axes.plot(x, log.episode_return, ".", color=BLUE, alpha=faintness, markersize=2.5, markeredgewidth=0)
    smoothed = [(x, running_mean(log.episode_return)) for x, log in zip(times, logs, strict=True)]
    if overlap(smoothed):
        grid, curves = on_one_grid(smoothed)
        mean, low, high = mean_interval_of_columns(curves)
        if len(logs) > 1:
            interval = interval_name(len(logs), "seeds").replace("; ", ";\n")
            axes.fill_between(grid, low, high, color=ORANGE, alpha=0.3, linewidth=0, label=interval)
        plural = "s" if len(logs) > 1 else ""
        label = f"{WINDOW}-episode running mean of {len(logs)} seed{plural}"
        axes.plot(grid, mean, color=ORANGE, linewidth=1.8, label=label)
    for label, value in [(label, value) for label, value in lines.items() if value is not None][:1]:
        axes.axhline(value, color=GREY, linewidth=1, linestyle="--", label=label)
    axes.set_xlabel("environment steps" if by_steps else "episodes")
    axes.set_ylabel("episode return")
    axes.set_title(title, loc="left")
    axes.xaxis.set_major_formatter(lambda x, _: f"{x:,.0f}")
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="best", framealpha=0.9, edgecolor="none")
    return figure


def comparison(results: "Mapping[str, Result]") -> Figure:
    """Draw the curves of several trainings of one environment on one pair of axes, by what they are called.

    Each is the mean over seeds of the running means of 50 episodes, with its 95 % interval at each point, against
    environment steps, or against episodes where a configuration limits these: its seeds end after different
    numbers of them. Raises InputError where there is no result, one without episodes, or one of another environment.
    """
    environments = {result.env.id for result in results.values()}
    if len(environments) != 1:
        known = ", ".join(sorted(environments)) or "none"
        raise InputError(f"results to compare must be of one environment, and are of {known}")
    by_steps = all(result.config.total_steps is not None for result in results.values())
    curves = {label: curves_of(result, by_steps) for label, result in results.items()}
    return compared(curves, environments.pop(), "environment steps" if by_steps else "episodes")


def curves_of(result: "Result", by_steps: bool = True) -> list[Curve]:
    """Return each seed's running mean of 50 episodes against its environment steps, or against its episodes."""
    logs = [seed.history.episodes for seed in result.seeds]
    return [(ends(log, by_steps), running_mean(log.episode_return)) for log in logs]


def ends(log: "Episodes", by_steps: bool) -> npt.NDArray[Any]:
    """Return where each episode ends on the axis, in environment steps or in episodes; [E]."""
    return log.total_steps if by_steps else np.arange(1, log.length.size + 1)


def compared(
    curves: Mapping[str, Sequence[Curve]], title: str, x: str = "environment steps", seeds: bool = False
) -> Figure:
    """Draw `comparison` of curves against `x`, those of all seeds by their label, with `seeds` also each one, faint;
    raises InputError likewise.
    """
    count = sum(map(len, curves.values()))
    faint = float(np.clip(FAINT_CURVES / count, *FAINTEST)) if seeds else 0.0
    figure, axes = new_figure(8.0, 4.5)
    for k, (label, of_seeds) in enumerate(curves.items()):
        style: Any = {"color": COLOURS[k % len(COLOURS)], "linestyle": LINES[k // len(COLOURS) % len(LINES)]}
        if draw_curve(axes, of_seeds, label, faint=faint, **style) is None:
            raise InputError(f"'{label}' has no step that all of its seeds' finished episodes reach: train longer")
    axes.set_xlabel(x)
    axes.set_ylabel(f"return of {WINDOW} training episodes;\nmean over seeds and its 95 % interval")
    axes.set_title(title, loc="left")
    axes.xaxis.set_major_formatter(lambda x, _: f"{x:,.0f}")
    axes.legend(loc="best", framealpha=0.9, edgecolor="none")
    return figure


def draw_curve(
    axes: Axes, curves: Sequence[Curve], label: str, color: str, linestyle: str = LINES[0], faint: float = 0.0
) -> Floats | None:
    """Draw the mean over seeds of their curves, with its interval; return where they end, [S].

    faint  opacity of the seeds' own curves behind it, as an image so that a page stays small; 0 for none

    None, and nothing is drawn, where there is no step that the episodes of all seeds reach.
    """
    if not overlap(curves):
        return None
    grid, on_grid = on_one_grid(curves)
    mean, low, high = mean_interval_of_columns(on_grid)
    for of_seed in on_grid if faint else ():
        axes.plot(grid, of_seed, color=color, alpha=faint, linewidth=0.6, zorder=1, rasterized=True)
    axes.plot(grid, mean, color=color, linestyle=linestyle, linewidth=1.6, label=label)
    if len(curves) > 1:
        axes.fill_between(grid, low, high, color=color, alpha=0.2, linewidth=0)
    return np.asarray(on_grid[:, -1])


def overlap(curves: Sequence[Curve]) -> bool:
    """Return whether there are curves, and a point that all of them reach."""
    filled = bool(curves) and all(x.size for x, _ in curves)
    return filled and bool(max(x[0] for x, _ in curves) <= min(x[-1] for x, _ in curves))


def on_one_grid(curves: Sequence[Curve]) -> tuple[Floats, Floats]:
    """Return several seeds' curves on one grid, as far as all of them reach; [points], [S, points]."""
    grid = np.linspace(max(x[0] for x, _ in curves), min(x[-1] for x, _ in curves), GRID_POINTS)
    return grid, np.stack([np.interp(grid, x, y) for x, y in curves])


def action_probabilities(policy: MLPPolicy) -> Figure:
    """Draw π(left) and π(right) of a CartPole policy at five telling states."""
    whose = ", ".join(
        filter(None, [policy.env, policy.metadata.get("algorithm"), f"seed {policy.metadata.get('seed')}"])
    )
    figure, axes = new_figure(8.0, 3.6)
    states = np.array([state for _, state in CARTPOLE_STATES])
    probabilities, centres = policy.probabilities(states), np.arange(len(states))
    for offset, action, name, color in ((-0.2, 0, "π(left)", BLUE), (0.2, 1, "π(right)", ORANGE)):
        bars = axes.bar(centres + offset, probabilities[:, action], 0.38, color=color, label=name)
        axes.bar_label(bars, fmt="%.2f", fontsize=8, padding=1)
    axes.set_xticks(centres, [f"{name}\n({', '.join(f'{v:g}' for v in state)})" for name, state in CARTPOLE_STATES])
    axes.tick_params(axis="x", labelsize=8, length=0)
    axes.set_ylim(0, 1.12)
    axes.set_yticks([0, 0.5, 1])
    axes.set_ylabel("probability")
    axes.set_title(f"{whose}: what the policy does at (x, ẋ, θ, θ̇)", loc="left", fontsize=10)
    axes.legend(frameon=False, ncols=2, loc="lower right", bbox_to_anchor=(1, 1))
    return figure


def evaluated_returns(returns: Mapping[int, Floats]) -> Figure:
    """Draw each seed's evaluation: the return of every episode, faint, and their mean with its 95 % interval."""
    figure, axes = new_figure(8.0, 1.4 + 0.28 * len(returns))
    for k, of_seed in enumerate(returns.values()):
        value, low, high = mean_interval(of_seed)
        axes.plot(of_seed, np.full(of_seed.size, k), "|", color=BLUE, alpha=0.35, markersize=9)
        axes.plot([low, high], [k, k], color=ORANGE, linewidth=3, solid_capstyle="butt")
        axes.plot(value, k, "o", color=ORANGE, markersize=6)
    axes.set_yticks(range(len(returns)), [f"seed {seed}" for seed in returns])
    axes.set_ylim(len(returns) - 0.5, -0.5)
    axes.set_xlabel("episode return; mean and its 95 % interval over episodes")
    return figure


def along_the_way(evaluations: Mapping[int, Mapping[str, Floats]]) -> Figure:
    """Draw what frozen policies were worth along the way, a line a seed with its interval over episodes."""
    figure, axes = new_figure(8.0, 4.0)
    for k, (seed, of_seed) in enumerate(evaluations.items()):
        color, style = COLOURS[k % len(COLOURS)], LINES[k // len(COLOURS) % len(LINES)]
        steps = of_seed["total_steps"]
        axes.fill_between(steps, of_seed["low"], of_seed["high"], color=color, alpha=0.15, linewidth=0)
        axes.plot(steps, of_seed["mean_return"], style, color=color, marker=".", linewidth=1.4, label=f"seed {seed}")
    axes.set_xlabel("environment steps")
    axes.set_ylabel("mean return and its 95 % interval\nover episodes")
    axes.xaxis.set_major_formatter(lambda x, _: f"{x:,.0f}")
    if len(evaluations) <= len(COLOURS):
        axes.legend(loc="best", framealpha=0.9, edgecolor="none")
    return figure


def metrics_along(metrics: Mapping[int, Mapping[str, Floats]], names: Sequence[str]) -> Figure:
    """Draw metrics of every iteration against environment steps, a panel each; a faint line a seed, and their mean."""
    rows = -(-len(names) // 2)
    figure, panels = new_panels(8.0, 2.3 * rows, rows, 2, sharex=True)
    for axes, name in zip(panels, names, strict=False):
        curves = [(of_seed["total_steps"], of_seed[name]) for of_seed in metrics.values()]
        known = [(x[np.isfinite(y)], y[np.isfinite(y)]) for x, y in curves]
        for x, y in known:
            axes.plot(x, y, color=BLUE, alpha=max(0.15, 0.7 / len(known)), linewidth=0.8)
        if len(known) > 1 and overlap(known):
            grid, on_grid = on_one_grid(known)
            axes.plot(grid, on_grid.mean(axis=0), color=ORANGE, linewidth=1.6)
        axes.set_title(name.replace("_", " "), loc="left", fontsize=10)
        axes.xaxis.set_major_formatter(lambda x, _: f"{x:,.0f}")
    for axes in panels[-2:]:
        axes.set_xlabel("environment steps")
    return figure


def figures_of(result: "Result") -> Iterator[tuple[str, Figure]]:
    """Yield the figures that a training's result allows, by name, one at a time."""
    yield "training_curve", training_curve(result)
    if result.env.id.startswith("CartPole-"):
        yield "action_probabilities", action_probabilities(result.policies[0])


def save_figure(figure: Figure, path: Path) -> Path:
    """Write a figure as PNG, and return its path; raise RunError where that cannot be done."""
    image = io.BytesIO()
    figure.savefig(image, format="png", dpi=120)
    write_atomically(path, image.getvalue())
    return path
