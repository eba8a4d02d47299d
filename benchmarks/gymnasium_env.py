"""Steps per second of training through Gymnasium's own vector CartPole, beside the same environment stepped alone."""

import statistics
import time

import gymnasium
import numpy as np

import pgrad

NUM_ENVS, STEPS = 1024, 4_000_000


def stepping_alone() -> float:
    envs = gymnasium.make_vec("CartPole-v1", num_envs=NUM_ENVS, vectorization_mode="vector_entry_point")
    envs.reset(seed=0)
    actions = np.random.default_rng(0).integers(0, 2, (1000, NUM_ENVS))
    began = time.perf_counter()
    for action in actions:
        envs.step(action)
    return actions.size / (time.perf_counter() - began)


def training(num_envs: int) -> float:
    result = pgrad.train(
        "CartPole-v1", preset="none", backend="gymnasium", num_envs=num_envs, total_steps=STEPS, evaluation_episodes=0
    )
    return result.total_steps / result.seconds


def main() -> None:
    shared = {"preset": "none", "evaluation_episodes": 0}
    pgrad.train("CartPole-v1", backend="gymnasium", total_steps=1000, **shared)  # compile or load
    rows = {
        f"Gymnasium's vector CartPole alone, random actions, {NUM_ENVS} environments": stepping_alone,
        f"training through it, actor-critic, {NUM_ENVS} environments": lambda: training(NUM_ENVS),
        "training through it, actor-critic, 128 environments": lambda: training(128),
    }
    speeds: dict[str, list[float]] = {name: [] for name in rows}
    for _ in range(3):
        for name, measure in rows.items():
            speeds[name].append(measure())
    medians = {name: statistics.median(values) for name, values in speeds.items()}
    peer = next(iter(medians.values()))
    print("| | steps/s | ratio |\n|---|---|---|")
    for name, speed in medians.items():
        print(f"| {name} | {speed:,.0f} | {speed / peer:.2f} |")
