"""Sixty right estimators of the policy gradient, as people write them: loops, NumPy, PyTorch, with V and without."""

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from pgrad.exact import Trajectory

Batch = list[Trajectory]
RIGHT: dict[str, Callable[[Batch], Any]] = {}


def right(function: Callable[[Batch], Any]) -> Callable[[Batch], Any]:
    """Add a function to the collection."""
    RIGHT[function.__name__] = function
    return function


# Loops, without V


@right
def backwards(batch: Batch) -> Any:
    total = np.zeros(batch[0].scores.shape[1])
    for one in batch:
        running = 0.0
        for t in reversed(range(len(one))):
            running = one.rewards[t] + one.discount * running
            total += one.discount**t * running * one.scores[t]
    return total / len(batch)


@right
def double_sum(batch: Batch) -> Any:
    total = np.zeros(batch[0].scores.shape[1])
    for one in batch:
        for t in range(len(one)):
            to_go = sum(one.discount ** (k - t) * one.rewards[k] for k in range(t, len(one)))
            total = total + one.discount**t * to_go * one.scores[t]
    return total / len(batch)


@right
def discounted_rewards_that_follow(batch: Batch) -> Any:
    """γ^t G_t = Σ_{k ≥ t} γ^k r_k."""
    total = np.zeros(batch[0].scores.shape[1])
    for one in batch:
        for t, k in itertools.product(range(len(one)), repeat=2):
            if k >= t:
                total = total + one.discount**k * one.rewards[k] * one.scores[t]
    return total / len(batch)


@right
def sum_of_scores_so_far(batch: Batch) -> Any:
    """Each reward credits all actions before it: Σ_k γ^k r_k Σ_{t ≤ k} ∇log π."""
    total = np.zeros(batch[0].scores.shape[1])
    for one in batch:
        trace = np.zeros_like(total)
        for k, reward in enumerate(one.rewards):
            trace = trace + one.scores[k]
            total = total + one.discount**k * reward * trace
    return total / len(batch)


@right
def total_return(batch: Batch) -> Any:
    total = np.zeros(batch[0].scores.shape[1])
    for one in batch:
        discounted_return = sum(one.discount**t * r for t, r in enumerate(one.rewards))
        for score in one.scores:
            total = total + discounted_return * score
    return total / len(batch)


@right
def list_with_insert(batch: Batch) -> Any:
    gradients = []
    for one in batch:
        returns: list[float] = []
        for reward in one.rewards[::-1]:
            returns.insert(0, reward + one.discount * (returns[0] if returns else 0.0))
        gradients.append(sum(one.discount**t * g * s for t, (g, s) in enumerate(zip(returns, one.scores, strict=True))))
    return np.mean(gradients, axis=0)


@right
def list_reversed(batch: Batch) -> Any:
    gradient = 0.0
    for one in batch:
        running, returns = 0.0, []
        for reward in reversed(one.rewards.tolist()):
            running = reward + one.discount * running
            returns.append(running)
        returns.reverse()
        for t in range(len(one)):
            gradient = gradient + one.discount**t * returns[t] * one.scores[t] / len(batch)
    return gradient


@right
def running_mean(batch: Batch) -> Any:
    mean = np.zeros(batch[0].scores.shape[1])
    for n, one in enumerate(batch):
        mean += (backwards([one]) - mean) / (n + 1)
    return mean


@right
def from_the_last_trajectory(batch: Batch) -> Any:
    return sum(backwards([one]) for one in reversed(batch)) / len(batch)


@right
def plain_lists(batch: Batch) -> Any:
    size = batch[0].scores.shape[1]
    result = [0.0] * size
    for one in batch:
        scores = one.scores.tolist()
        for t in range(len(one)):
            weight = math.fsum(one.discount**k * one.rewards[k] for k in range(t, len(one))) / len(batch)
            for p in range(size):
                result[p] += weight * scores[t][p]
    return result


