"""What frozen policies are worth with each environment's preset, over seeds on which no setting was chosen.

Seeds 0 to 29, LunarLander (where it can be made) 0 to 9; presets say on which seeds they were tuned. Each policy plays
100 episodes in Gymnasium's own environment, the robot arm's uncompiled.
"""

import numpy as np

import pgrad
from pgrad.experiments.statistics import counted, mean_interval, shown
from pgrad.presets.preset import GENERAL, read, shipped

SLOW = "LunarLander"  # stepped by Gymnasium or EnvPool
MORE_SEEDS, SEEDS = "100-129", {True: 10, False: 30}
LOOKED_AT = ("CartPole-v1", "MountainCarContinuous-v0")  # earlier settings were, on seeds 0 to 29


def rows(env_id: str) -> list[str]:
    """Train once; a row for the policies that sample, and one for the greedy ones."""
    seeds: int | str = SEEDS[env_id.startswith(SLOW)]
    if env_id in LOOKED_AT:
        seeds = MORE_SEEDS
    result = pgrad.train(env_id, preset=env_id, seeds=seeds)
    greedy = np.array([pgrad.evaluate(policy, greedy=True).returns.mean() for policy in result.policies])
    lines, threshold = [], result.env.reward_threshold
    for kind, returns in (("sampled", result.mean_returns), ("greedy", greedy)):
        solved = ""
        if threshold is not None:
            solved = f"{counted(int((returns >= threshold).sum()), returns.size)} (≥ {threshold:g})"
        steps, seconds = f"{result.config.total_steps:,}", f"{result.seconds:.0f}"
        mean, worst = mean_interval(returns), shown(returns.min())
        lines.append(f"| {' | '.join(map(str, (env_id, returns.size, steps, seconds, kind, mean, worst, solved)))} |")
    return lines


def main() -> None:
    print("| | seeds | steps each | seconds, all | policy | mean return | worst seed | solved |")
    print("|---|---|---|---|---|---|---|---|")
    for env_id in (name for name in shipped() if name != GENERAL):
        try:
            pgrad.make(env_id)
        except pgrad.EnvError as error:
            print(f"| {env_id} | | | | | | | {error} |")
        else:
            print("\n".join(rows(env_id)), flush=True)
    print()
    for name in shipped():
        print(f"    {read(name)}")
