"""Environment steps per second of the whole training loop on CartPole: rollout, returns, gradient, Adam.

30 runs on all cores; each shape is measured three times with the PyTorch notebook's loop in between, and the medians
are reported.
"""

import statistics
from typing import Any

import pgrad
from benchmarks import notebook_torch

RUNS = 30
LARGE_BATCH: dict[str, Any] = {
    "algorithm": "reinforce",
    "activation": "relu",
    "num_envs": 512,
    "episodes_per_iteration": 512,
    "learning_rate": 0.003,
}
SHAPES = (
    ("4-128-2", (128,), 4_000_000),
    ("4-64-2", (64,), 6_000_000),
    ("4-64-64-2", (64, 64), 1_000_000),
)


def measure(runs: int, **settings: Any) -> float:
    result = pgrad.train("CartPole-v1", preset="none", seeds=runs, evaluation_episodes=0, **settings)
    return result.total_steps / result.seconds


def main() -> None:
    measure(1, **LARGE_BATCH, total_steps=1000)  # compile or load
    speeds: dict[str, list[float]] = {name: [] for name, _, _ in SHAPES}
    one_run, actor_critic, torch_speeds = [], [], []
    for _ in range(3):
        for name, hidden, total in SHAPES:
            speeds[name].append(measure(RUNS, **LARGE_BATCH, hidden=hidden, total_steps=total))
        one_run.append(measure(1, **LARGE_BATCH, hidden=(128,), total_steps=4_000_000))
        actor_critic.append(measure(RUNS))
        steps, seconds = notebook_torch.train(0, 4.0)
        torch_speeds.append(steps / seconds)
    peer = statistics.median(torch_speeds)
    print("| loop | steps/s | ratio |\n|---|---|---|")
    print(f"| the notebook's loop in PyTorch, one run | {peer:,.0f} | 1 |")
    rows = [(f"reinforce {name}, 30 runs", values) for name, values in speeds.items()]
    rows += [("reinforce 4-128-2, one run", one_run), ("the actor-critic (4 environments), 30 runs", actor_critic)]
    for name, values in rows:
        middle = statistics.median(values)
        print(f"| {name} | {middle:,.0f} | {middle / peer:,.0f} |")