@right
def recursive(batch: Batch) -> Any:
    def gradient(one: Trajectory, t: int) -> tuple[Any, Any]:
        if t == len(one):
            return 0.0, 0.0
        later, to_go = gradient(one, t + 1)
        to_go = one.rewards[t] + one.discount * to_go
        return later + one.discount**t * to_go * one.scores[t], to_go

    return sum(gradient(one, 0)[0] for one in batch) / len(batch)


# NumPy, without V


def to_go(one: Trajectory) -> Any:
    """G_t, by a matrix of powers."""
    t = np.arange(len(one))
    lag = t[None, :] - t[:, None]
    return np.where(lag >= 0, one.discount ** np.maximum(lag, 0), 0.0) @ one.rewards


def powers(one: Trajectory) -> Any:
    return one.discount ** np.arange(len(one))


def mean_of(weights: list[Any], batch: Batch) -> Any:
    return np.mean([w @ one.scores for w, one in zip(weights, batch, strict=True)], axis=0)


@right
def matrix_of_powers(batch: Batch) -> Any:
    return mean_of([powers(one) * to_go(one) for one in batch], batch)


@right
def reversed_cumulative_sum(batch: Batch) -> Any:
    return mean_of([np.cumsum((powers(one) * one.rewards)[::-1])[::-1] for one in batch], batch)


@right
def total_minus_past(batch: Batch) -> Any:
    weights = []
    for one in batch:
        discounted = powers(one) * one.rewards
        weights.append(discounted.sum() - np.concatenate([[0.0], np.cumsum(discounted)[:-1]]))
    return mean_of(weights, batch)


@right
def einsum(batch: Batch) -> Any:
    return sum(np.einsum("t,t,tp->p", powers(one), to_go(one), one.scores) for one in batch) / len(batch)


@right
def total_return_in_one_line(batch: Batch) -> Any:
    return np.mean([(powers(one) @ one.rewards) * one.scores.sum(axis=0) for one in batch], axis=0)


@right
def padded(batch: Batch) -> Any:
    longest, size = max(len(one) for one in batch), batch[0].scores.shape[1]
    rewards, scores = np.zeros((len(batch), longest)), np.zeros((len(batch), longest, size))
    for n, one in enumerate(batch):
        rewards[n, : len(one)], scores[n, : len(one)] = one.rewards, one.scores
    discounted = rewards * batch[0].discount ** np.arange(longest)
    returns = np.flip(np.flip(discounted, 1).cumsum(1), 1)
    return (returns[:, :, None] * scores).sum(axis=(0, 1)) / len(batch)


@right
def flat_with_ends(batch: Batch) -> Any:
    rewards = np.concatenate([one.rewards for one in batch])
    times = np.concatenate([np.arange(len(one)) for one in batch])
    last = np.concatenate([np.arange(len(one)) == len(one) - 1 for one in batch])
    weights, running = np.zeros(len(rewards)), 0.0
    for b in reversed(range(len(rewards))):
        running = rewards[b] + batch[0].discount * running * (not last[b])
        weights[b] = batch[0].discount ** times[b] * running
    return weights @ np.concatenate([one.scores for one in batch]) / len(batch)


@right
def single_precision(batch: Batch) -> Any:
    weights = [(powers(one) * to_go(one)).astype(np.float32) for one in batch]
    return mean_of(weights, batch).astype(np.float32)


@right
def scores_from_all_scores(batch: Batch) -> Any:
    taken = [one.all_scores[np.arange(len(one)), one.actions] for one in batch]
    return np.mean([(powers(one) * to_go(one)) @ s for one, s in zip(batch, taken, strict=True)], axis=0)


