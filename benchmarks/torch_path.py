"""Steps per second of training a PyTorch module on CartPole, beside Stable-Baselines3's A2C.

Both have two networks of 64-64 tanh units (policy and value), one thread, and as many steps of as many environments
between updates; each run is a process of its own, and they take turns. Stable-Baselines3 need not be installed beside
pgrad: PGRAD_PEERS_PYTHON names the Python that has it (default: this one).
"""

import logging
import os
import statistics
import subprocess
import sys
from pathlib import Path

import pgrad

ROUNDS, SECONDS = 3, 2.0
NUM_ENVS, NUM_STEPS = (8, 16, 32, 64), (5, 32)
PEERS_PYTHON = os.environ.get("PGRAD_PEERS_PYTHON", sys.executable)
PEER = Path(__file__).parent / "sb3_a2c.py"
GUESS = 15_000  # steps a second, for how long a run shall be


def ours(backend: str, num_envs: int, num_steps: int, total_steps: int) -> float:
    from torch import nn

    logging.disable()

    def module(outputs: int) -> nn.Module:
        layers = nn.Linear(4, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, outputs)
        return nn.Sequential(*layers)

    settings = {"backend": backend, "num_envs": num_envs, "num_steps": num_steps, "evaluation_episodes": 0}
    for steps in (20 * num_envs * num_steps, total_steps):
        result = pgrad.train(
            "CartPole-v1", policy=module(2), value=module(1), total_steps=steps, gae_lambda=1.0, **settings
        )
    return result.total_steps / result.seconds


def speed(command: list[str]) -> float:
    """Steps per second that a process prints."""
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(done.stdout.split()[-1])


def main() -> None:
    peer = subprocess.run([PEERS_PYTHON, "-c", "import stable_baselines3"], capture_output=True)
    if peer.returncode:
        print(f"{PEERS_PYTHON} has no stable_baselines3: name a Python that has it by PGRAD_PEERS_PYTHON")
        return
    print("| environments × steps per update | SB3 A2C | module, Gymnasium's CartPole | ratio | worst round | ", end="")
    print("module, compiled CartPole | ratio |\n|---|---|---|---|---|---|---|")
    for num_steps in NUM_STEPS:
        for num_envs in NUM_ENVS:
            shape = [str(num_envs), str(num_steps), str(int(GUESS * SECONDS) * max(1, num_envs // 16))]
            commands = [[PEERS_PYTHON, str(PEER), *shape]]
            commands += [[sys.executable, "-m", __name__, backend, *shape] for backend in ("gymnasium", "compiled")]
            rounds = [[speed(command) for command in commands] for _ in range(ROUNDS)]
            theirs, gymnasium, compiled = (statistics.median(column) for column in zip(*rounds, strict=True))
            worst = min(row[1] / row[0] for row in rounds)
            print(
                f"| {num_envs} × {num_steps} | {theirs:,.0f} | {gymnasium:,.0f} | {gymnasium / theirs:.1f} | "
                f"{worst:.1f} | {compiled:,.0f} | {compiled / theirs:.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    backend, *numbers = sys.argv[1:]
    print(ours(backend, *map(int, numbers)))
