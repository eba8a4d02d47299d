"""How soon each rung of the ladder learns, on CartPole, LunarLander (where it can be made) and the arm.

Each rung has the settings of its own file; on the last two environments, the same network, normalisation and number of
environments for all. Returns are those of training: of policies that sample, and change meanwhile.
"""

from pathlib import Path
from typing import Any

import pgrad
from pgrad.algorithms import ALGORITHMS
from pgrad.experiments.statistics import WINDOW, mean_interval, shown
from pgrad.reports.figures import curves_of, draw_curve, new_panels, save_figure

IMAGE = Path(__file__).parent.parent / "docs" / "images" / "ladder.png"
RUNGS = [name for name in ALGORITHMS if name != "notebook"]
COLOURS = (
    "#999999",
    "#E69F00",
    "#F0E442",
    "#56B4E9",
    "#009E73",
    "#0072B2",
    "#CC79A7",
    "#D55E00",
)  # from pale to strong
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
            last = draw_curve(axes, curves_of(trained(env_id, rung)), rung, COLOURS[RUNGS.index(rung)])
            assert last is not None, "all rungs finish episodes"
            print(f"| {env_id} | `{rung}` | {last.size} | {mean_interval(last)} | {shown(last.min())} |", flush=True)
    panels[0].set_ylabel(f"return of {WINDOW} training episodes;\nmean over seeds and its 95 % interval")
    panels[0].legend(frameon=False, fontsize=8)
    save_figure(figure, IMAGE)