@right
def scores_from_probabilities(batch: Batch) -> Any:
    """onehot(a) - π at the state's own preferences: the policies are tables."""
    actions = batch[0].probabilities.shape[1]
    gradient = np.zeros((batch[0].scores.shape[1] // actions, actions))
    for one in batch:
        for t, weight in enumerate(powers(one) * to_go(one)):
            gradient[one.states[t]] += weight * (np.eye(actions)[one.actions[t]] - one.probabilities[t])
    return gradient.ravel() / len(batch)


@right
def works_on_copies(batch: Batch) -> Any:
    total = np.zeros_like(batch[0].scores[0])
    for one in batch:
        rewards = one.rewards.copy()
        rewards *= powers(one)
        for t in reversed(range(len(one) - 1)):
            rewards[t] += rewards[t + 1]
        total += rewards @ one.scores
    total /= len(batch)
    return total


# Baselines without V


@right
def constant_baseline(batch: Batch) -> Any:
    return mean_of([powers(one) * (to_go(one) - 1.37) for one in batch], batch)


@right
def constant_from_total_return(batch: Batch) -> Any:
    return mean_of([np.full(len(one), powers(one) @ one.rewards + 2.0) for one in batch], batch)


@right
def baseline_of_the_state(batch: Batch) -> Any:
    return mean_of([powers(one) * (to_go(one) - np.sin(17.0 * one.states + 1.0)) for one in batch], batch)


@right
def baseline_of_time(batch: Batch) -> Any:
    return mean_of([powers(one) * (to_go(one) - np.sqrt(1.0 + np.arange(len(one)))) for one in batch], batch)


@right
def baseline_of_the_past(batch: Batch) -> Any:
    weights = []
    for one in batch:
        earned = np.concatenate([[0.0], np.cumsum(one.rewards)[:-1]])
        weights.append(powers(one) * (to_go(one) - 0.5 * earned))
    return mean_of(weights, batch)


@right
def baseline_of_the_probabilities(batch: Batch) -> Any:
    return mean_of([powers(one) * (to_go(one) - one.probabilities.max(axis=1)) for one in batch], batch)


@right
def leave_one_out_by_identity(batch: Batch) -> Any:
    total = np.zeros(batch[0].scores.shape[1])
    for t in batch:
        others = [powers(u) @ u.rewards for u in batch if u is not t]
        total += (powers(t) @ t.rewards - (np.mean(others) if others else 0.0)) * t.scores.sum(axis=0)
    return total / len(batch)


@right
def leave_one_out_by_index(batch: Batch) -> Any:
    returns = [powers(one) @ one.rewards for one in batch]
    weights = []
    for n, one in enumerate(batch):
        baseline = sum(returns[m] for m in range(len(batch)) if m != n) / (len(batch) - 1)
        weights.append(np.full(len(one), returns[n] - baseline))
    return mean_of(weights, batch)


@right
def leave_one_out_by_difference(batch: Batch) -> Any:
    returns = np.array([powers(one) @ one.rewards for one in batch])
    others = (returns.sum() - returns) / max(len(batch) - 1, 1)
    return mean_of([np.full(len(one), g - b) for one, g, b in zip(batch, returns, others, strict=True)], batch)


@right
def leave_one_out_by_rescaled_mean(batch: Batch) -> Any:
    if len(batch) == 1:
        return np.zeros(batch[0].scores.shape[1])
    returns = np.array([powers(one) @ one.rewards for one in batch])
    left = (returns - returns.mean()) * len(batch) / (len(batch) - 1)
    return mean_of([np.full(len(one), g) for one, g in zip(batch, left, strict=True)], batch)


@right
def leave_one_out_of_all_steps(batch: Batch) -> Any:
    weights = []
    for n, one in enumerate(batch):
        others = np.concatenate([to_go(u) for m, u in enumerate(batch) if m != n] or [np.zeros(1)])
        weights.append(powers(one) * (to_go(one) - others.mean()))
    return mean_of(weights, batch)


@right
def leave_one_out_at_each_step(batch: Batch) -> Any:
    weights = []
    for n, one in enumerate(batch):
        others = [to_go(u) for m, u in enumerate(batch) if m != n]
        means = [np.mean([g[t] for g in others if len(g) > t] or [0.0]) for t in range(len(one))]
        weights.append(powers(one) * (to_go(one) - means))
    return mean_of(weights, batch)


@right
def leave_one_out_of_the_state(batch: Batch) -> Any:
    """The mean return of other trajectories from the same state."""
    weights = []
    for one in batch:
        others = [(s, g) for u in batch if u is not one for s, g in zip(u.states, to_go(u), strict=True)]
        means = [np.mean([g for s, g in others if s == state] or [0.0]) for state in one.states]
        weights.append(powers(one) * (to_go(one) - means))
    return mean_of(weights, batch)


@right
def neighbour_as_baseline(batch: Batch) -> Any:
    """The next trajectory's return, as SCST has the greedy one's."""
    returns = [powers(one) @ one.rewards if len(batch) > 1 else 0.0 for one in batch]
    return mean_of([powers(one) * (to_go(one) - returns[n - 1]) for n, one in enumerate(batch)], batch)


@right
def antisymmetric_pairs(batch: Batch) -> Any:
    """1/N(N-1) Σ_{i<j} (G_i - G_j) (S_i - S_j): leave-one-out, written over pairs."""
    returns, scores = [powers(one) @ one.rewards for one in batch], [one.scores.sum(axis=0) for one in batch]
    total = 0.0
    for i, j in itertools.combinations(range(len(batch)), 2):
        total = total + (returns[i] - returns[j]) * (scores[i] - scores[j])
    return total / (len(batch) * (len(batch) - 1))


@right
def optimal_constant_of_the_others(batch: Batch) -> Any:
    weights = []
    for n, one in enumerate(batch):
        others = [u for m, u in enumerate(batch) if m != n]
        squares = [np.sum(u.scores.sum(axis=0) ** 2) for u in others]
        products = [(powers(u) @ u.rewards) * square for u, square in zip(others, squares, strict=True)]
        weights.append(np.full(len(one), powers(one) @ one.rewards - sum(products) / sum(squares)))
    return mean_of(weights, batch)


# With V


def advantages(one: Trajectory, gae_lambda: float) -> Any:
    errors = one.rewards + one.discount * one.values[1:] - one.values[:-1]
    result, running = np.zeros(len(one)), 0.0
    for t in reversed(range(len(one))):
        result[t] = running = errors[t] + one.discount * gae_lambda * running
    return result


def bootstrapped(one: Trajectory) -> Any:
    """G_t with V(s_T) after truncation, where V of a terminal state is 0."""
    return to_go(one) + one.discount ** np.arange(len(one), 0, -1) * one.values[-1]


@right
def value_baseline(batch: Batch) -> Any:
    return mean_of([powers(one) * (bootstrapped(one) - one.values[:-1]) for one in batch], batch)


@right
def value_baseline_of_half_its_size(batch: Batch) -> Any:
    return mean_of([powers(one) * (bootstrapped(one) - 0.5 * one.values[:-1]) for one in batch], batch)


@right
def bootstrapped_without_baseline(batch: Batch) -> Any:
    return mean_of([powers(one) * bootstrapped(one) for one in batch], batch)


@right
def total_return_less_first_value(batch: Batch) -> Any:
    weights = [np.full(len(one), bootstrapped(one)[0] - one.values[0]) for one in batch]
    return mean_of(weights, batch)


@right
def bootstrap_by_flag(batch: Batch) -> Any:
    total = 0.0
    for one in batch:
        running = one.values[-1] if one.truncated else 0.0
        for t in reversed(range(len(one))):
            running = one.rewards[t] + one.discount * running
            total = total + one.discount**t * (running - one.values[t]) * one.scores[t]
    return total / len(batch)


@right
def td_error(batch: Batch) -> Any:
    return mean_of([powers(one) * advantages(one, 0.0) for one in batch], batch)


@right
def td_error_with_not_terminated(batch: Batch) -> Any:
    total = np.zeros(batch[0].scores.shape[1])
    for one in batch:
        for t in range(len(one)):
            alive = not (one.terminated and t == len(one) - 1)
            delta = one.rewards[t] + one.discount * one.values[t + 1] * alive - one.values[t]
            total += one.discount**t * delta * one.scores[t]
    return total / len(batch)


@right
def one_step_target_without_baseline(batch: Batch) -> Any:
    return mean_of([powers(one) * (one.rewards + one.discount * one.values[1:]) for one in batch], batch)


@right
def gae_095(batch: Batch) -> Any:
    return mean_of([powers(one) * advantages(one, 0.95) for one in batch], batch)


@right
def gae_one_third(batch: Batch) -> Any:
    return mean_of([powers(one) * advantages(one, 1 / 3) for one in batch], batch)


@right
def gae_one(batch: Batch) -> Any:
    return mean_of([powers(one) * advantages(one, 1.0) for one in batch], batch)


@right
def gae_by_its_definition(batch: Batch) -> Any:
    weights = []
    for one in batch:
        errors = [
            one.rewards[t] + one.discount * one.values[t + 1] - one.values[t]  # V of a terminal state is 0
            for t in range(len(one))
        ]
        decay = 0.8 * one.discount
        weights.append(
            [one.discount**t * sum(decay ** (k - t) * errors[k] for k in range(t, len(one))) for t in range(len(one))]
        )
    return mean_of([np.array(w) for w in weights], batch)


@right
def gae_flat_with_ends(batch: Batch) -> Any:
    errors = np.concatenate([advantages(one, 0.0) for one in batch])
    last = np.concatenate([np.arange(len(one)) == len(one) - 1 for one in batch])
    running, weights = 0.0, np.zeros(len(errors))
    for b in reversed(range(len(errors))):
        running = errors[b] + batch[0].discount * 0.9 * running * (not last[b])
        weights[b] = running
    kept = np.concatenate([powers(one) for one in batch])
    return (kept * weights) @ np.concatenate([one.scores for one in batch]) / len(batch)


@right
def gae_less_the_others_mean(batch: Batch) -> Any:
    weights = []
    for n, one in enumerate(batch):
        others = [advantages(u, 0.9).mean() for m, u in enumerate(batch) if m != n]
        weights.append(powers(one) * (advantages(one, 0.9) - (np.mean(others) if others else 0.0)))
    return mean_of(weights, batch)


@right
def three_step_advantage(batch: Batch) -> Any:
    weights = []
    for one in batch:
        psi = []
        for t in range(len(one)):
            end = min(t + 3, len(one))
            known = sum(one.discount ** (k - t) * one.rewards[k] for k in range(t, end))
            psi.append(known + one.discount ** (end - t) * one.values[end] - one.values[t])
        weights.append(powers(one) * np.array(psi))
    return mean_of(weights, batch)


@right
def mean_of_two_advantages(batch: Batch) -> Any:
    return mean_of([powers(one) * (advantages(one, 0.0) + advantages(one, 1.0)) / 2 for one in batch], batch)


@right
def zero_from_all_actions(batch: Batch) -> Any:
    """A control variate of mean zero: Σ_a π(a|s) V(s) ∇log π(a|s)."""
    zero = [np.einsum("ta,tap->p", one.probabilities * one.values[:-1, None], one.all_scores) for one in batch]
    return value_baseline(batch) + np.mean(zero, axis=0)


# PyTorch: a table of logits, a surrogate, and its gradient


def table_of(batch: Batch, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Return logits [|S|, A] that require a gradient; those of states that are not visited are 0."""
    actions = batch[0].probabilities.shape[1]
    table = np.zeros((batch[0].scores.shape[1] // actions, actions))
    for one in batch:
        table[one.states] = np.log(one.probabilities)
    return torch.tensor(table, dtype=dtype, requires_grad=True)


def log_probs(table: torch.Tensor, one: Trajectory) -> torch.Tensor:
    return torch.log_softmax(table[torch.as_tensor(one.states)], 1)[
        torch.arange(len(one)), torch.as_tensor(one.actions)
    ]


@right
def surrogate_and_backward(batch: Batch) -> Any:
    table = table_of(batch)
    loss = torch.zeros(())
    for one in batch:
        weights = torch.tensor(powers(one) * to_go(one), dtype=torch.float32)
        loss = loss - (weights * log_probs(table, one)).sum() / len(batch)
    loss.backward()
    assert table.grad is not None
    return -table.grad.ravel()


@right
def surrogate_in_double_precision(batch: Batch) -> Any:
    table = table_of(batch, torch.float64)
    objective = sum((torch.tensor(powers(one) * to_go(one)) * log_probs(table, one)).sum() for one in batch)
    return torch.autograd.grad(objective / len(batch), table)[0].ravel()


@right
def surrogate_with_categorical(batch: Batch) -> Any:
    table = table_of(batch)
    states = torch.as_tensor(np.concatenate([one.states for one in batch]))
    actions = torch.as_tensor(np.concatenate([one.actions for one in batch]))
    weights = torch.tensor(np.concatenate([powers(one) * to_go(one) for one in batch]), dtype=torch.float32)
    chosen = torch.distributions.Categorical(logits=table[states], validate_args=False).log_prob(actions)
    ((weights * chosen).sum() / len(batch)).backward()
    return table.grad.flatten().numpy()


@right
def surrogate_leave_one_out(batch: Batch) -> Any:
    table = table_of(batch)
    returns = torch.tensor([powers(one) @ one.rewards for one in batch], dtype=torch.float32)
    others = (returns.sum() - returns) / (len(batch) - 1)
    log_prob = torch.stack([log_probs(table, one).sum() for one in batch])
    ((returns - others) * log_prob).mean().backward()
    return table.grad.ravel()


@right
def surrogate_with_critic(batch: Batch) -> Any:
    table = table_of(batch)
    loss = torch.zeros(())
    for one in batch:
        rewards, values = (torch.tensor(x, dtype=torch.float32) for x in (one.rewards, one.values))
        errors = rewards + one.discount * values[1:] - values[:-1]
        running, psi = torch.zeros(()), []
        for t in reversed(range(len(one))):
            running = errors[t] + one.discount * 0.95 * running
            psi.append(one.discount**t * running)
        loss = loss - (torch.stack(psi[::-1]).detach() * log_probs(table, one)).sum()
    (loss / len(batch)).backward()
    return -table.grad.view(-1)


@right
def ratio_at_one(batch: Batch) -> Any:
    """The gradient of Σ (π / π_old) Ψ at π = π_old, as PPO has it."""
    table = table_of(batch)
    objective = torch.zeros(())
    for one in batch:
        chosen = log_probs(table, one)
        weights = torch.tensor(powers(one) * to_go(one), dtype=torch.float32)
        objective = objective + (torch.exp(chosen - chosen.detach()) * weights).sum()
    return torch.autograd.grad(objective / len(batch), table)[0].ravel()


@right
def tensors_from_numpy(batch: Batch) -> Any:
    total = torch.zeros(batch[0].scores.shape[1], dtype=torch.float64)
    for one in batch:
        discounts = one.discount ** torch.arange(len(one), dtype=torch.float64)
        returns = torch.flip(torch.cumsum(torch.flip(torch.from_numpy(one.rewards) * discounts, [0]), 0), [0])
        total += returns @ torch.from_numpy(one.scores)
    return total / len(batch)


# Unbiased, though part of what is known is left unused


@right
def first_trajectory_alone(batch: Batch) -> Any:
    return backwards(batch[:1])


@right
def last_trajectory_alone(batch: Batch) -> Any:
    for one in batch:
        gradient = backwards([one])
    return gradient


@right
def all_but_the_last(batch: Batch) -> Any:
    return backwards(batch[:-1] if len(batch) > 1 else batch)


WASTEFUL = ("first_trajectory_alone", "last_trajectory_alone", "all_but_the_last")
