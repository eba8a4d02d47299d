"""What frozen policies are worth with each environment's preset, over seeds on which no setting was chosen.

Seeds 0 to 29, LunarLander (where it can be made) 0 to 9; presets say on which seeds they were tuned. Each policy plays
100 episodes in Gymnasium's own environment, the robot arm's uncompiled.
"""

import pgrad
from pgrad.experiments.statistics import counted, shown
from pgrad.presets.preset import GENERAL, read, shipped

SLOW = "LunarLander"  # stepped by Gymnasium or EnvPool
MORE_SEEDS, SEEDS = "100-129", {True: 10, False: 30}


def row(env_id: str) -> str:
    seeds: int | str = SEEDS[env_id.startswith(SLOW)]
    if env_id == "CartPole-v1":
        seeds = MORE_SEEDS  # its first settings were looked at on seeds 0 to 9
    result = pgrad.train(env_id, preset=env_id, seeds=seeds)
    solved, count = result.solved(), len(result.seeds)
    threshold = "" if solved is None else f"{counted(solved, count)} (≥ {result.env.reward_threshold:g})"
    greedy = [pgrad.evaluate(policy, greedy=True).returns.mean() for policy in result.policies]
    mean, worst = result.mean(), shown(result.mean_returns.min())
    columns = (env_id, count, f"{result.config.total_steps:,}", mean, shown(sum(greedy) / count), worst, threshold)
    return f"| {' | '.join(map(str, columns))} |"


def main() -> None:
    print("| | seeds | steps each | mean return, sampled | greedy | worst seed, sampled | solved, sampled |")
    print("|---|---|---|---|---|---|---|")
    for env_id in (name for name in shipped() if name != GENERAL):
        try:
            pgrad.make(env_id)
        except pgrad.EnvError as error:
            print(f"| {env_id} | | | | | | {error} |")
        else:
            print(row(env_id), flush=True)
    print()
    for name in shipped():
        print(f"    {read(name)}")
