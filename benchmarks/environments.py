"""Environment steps per second of training on environments other than CartPole, beside the environments stepped alone.

LunarLander-v3 (where EnvPool is installed) beside EnvPool stepping it with random actions on the same cores; compiled
environments beside Gymnasium's own, one of each, stepped with random actions in plain Python. Whatever is compared is
measured in turn, and medians of speeds and of ratios are reported. EnvPool's resets count as steps on neither side.
"""

import importlib.util
import os
import statistics
import time
from typing import Any

import numpy as np

import pgrad
from pgrad.envs.make import original_of

ROUNDS, PEER_SECONDS = 5, 1.0
LUNAR_LANDER, LUNAR_STEPS = "LunarLander-v3", 300_000
SHAPES = ((64, 32, (64,)), (128, 64, (64,)), (256, 128, (64,)), (128, 64, (64, 64)), (256, 128, (64, 64)))
COMPILED = {  # environment steps of each seed
    "CartPole-v1": 2_000_000,
    "Acrobot-v1": 500_000,
    "MountainCarContinuous-v0": 1_000_000,
    "Pendulum-v1": 1_000_000,
    "RobotArm-v0": 500_000,
    "Taxi-v4": 500_000,
}
SEEDS, NUM_STEPS, NUM_ENVS = 8, 32, (64, 256)


def cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def envpool_alone(num_envs: int) -> float:
    import envpool

    envs = envpool.make_gymnasium(LUNAR_LANDER, num_envs=num_envs, seed=0, num_threads=cores())
    actions = np.random.default_rng(0).integers(0, 4, (1000, num_envs))
    envs.reset()
    for action in actions[:100]:
        envs.step(action)
    began, steps, n = time.perf_counter(), 0, 0
    while time.perf_counter() - began < PEER_SECONDS:
        _, _, terminated, truncated, _ = envs.step(actions[n % 1000])
        steps += num_envs - int(np.count_nonzero(terminated | truncated))  # each of these is reset in the next step
        n += 1
    taken = time.perf_counter() - began
    envs.close()
    return steps / taken


def gymnasium_alone(env_id: str) -> float:
    description = original_of(pgrad.make(env_id)).description
    assert description is not None
    env = description.make()
    env.action_space.seed(0)
    actions = [env.action_space.sample() for _ in range(1000)]
    env.reset(seed=0)
    began, n = time.perf_counter(), 0
    while time.perf_counter() - began < PEER_SECONDS:
        _, _, terminated, truncated, _ = env.step(actions[n % 1000])
        if terminated or truncated:
            env.reset()
        n += 1
    return n / (time.perf_counter() - began)


def training(env_id: str, total_steps: int, **settings: Any) -> float:
    result = pgrad.train(env_id, preset="none", total_steps=total_steps, evaluation_episodes=0, **settings)
    return result.total_steps / result.seconds


def row(name: str, trained: list[float], peer: list[float], digits: int) -> str:
    ratio = statistics.median(mine / theirs for mine, theirs in zip(trained, peer, strict=True))
    return f"| {name} | {statistics.median(peer):,.0f} | {statistics.median(trained):,.0f} | {ratio:,.{digits}f} |"


def through_envpool() -> None:
    print(f"| {LUNAR_LANDER}: environments x steps, network | EnvPool alone | training | ratio |\n|---|---|---|---|")
    for num_envs, num_steps, hidden in SHAPES:
        settings: dict[str, Any] = {"num_envs": num_envs, "num_steps": num_steps, "hidden": hidden}
        training(LUNAR_LANDER, 1, **settings)  # compile or load
        peer, trained = [], []
        for _ in range(ROUNDS):
            peer.append(envpool_alone(num_envs))
            trained.append(training(LUNAR_LANDER, LUNAR_STEPS, **settings))
        network = "-".join(map(str, (8, *hidden, 4)))
        print(row(f"{num_envs} x {num_steps}, {network}", trained, peer, 2), flush=True)


def compiled() -> None:
    print(f"| {SEEDS} seeds, environments each | Gymnasium alone, one | training | ratio |\n|---|---|---|---|")
    for env_id, steps in COMPILED.items():
        training(env_id, 1, num_envs=1)  # compile or load
        peer: list[float] = []
        trained: dict[int, list[float]] = {num_envs: [] for num_envs in NUM_ENVS}
        for _ in range(ROUNDS):
            peer.append(gymnasium_alone(env_id))
            for num_envs, speeds in trained.items():
                speeds.append(training(env_id, steps, seeds=SEEDS, num_envs=num_envs, num_steps=NUM_STEPS))
        for num_envs, speeds in trained.items():
            print(row(f"{env_id}, {num_envs}", speeds, peer, 0), flush=True)


def main() -> None:
    print(f"load when begun: {os.getloadavg()[0]:.1f} on {cores()} cores\n")
    if importlib.util.find_spec("envpool"):
        through_envpool()
        print()
    else:
        print("EnvPool is not installed: nothing is stepped by it\n")
    compiled()
    print(f"\nload when done: {os.getloadavg()[0]:.1f}")
