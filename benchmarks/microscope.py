"""The gradient microscope on CartPole-v1: its speed beside PyTorch's autograd, and figures for the documentation."""

import statistics
import time
from pathlib import Path

import numpy as np
import torch

import pgrad
from pgrad.algorithms.learner import Checkpoints
from pgrad.diagnostics.along_run import RunDiagnosis
from pgrad.diagnostics.microscope import Microscope, gradient_microscope
from pgrad.diagnostics.tables import table, table_along
from pgrad.diagnostics.trajectories import rolled_out
from pgrad.policies.mlp import MLPPolicy, MLPValue
from pgrad.reports.figures import save_figure
from pgrad.reports.microscope import along_training_figure, microscope_figure

IMAGES = Path(__file__).parent.parent / "docs" / "images"
SEED, HALFWAY, EVERY = 0, 80, 30
PEER_TRAJECTORIES = 300


def torch_seconds(policy: MLPPolicy, trajectories: int) -> float:
    """One estimator's gradient of each trajectory by autograd, one thread: reward-to-go, as the theorem has it."""
    batch = next(rolled_out(pgrad.make("CartPole-v1"), policy, [trajectories], 1))
    layers: list[torch.nn.Module] = []
    for weight, bias in policy.layers:
        layer = torch.nn.Linear(weight.shape[1], weight.shape[0])
        layer.weight.data, layer.bias.data = torch.tensor(weight), torch.tensor(bias)
        layers += [layer, torch.nn.Tanh()]
    module = torch.nn.Sequential(*layers[:-1])
    parameters = list(module.parameters())
    began = time.perf_counter()
    for n in range(trajectories):
        own = np.flatnonzero(batch.trajectory == n)
        obs, action = torch.tensor(batch.obs[:, own].T), torch.tensor(batch.action[own], dtype=torch.int64)
        weight = torch.tensor(pgrad.rewards_to_go(batch.reward[own], 0.99) * 0.99 ** np.arange(own.size))
        log_prob = torch.log_softmax(module(obs), dim=1).gather(1, action[:, None])[:, 0]
        torch.autograd.grad((weight * log_prob).sum(), parameters)
    return time.perf_counter() - began


def main() -> None:
    torch.set_num_threads(1)
    seed = pgrad.train("CartPole-v1", preset="none", seed=SEED, evaluation_episodes=0).seeds[0]
    assert seed.critic is not None and seed.checkpoints is not None
    last = len(seed.history.metrics)
    print("| policy | steps in 10,000 trajectories | 19 estimators | PyTorch, one estimator | ratio |")
    print("|---|---|---|---|---|")
    for iteration in (HALFWAY, last):
        policy, critic = at(seed.policy, seed.critic, seed.checkpoints, iteration)
        gradient_microscope(policy, critic, trajectories=200)
        rounds = [gradient_microscope(policy, critic, seed=k, iteration=iteration) for k in range(3)]
        seconds = statistics.median(one.seconds for one in rounds)
        peer = torch_seconds(policy, PEER_TRAJECTORIES) / PEER_TRAJECTORIES * 10_000
        print(
            f"| iteration {iteration} | {rounds[0].steps:,} | {seconds:.2f} s | {peer:.1f} s | {peer / seconds:.0f} |"
        )
        if iteration == HALFWAY:
            print_and_draw(rounds[0])
    iterations = [k for k in seed.checkpoints.iteration.tolist() if k % EVERY == 0]
    along = [
        gradient_microscope(*at(seed.policy, seed.critic, seed.checkpoints, k), trajectories=1_000, iteration=k)
        for k in iterations
    ]
    diagnosis = RunDiagnosis("", SEED, tuple(along), "")
    print(f"\n{table_along(diagnosis)}")
    save_figure(along_training_figure(diagnosis), IMAGES / "microscope_along.png")


def at(policy: MLPPolicy, critic: MLPValue, checkpoints: Checkpoints, iteration: int) -> tuple[MLPPolicy, MLPValue]:
    kept = checkpoints.iteration.tolist()
    if iteration not in kept:
        return policy, critic
    k = kept.index(iteration)
    return (
        MLPPolicy(checkpoints.policy[k], policy.sizes, policy.activation, env=policy.env),
        MLPValue(checkpoints.critic[k], critic.sizes, critic.activation),
    )


def print_and_draw(microscope: Microscope) -> None:
    print(f"\n{table(microscope)}\n")
    save_figure(microscope_figure(microscope), IMAGES / "microscope.png")
