"""One run on all cores beside the same run on one: environment steps a second, and whether the bits are the same.

4-128-2 with batches of 8,192 steps and more, each measured five times in turn; medians.
"""

import statistics
from typing import Any

import numpy as np

import pgrad
from pgrad.system import available_cores

RUNS: dict[str, dict[str, Any]] = {
    "reinforce, 512 whole episodes": {"algorithm": "reinforce", "num_envs": 512, "episodes_per_iteration": 512},
    "actor-critic, 256 environments x 32 steps": {"num_envs": 256, "num_steps": 32},
    "actor-critic, 1,024 environments x 32 steps": {"num_envs": 1_024, "num_steps": 32},
    "ppo, 256 environments x 32 steps, 4 minibatches": {
        "algorithm": "ppo",
        "num_envs": 256,
        "num_steps": 32,
        "num_minibatches": 4,
    },
    "trpo, 256 environments x 32 steps": {"algorithm": "trpo", "num_envs": 256, "num_steps": 32},
}
SHARED: dict[str, Any] = {"preset": "none", "hidden": (128,), "activation": "relu", "evaluation_episodes": 0, "seed": 0}


def measure(threads: int, **settings: Any) -> tuple[float, Any]:
    result = pgrad.train("CartPole-v1", threads=threads, **SHARED, **settings)
    return result.total_steps / result.seconds, result.policies[0].parameters


def main() -> None:
    cores = available_cores()
    print(f"| run | 1 thread | {cores} threads | ratio | same bits |\n|---|---|---|---|---|")
    for name, settings in RUNS.items():
        steps = 1_000_000 if settings.get("algorithm") in ("ppo", "trpo") else 4_000_000
        measure(1, **settings, total_steps=100_000)  # compile or load
        speeds: dict[int, list[float]] = {1: [], cores: []}
        parameters = {}
        for _ in range(5):
            for threads, measured in speeds.items():
                speed, parameters[threads] = measure(threads, **settings, total_steps=steps)
                measured.append(speed)
        alone, shared = (statistics.median(measured) for measured in speeds.values())
        same = "yes" if np.array_equal(*parameters.values()) else "no"
        print(f"| {name} | {alone:,.0f} | {shared:,.0f} | {shared / alone:.2f} | {same} |", flush=True)
