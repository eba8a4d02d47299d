"""REINFORCE on CartPole-v1 in plain PyTorch and Gymnasium: `python examples/cartpole_pytorch.py`."""

import gymnasium
import torch
from torch import nn

EPISODES, HIDDEN, LEARNING_RATE, DISCOUNT, SEED = 300, 128, 0.01, 0.99, 0


def collect_episode(env, policy):
    """Play one episode; return what was observed, done, and paid, step by step."""
    observed, taken, rewards = [], [], []
    obs, _ = env.reset()
    while True:
        with torch.no_grad():
            action = torch.distributions.Categorical(logits=policy(torch.as_tensor(obs))).sample().item()
        observed.append(torch.as_tensor(obs))
        taken.append(action)
        obs, reward, terminated, truncated, _ = env.step(action)
        rewards.append(float(reward))
        if terminated or truncated:
            return torch.stack(observed), torch.tensor(taken), rewards


def rewards_to_go(rewards):
    """Return G_t = r_t + γ G_{t+1} of every step."""
    returns, to_go = [], 0.0
    for reward in reversed(rewards):
        to_go = reward + DISCOUNT * to_go
        returns.insert(0, to_go)
    return torch.tensor(returns)


def update(policy, optimizer, obs, actions, rewards):
    """Take one step along Σ_t G_t ∇ log π(a_t | s_t)."""
    log_prob = torch.distributions.Categorical(logits=policy(obs)).log_prob(actions)
    optimizer.zero_grad()
    (-(rewards_to_go(rewards) * log_prob).sum()).backward()  # optimisers go downhill
    optimizer.step()


def main():
    """Train one policy, and print the mean of every 50 episodes."""
    torch.manual_seed(SEED)
    env = gymnasium.make("CartPole-v1")
    env.reset(seed=SEED)
    policy = nn.Sequential(nn.Linear(4, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 2))
    optimizer, lengths = torch.optim.Adam(policy.parameters(), lr=LEARNING_RATE), []
    for _ in range(EPISODES):
        obs, actions, rewards = collect_episode(env, policy)
        update(policy, optimizer, obs, actions, rewards)
        lengths.append(sum(rewards))
        if len(lengths) % 50 == 0:
            print(f"{len(lengths)} episodes: mean return {sum(lengths[-50:]) / 50:.1f}")


if __name__ == "__main__":
    main()
