"""What each rung of the ladder reaches, and how soon, on CartPole, LunarLander (where it can be made) and the arm.

Each rung has the settings of its own file; on the last two environments, the same network, normalisation and batch for
all. Frozen policies play 100 episodes in Gymnasium's own environment, the arm's uncompiled.
"""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

import pgrad
from pgrad.algorithms import ALGORITHMS
from pgrad.experiments.statistics import mean_interval, mean_interval_of_columns, shown
from pgrad.reports.figures import new_panels, save_figure, smoothed_curves

IMAGE = Path(__file__).parent.parent / "docs" / "images" / "ladder.png"
RUNGS = [name for name in ALGORITHMS if name != "notebook"]
# Okabe and Ito's colours, which colour-blind readers tell apart.
COLOURS = ("#999999", "#E69F00", "#F0E442", "#56B4E9", "#009E73", "#0072B2", "#CC79A7", "#D55E00")
COMMON = {"hidden": (64, 64), "normalize_obs": True, "normalize_rewards": True, "num_envs": 16}
ENVS: dict[str, dict[str, Any]] = {
    "CartPole-v1": {"seeds": "100-129", "total_steps": 100_000},
    "LunarLander-v3": {"seeds": "100-109", "total_steps": 300_000, **COMMON},
    "RobotArm-v0": {"seeds": "100-129", "total_steps": 500_000, **COMMON},
}
NUM_STEPS = 128  # of each environment in a batch, for the rungs that do not wait for whole episodes


def trained(env_id: str, rung: str) -> pgrad.Result:
    """Train a rung on an environment's seeds."""
    settings = dict(ENVS[env_id])
    if "hidden" in settings and ALGORITHMS[rung].get("episodes_per_iteration") is None:
        settings["num_steps"] = NUM_STEPS
    return pgrad.train(env_id, algorithm=rung, preset="none", **settings)


def row(env_id: str, rung: str, result: pgrad.Result) -> str:
    """Return the table's row for a rung: returns of sampling and of greedy policies, and their worst seeds."""
    cells = [env_id, f"`{rung}`", str(len(result.seeds))]
    greedy = np.array([pgrad.evaluate(policy, greedy=True).returns.mean() for policy in result.policies])
    for returns in (result.mean_returns, greedy):
        cells += [str(mean_interval(returns)), shown(returns.min())]
    return f"| {' | '.join(cells)} |"


def draw(axes: Axes, rung: str, result: pgrad.Result) -> None:
    """Add a rung's curve: the mean over seeds of 50-episode running means, and its 95 % interval."""
    logs = [seed.history.episodes for seed in result.seeds]
    grid, curves = smoothed_curves([log.total_steps for log in logs], [log.episode_return for log in logs])
    mean, low, high = mean_interval_of_columns(curves)
    colour = COLOURS[RUNGS.index(rung)]
    axes.plot(grid, mean, color=colour, linewidth=1.6, label=rung)
    axes.fill_between(grid, low, high, color=colour, alpha=0.2, linewidth=0)


def main() -> None:
    """Print the table and draw the figure."""
    print("| environment | rung | seeds | sampled | worst seed | greedy | worst seed |\n|---|---|---|---|---|---|---|")
    made = []
    for env_id in ENVS:
        try:
            pgrad.make(env_id)
            made.append(env_id)
        except pgrad.EnvError as error:
            print(f"| {env_id} | | | | | | {error} |")
    figure, panels = new_panels(1.0 + 4.0 * len(made), 4.4, 1, len(made))
    for axes, env_id in zip(panels, made, strict=True):
        axes.set_title(env_id, loc="left")
        axes.set_xlabel("environment steps")
        axes.xaxis.set_major_formatter(lambda x, _: f"{x / 1000:g}k")
        for rung in RUNGS:
            result = trained(env_id, rung)
            print(row(env_id, rung, result), flush=True)
            draw(axes, rung, result)
    panels[0].set_ylabel("episode return, 50-episode running mean;\nmean over seeds and its 95 % interval")
    panels[0].legend(frameon=False, fontsize=8)
    save_figure(figure, IMAGE)
