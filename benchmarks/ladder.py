"""How soon each rung of the ladder learns, on CartPole, LunarLander (where it can be made) and the arm.

Each rung has the settings of its own file; on the last two environments, the same network, normalisation and number of
environments for all. Returns are those of training: of policies that sample, and change meanwhile.
"""

from pathlib import Path
from typing import Any

from matplotlib.axes import Axes

import pgrad
from pgrad.algorithms import ALGORITHMS
from pgrad.experiments.statistics import mean_interval, mean_interval_of_columns, shown
from pgrad.reports.figures import WINDOW, new_panels, save_figure, smoothed_curves

IMAGE = Path(__file__).parent.parent / "docs" / "images" / "ladder.png"
RUNGS = [name for name in ALGORITHMS if name != "notebook"]
# Okabe and Ito's colours, which colour-blind readers tell apart.
COLOURS = ("#999999", "#E69F00", "#F0E442", "#56B4E9", "#009E73", "#0072B2", "#CC79A7", "#D55E00")
COMMON = {"hidden": (64, 64), "normalize_obs": True, "normalize_rewards": True, "num_envs": 16}
ENVS: dict[str, dict[str, Any]] = {
    "CartPole-v1": {"seeds": "100-129", "total_steps": 100_000},
    "LunarLander-v3": {"seeds": "100-109", "total_steps": 300_000, **COMMON},
    "RobotArm-v0": {"seeds": "100-129", "total_steps": 1_000_000, **COMMON},
}
NUM_STEPS = 128  # of each environment in a batch, for the rungs that do not wait for whole episodes


def trained(env_id: str, rung: str) -> pgrad.Result:
    """Train a rung on an environment's seeds."""
    settings = dict(ENVS[env_id])
    if "hidden" in settings and ALGORITHMS[rung].get("episodes_per_iteration") is None:
        settings["num_steps"] = NUM_STEPS
    return pgrad.train(env_id, algorithm=rung, preset="none", evaluation_episodes=0, **settings)


def draw(axes: Axes, rung: str, result: pgrad.Result) -> str:
    """Add a rung's curve, the mean over seeds of running means and its 95 % interval; return the table's row."""
    logs = [seed.history.episodes for seed in result.seeds]
    grid, curves = smoothed_curves([log.total_steps for log in logs], [log.episode_return for log in logs])
    mean, low, high = mean_interval_of_columns(curves)
    colour = COLOURS[RUNGS.index(rung)]
    axes.plot(grid, mean, color=colour, linewidth=1.6, label=rung)
    axes.fill_between(grid, low, high, color=colour, alpha=0.2, linewidth=0)
    last = curves[:, -1]
    return f"| {result.env.id} | `{rung}` | {last.size} | {mean_interval(last)} | {shown(last.min())} |"


def main() -> None:
    """Print the table and draw the figure."""
    print(f"| environment | rung | seeds | last {WINDOW} episodes of training | worst seed |\n|---|---|---|---|---|")
    made = []
    for env_id in ENVS:
        try:
            pgrad.make(env_id)
            made.append(env_id)
        except pgrad.EnvError as error:
            print(f"| {env_id} | | | | {error} |")
    figure, panels = new_panels(1.0 + 4.0 * len(made), 4.4, 1, len(made))
    for axes, env_id in zip(panels, made, strict=True):
        axes.set_title(env_id, loc="left")
        axes.set_xlabel("environment steps")
        axes.xaxis.set_major_formatter(lambda x, _: f"{x / 1000:g}k")
        for rung in RUNGS:
            print(draw(axes, rung, trained(env_id, rung)), flush=True)
    panels[0].set_ylabel(f"return of {WINDOW} training episodes;\nmean over seeds and its 95 % interval")
    panels[0].legend(frameon=False, fontsize=8)
    save_figure(figure, IMAGE)
