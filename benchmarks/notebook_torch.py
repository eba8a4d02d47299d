"""The teaching notebook's own loop, in PyTorch and Gymnasium: the peer that speeds are compared with."""

import time

import gymnasium
import torch
from torch import nn

HIDDEN, LEARNING_RATE, DISCOUNT = 128, 0.01, 0.99


def train(seed: int, seconds: float) -> tuple[int, float]:
    """REINFORCE, one episode per update, for about `seconds`; returns environment steps and seconds taken."""
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    env = gymnasium.make("CartPole-v1")
    policy = nn.Sequential(nn.Linear(4, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 2))
    optimizer = torch.optim.Adam(policy.parameters(), lr=LEARNING_RATE)
    steps, began = 0, time.perf_counter()
    obs, _ = env.reset(seed=seed)
    while time.perf_counter() - began < seconds:
        log_probs, rewards, ended = [], [], False
        while not ended:
            distribution = torch.distributions.Categorical(logits=policy(torch.as_tensor(obs)))
            action = distribution.sample()
            log_probs.append(distribution.log_prob(action))
            obs, reward, terminated, truncated, _ = env.step(int(action))
            rewards.append(float(reward))
            ended = terminated or truncated
        steps += len(rewards)
        obs, _ = env.reset()
        returns, to_go = [], 0.0
        for reward in reversed(rewards):
            to_go = reward + DISCOUNT * to_go
            returns.append(to_go)
        loss = -(torch.stack(log_probs) * torch.tensor(returns[::-1])).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return steps, time.perf_counter() - began
