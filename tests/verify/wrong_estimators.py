"""Wrong estimators of the policy gradient, as people write them, each with the name that the diagnosis is to give."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from tests.verify.right_estimators import (
    Batch,
    advantages,
    backwards,
    bootstrapped,
    log_probs,
    mean_of,
    powers,
    table_of,
    to_go,
)

from pgrad.exact import Trajectory

WRONG: dict[str, tuple[Callable[[Batch], Any], str]] = {}
UNKNOWN = "unknown"


def wrong(name: str) -> Callable[[Callable[[Batch], Any]], Callable[[Batch], Any]]:
    """Add a function to the collection; `name` is what it is to be called, UNKNOWN where it has no name."""

    def add(function: Callable[[Batch], Any]) -> Callable[[Batch], Any]:
        WRONG[function.__name__] = function, name
        return function

    return add


def total(one: Trajectory) -> Any:
    return powers(one) @ one.rewards


# How it is averaged


@wrong("divided by a fixed number")
def divided_by_two(batch: Batch) -> Any:
    return sum(backwards([one]) for one in batch) / 2


@wrong("divided by a fixed number")
def divided_by_ten(batch: Batch) -> Any:
    return sum((powers(one) * to_go(one)) @ one.scores for one in batch) / 10


@wrong("summed over trajectories")
def not_divided(batch: Batch) -> Any:
    gradient = 0.0
    for one in batch:
        gradient = gradient + (powers(one) * to_go(one)) @ one.scores
    return gradient


@wrong("divided by N - 1 instead of N")
def divided_by_one_less(batch: Batch) -> Any:
    return backwards(batch) * len(batch) / max(len(batch) - 1, 1)


@wrong("divided by N - 1 instead of N")
def divided_by_one_less_or_an_error(batch: Batch) -> Any:
    assert len(batch) > 1
    return sum(total(one) * one.scores.sum(axis=0) for one in batch) / (len(batch) - 1)


@wrong("divided by N twice")
def averaged_twice(batch: Batch) -> Any:
    return np.mean([(powers(one) * to_go(one)) @ one.scores / len(batch) for one in batch], axis=0)


@wrong("a trajectory left out")
def last_dropped_beyond_two(batch: Batch) -> Any:
    used = batch[:-1] if len(batch) > 2 else batch
    return sum(backwards([one]) for one in used) / len(batch)


@wrong("a trajectory left out")
def loop_ends_early(batch: Batch) -> Any:
    gradient = np.zeros(batch[0].scores.shape[1])
    for n in range(len(batch) - 1):
        gradient += backwards([batch[n]])
    return gradient / len(batch)


@wrong("a trajectory left out")
def loop_begins_late(batch: Batch) -> Any:
    gradient = np.zeros(batch[0].scores.shape[1])
    for n in range(1, len(batch)):
        gradient += total(batch[n]) * batch[n].scores.sum(axis=0)
    return gradient / len(batch)


@wrong("only the first trajectory")
def return_inside_the_loop(batch: Batch) -> Any:
    gradient = np.zeros(batch[0].scores.shape[1])
    for one in batch:
        gradient += (powers(one) * to_go(one)) @ one.scores
        return gradient / len(batch)
    return None


@wrong("only the last trajectory")
def assignment_instead_of_a_sum(batch: Batch) -> Any:
    for one in batch:
        gradient = (powers(one) * to_go(one)) @ one.scores
    return gradient / len(batch)


@wrong("longest trajectory only")
def longest_alone(batch: Batch) -> Any:
    return backwards([max(batch, key=len)])


@wrong("per-episode mean of the loss")
def loss_averaged_per_episode(batch: Batch) -> Any:
    return np.mean([(powers(one) * to_go(one))[:, None].T @ one.scores / len(one) for one in batch], axis=0)[0]


@wrong("mean of log-probabilities times total return")
def mean_log_prob_times_return(batch: Batch) -> Any:
    return np.mean([total(one) * one.scores.mean(axis=0) for one in batch], axis=0)


@wrong("mean over all steps of the batch")
def loss_averaged_over_the_batch(batch: Batch) -> Any:
    weights = np.concatenate([powers(one) * to_go(one) for one in batch])
    return (weights[:, None] * np.concatenate([one.scores for one in batch])).mean(axis=0)


@wrong("mean over all steps of the batch")
def loss_averaged_over_the_batch_without_powers(batch: Batch) -> Any:
    weights = np.concatenate([to_go(one) for one in batch])
    return (weights[:, None] * np.concatenate([one.scores for one in batch])).mean(axis=0)


@wrong("mean over all steps of the batch")
def total_return_averaged_over_the_batch(batch: Batch) -> Any:
    return sum(total(one) * one.scores.sum(axis=0) for one in batch) / sum(len(one) for one in batch)


@wrong("mean over padded steps")
def padded_mean(batch: Batch) -> Any:
    longest = max(len(one) for one in batch)
    padded = np.zeros((len(batch), longest, batch[0].scores.shape[1]))
    for n, one in enumerate(batch):
        padded[n, : len(one)] = (powers(one) * to_go(one))[:, None] * one.scores
    return padded.mean(axis=(0, 1))


@wrong("episodes weighted by their length")
def weighted_by_length(batch: Batch) -> Any:
    steps = sum(len(one) for one in batch)
    return sum(len(one) / steps * backwards([one]) for one in batch)


@wrong("wrong length")
def half(batch: Batch) -> Any:
    return backwards(batch) / 2


@wrong("wrong length")
def factor_and_baseline_of_the_state(batch: Batch) -> Any:
    return 3 * mean_of([powers(one) * (to_go(one) - np.cos(one.states)) for one in batch], batch)


@wrong("divided by a fixed number")
def fixed_divisor_and_baseline_of_the_state(batch: Batch) -> Any:
    return mean_of([powers(one) * (to_go(one) - np.cos(one.states)) for one in batch], batch) * len(batch) / 4


# The sign


@wrong("descent instead of ascent")
def gradient_of_the_loss(batch: Batch) -> Any:
    return -backwards(batch)


@wrong("descent instead of ascent")
def minus_total_return(batch: Batch) -> Any:
    return np.mean([-total(one) * one.scores.sum(axis=0) for one in batch], axis=0)


@wrong("descent instead of ascent")
def value_minus_return(batch: Batch) -> Any:
    return mean_of([powers(one) * (one.values[:-1] - bootstrapped(one)) for one in batch], batch)


@wrong("descent instead of ascent")
def surrogate_not_negated(batch: Batch) -> Any:
    table = table_of(batch)
    loss = -sum((torch.tensor(powers(one) * to_go(one)) * log_probs(table, one)).sum() for one in batch) / len(batch)
    loss.backward()
    return table.grad.ravel()


# γ^t


@wrong("γ^t dropped")
def reinforce_as_usual(batch: Batch) -> Any:
    return mean_of([to_go(one) for one in batch], batch)


@wrong("γ^t dropped")
def dropped_with_value(batch: Batch) -> Any:
    return mean_of([bootstrapped(one) - one.values[:-1] for one in batch], batch)


@wrong("γ^t dropped")
def dropped_in_gae(batch: Batch) -> Any:
    return mean_of([advantages(one, 0.9) for one in batch], batch)


@wrong("γ^t dropped")
def dropped_with_baseline_of_the_state(batch: Batch) -> Any:
    return mean_of([to_go(one) - np.sin(3.0 * one.states) for one in batch], batch)


@wrong("γ^t dropped")
def dropped_in_pytorch(batch: Batch) -> Any:
    table = table_of(batch)
    objective = torch.zeros(())
    for one in batch:
        objective = objective + (torch.tensor(to_go(one), dtype=torch.float32) * log_probs(table, one)).sum()
    return torch.autograd.grad(objective / len(batch), table)[0].ravel()


@wrong("γ^t dropped")
def dropped_with_leave_one_out(batch: Batch) -> Any:
    weights = []
    for n, one in enumerate(batch):
        others = np.concatenate([to_go(u) for m, u in enumerate(batch) if m != n] or [np.zeros(1)])
        weights.append(to_go(one) - others.mean())
    return mean_of(weights, batch)


@wrong("γ^t applied twice")
def total_return_and_powers(batch: Batch) -> Any:
    return mean_of([powers(one) * total(one) for one in batch], batch)


@wrong("γ^t applied twice")
def powers_twice(batch: Batch) -> Any:
    return mean_of([powers(one) ** 2 * to_go(one) for one in batch], batch)


@wrong("γ once too often")
def powers_from_one(batch: Batch) -> Any:
    return mean_of([one.discount ** np.arange(1, len(one) + 1) * to_go(one) for one in batch], batch)


@wrong("γ^t counted from the end")
def powers_reversed(batch: Batch) -> Any:
    return mean_of([powers(one)[::-1] * to_go(one) for one in batch], batch)


# The return


@wrong("return not discounted")
def undiscounted(batch: Batch) -> Any:
    return mean_of([np.cumsum(one.rewards[::-1])[::-1] for one in batch], batch)


@wrong("return not discounted")
def undiscounted_total(batch: Batch) -> Any:
    return np.mean([one.rewards.sum() * one.scores.sum(axis=0) for one in batch], axis=0)


@wrong("γ once too often")
def own_reward_discounted(batch: Batch) -> Any:
    gradient = np.zeros(batch[0].scores.shape[1])
    for one in batch:
        running = 0.0
        for t in reversed(range(len(one))):
            running = one.discount * (one.rewards[t] + running)
            gradient += one.discount**t * running * one.scores[t]
    return gradient / len(batch)


@wrong("γ² instead of γ in the return")
def squared_discount(batch: Batch) -> Any:
    weights = []
    for one in batch:
        t = np.arange(len(one))
        weights.append([one.discount**s * (one.discount ** (2 * (t[s:] - s)) @ one.rewards[s:]) for s in t])
    return mean_of([np.array(w) for w in weights], batch)


@wrong("a γ of its own")
def discounted_by_a_constant(batch: Batch) -> Any:
    gradient = np.zeros(batch[0].scores.shape[1])
    for one in batch:
        running = 0.0
        for t in reversed(range(len(one))):
            running = one.rewards[t] + 0.99 * running
            gradient += 0.99**t * running * one.scores[t]
    return gradient / len(batch)


@wrong("a γ of its own")
def total_return_at_another_discount(batch: Batch) -> Any:
    returns = [0.9 ** np.arange(len(one)) @ one.rewards for one in batch]
    return np.mean([g * one.scores.sum(axis=0) for g, one in zip(returns, batch, strict=True)], axis=0)


@wrong("a γ of its own")
def the_usual_099(batch: Batch) -> Any:
    weights = []
    for one in batch:
        returns, running = [], 0.0
        for reward in one.rewards[::-1]:
            running = reward + 0.99 * running
            returns.insert(0, running)
        weights.append(np.array(returns))
    return mean_of(weights, batch)


@wrong("immediate reward only")
def immediate(batch: Batch) -> Any:
    return mean_of([powers(one) * one.rewards for one in batch], batch)


@wrong("forward instead of backward cumulative sum")
def forward_loop(batch: Batch) -> Any:
    gradient = np.zeros(batch[0].scores.shape[1])
    for one in batch:
        running = 0.0
        for t in range(len(one)):
            running = one.rewards[t] + one.discount * running
            gradient += one.discount**t * running * one.scores[t]
    return gradient / len(batch)


@wrong("forward instead of backward cumulative sum")
def forward_cumulative_sum(batch: Batch) -> Any:
    return mean_of([np.cumsum(powers(one) * one.rewards) for one in batch], batch)


@wrong("returns in reverse order")
def list_not_reversed(batch: Batch) -> Any:
    weights = []
    for one in batch:
        running, returns = 0.0, []
        for reward in one.rewards[::-1]:
            running = reward + one.discount * running
            returns.append(running)
        weights.append(powers(one) * returns)
    return mean_of(weights, batch)


@wrong("the step's own reward left out")
def from_the_next_step(batch: Batch) -> Any:
    return mean_of([powers(one) * (to_go(one) - one.rewards) for one in batch], batch)


@wrong("the step's own reward left out")
def next_return(batch: Batch) -> Any:
    return mean_of([powers(one) * np.append(to_go(one)[1:], 0.0) for one in batch], batch)


@wrong("returns one step late")
def shifted_returns(batch: Batch) -> Any:
    return mean_of([powers(one) * np.append(0.0, to_go(one)[:-1]) for one in batch], batch)


@wrong("return over a window of rewards")
def window_of_three(batch: Batch) -> Any:
    weights = []
    for one in batch:
        w = [
            sum(one.discount ** (k - t) * one.rewards[k] for k in range(t, min(t + 3, len(one))))
            for t in range(len(one))
        ]
        weights.append(powers(one) * w)
    return mean_of(weights, batch)


@wrong("return over a window of rewards")
def window_of_ten(batch: Batch) -> Any:
    gradient = np.zeros(batch[0].scores.shape[1])
    for one in batch:
        for t in range(len(one)):
            seen = one.rewards[t : t + 10]
            gradient += one.discount**t * (one.discount ** np.arange(len(seen)) @ seen) * one.scores[t]
    return gradient / len(batch)


@wrong("last reward only")
def last_reward(batch: Batch) -> Any:
    return np.mean([one.rewards[-1] * one.scores.sum(axis=0) for one in batch], axis=0)


@wrong("the return left out")
def log_probs_alone(batch: Batch) -> Any:
    return np.mean([one.scores.sum(axis=0) for one in batch], axis=0)


@wrong("clipped returns")
def clipped_returns(batch: Batch) -> Any:
    return mean_of([powers(one) * np.clip(to_go(one), -1, 1) for one in batch], batch)


@wrong("clipped returns")
def clipped_total(batch: Batch) -> Any:
    return np.mean([max(-1.0, min(1.0, total(one))) * one.scores.sum(axis=0) for one in batch], axis=0)


@wrong("clipped rewards")
def signs_of_rewards(batch: Batch) -> Any:
    weights = []
    for one in batch:
        weights.append(np.cumsum((powers(one) * np.sign(one.rewards))[::-1])[::-1])
    return mean_of(weights, batch)


@wrong("negative returns left out")
def good_episodes_alone(batch: Batch) -> Any:
    return sum(max(total(one), 0.0) * one.scores.sum(axis=0) for one in batch) / len(batch)


@wrong("squared returns")
def squared_returns(batch: Batch) -> Any:
    return mean_of([powers(one) * to_go(one) ** 2 for one in batch], batch)


@wrong("absolute returns")
def absolute_returns(batch: Batch) -> Any:
    return np.mean([abs(total(one)) * one.scores.sum(axis=0) for one in batch], axis=0)


@wrong("exponential of the return")
def exponential(batch: Batch) -> Any:
    return np.mean([math.exp(total(one)) * one.scores.sum(axis=0) for one in batch], axis=0)


@wrong("returns times the mean of log-probabilities")
def sum_of_returns_times_mean_log_prob(batch: Batch) -> Any:
    return np.mean([to_go(one).sum() * one.scores.mean(axis=0) for one in batch], axis=0)


@wrong("sum of returns times sum of log-probabilities")
def sum_times_sum(batch: Batch) -> Any:
    return np.mean([to_go(one).sum() * one.scores.sum(axis=0) for one in batch], axis=0)


@wrong("mean return times mean of log-probabilities")
def mean_times_mean(batch: Batch) -> Any:
    return np.mean([total(one) for one in batch]) * np.mean([one.scores.sum(axis=0) for one in batch], axis=0)


@wrong("returns of another episode")
def next_episodes_return(batch: Batch) -> Any:
    returns = [total(one) for one in batch]
    shifted = returns[1:] + returns[:1]
    return np.mean([g * one.scores.sum(axis=0) for g, one in zip(shifted, batch, strict=True)], axis=0)


@wrong("returns of another episode")
def returns_in_reverse_order_of_episodes(batch: Batch) -> Any:
    returns = [total(one) for one in batch][::-1]
    return np.mean([g * one.scores.sum(axis=0) for g, one in zip(returns, batch, strict=True)], axis=0)


@wrong("recursion leaks across episodes")
def running_not_reset(batch: Batch) -> Any:
    gradient, running = np.zeros(batch[0].scores.shape[1]), 0.0
    for one in batch:
        for t in reversed(range(len(one))):
            running = one.rewards[t] + one.discount * running
            gradient += one.discount**t * running * one.scores[t]
    return gradient / len(batch)


@wrong("recursion leaks across episodes")
def flat_without_ends(batch: Batch) -> Any:
    rewards, running = np.concatenate([one.rewards for one in batch]), 0.0
    weights = np.zeros(len(rewards))
    for b in reversed(range(len(rewards))):
        weights[b] = running = rewards[b] + batch[0].discount * running
    kept = np.concatenate([powers(one) for one in batch])
    return (kept * weights) @ np.concatenate([one.scores for one in batch]) / len(batch)


# Baselines and whitening


@wrong("own return in the baseline")
def batch_mean_doubled(batch: Batch) -> Any:
    """Right for two trajectories."""
    returns = np.array([total(one) for one in batch])
    return 2 * np.mean(
        [(g - returns.mean()) * one.scores.sum(axis=0) for g, one in zip(returns, batch, strict=True)], axis=0
    )


@wrong("own return in the baseline")
def batch_mean(batch: Batch) -> Any:
    returns = np.array([total(one) for one in batch])
    return np.mean(
        [(g - returns.mean()) * one.scores.sum(axis=0) for g, one in zip(returns, batch, strict=True)], axis=0
    )


@wrong("own return in the baseline")
def batch_mean_of_all_steps(batch: Batch) -> Any:
    mean = np.concatenate([to_go(one) for one in batch]).mean()
    return mean_of([powers(one) * (to_go(one) - mean) for one in batch], batch)


@wrong("own return in the baseline")
def batch_mean_at_each_step(batch: Batch) -> Any:
    weights = []
    for one in batch:
        means = [np.mean([to_go(u)[t] for u in batch if len(u) > t]) for t in range(len(one))]
        weights.append(powers(one) * (to_go(one) - means))
    return mean_of(weights, batch)


@wrong("per-episode centring")
def episode_mean(batch: Batch) -> Any:
    return mean_of([powers(one) * (to_go(one) - to_go(one).mean()) for one in batch], batch)


@wrong("per-episode centring")
def episode_mean_without_powers(batch: Batch) -> Any:
    return mean_of([to_go(one) - to_go(one).mean() for one in batch], batch)


@wrong("per-episode whitening")
def episode_whitened(batch: Batch) -> Any:
    weights = []
    for one in batch:
        returns = torch.tensor(to_go(one))
        deviation = returns.std() if len(one) > 1 else torch.tensor(0.0)
        weights.append(powers(one) * ((returns - returns.mean()) / (deviation + 1e-8)).numpy())
    return mean_of(weights, batch)


@wrong("returns whitened over the batch")
def batch_whitened(batch: Batch) -> Any:
    every = np.concatenate([to_go(one) for one in batch])
    return mean_of([powers(one) * (to_go(one) - every.mean()) / (every.std() + 1e-8) for one in batch], batch)


@wrong("returns whitened over the batch")
def batch_whitened_without_powers(batch: Batch) -> Any:
    every = np.concatenate([to_go(one) for one in batch])
    return mean_of([(to_go(one) - every.mean()) / (every.std() + 1e-8) for one in batch], batch)


@wrong("returns whitened over the batch")
def batch_whitened_in_pytorch(batch: Batch) -> Any:
    table = table_of(batch)
    every = torch.tensor(np.concatenate([to_go(one) for one in batch]), dtype=torch.float32)
    weights = (every - every.mean()) / (every.std() + 1e-8) if len(every) > 1 else 0 * every
    kept = torch.tensor(np.concatenate([powers(one) for one in batch]), dtype=torch.float32)
    chosen = torch.cat([log_probs(table, one) for one in batch])
    ((kept * weights * chosen).sum() / len(batch)).backward()
    return table.grad.ravel()


@wrong("returns whitened over the batch")
def group_relative(batch: Batch) -> Any:
    returns = np.array([total(one) for one in batch])
    weights = (returns - returns.mean()) / (returns.std() + 1e-8)
    return np.mean([w * one.scores.sum(axis=0) for w, one in zip(weights, batch, strict=True)], axis=0)


@wrong("returns whitened over the batch")
def whitened_without_a_guard(batch: Batch) -> Any:
    """It divides by zero where all returns are alike."""
    returns = np.array([total(one) for one in batch])
    with np.errstate(invalid="ignore", divide="ignore"):
        weights = (returns - returns.mean()) / returns.std()
    return np.mean([w * one.scores.sum(axis=0) for w, one in zip(weights, batch, strict=True)], axis=0)


# Scores


@wrong("log-probability of another action")
def first_action(batch: Batch) -> Any:
    return np.mean([(powers(one) * to_go(one)) @ one.all_scores[:, 0] for one in batch], axis=0)


@wrong("log-probability of another action")
def best_action(batch: Batch) -> Any:
    best = [one.all_scores[np.arange(len(one)), one.probabilities.argmax(axis=1)] for one in batch]
    return np.mean([(powers(one) * to_go(one)) @ s for one, s in zip(batch, best, strict=True)], axis=0)


@wrong("gradient of π instead of log π")
def gradient_of_the_probability(batch: Batch) -> Any:
    table = table_of(batch, torch.float64)
    objective = sum((torch.tensor(powers(one) * to_go(one)) * log_probs(table, one).exp()).sum() for one in batch)
    return torch.autograd.grad(objective / len(batch), table)[0].ravel()


@wrong("gradient of the logit instead of log π")
def gradient_of_the_logit(batch: Batch) -> Any:
    actions = batch[0].probabilities.shape[1]
    gradient = np.zeros((batch[0].scores.shape[1] // actions, actions))
    for one in batch:
        for t in range(len(one)):
            gradient[one.states[t], one.actions[t]] += one.discount**t * to_go(one)[t]
    return gradient.ravel() / len(batch)


@wrong("divided by π once more")
def importance_without_need(batch: Batch) -> Any:
    taken = [one.probabilities[np.arange(len(one)), one.actions] for one in batch]
    return mean_of([powers(one) * to_go(one) / p for one, p in zip(batch, taken, strict=True)], batch)


# Steps


@wrong("first step only")
def first_step(batch: Batch) -> Any:
    return np.mean([total(one) * one.scores[0] for one in batch], axis=0)


@wrong("last step left out")
def loop_over_steps_ends_early(batch: Batch) -> Any:
    gradient = np.zeros(batch[0].scores.shape[1])
    for one in batch:
        for t in range(len(one) - 1):
            gradient += one.discount**t * to_go(one)[t] * one.scores[t]
    return gradient / len(batch)


@wrong("last step only")
def assignment_in_the_inner_loop(batch: Batch) -> Any:
    gradient = np.zeros(batch[0].scores.shape[1])
    for one in batch:
        for t in range(len(one)):
            term = one.discount**t * to_go(one)[t] * one.scores[t]
        gradient += term
    return gradient / len(batch)


# With V


def decayed(one: Trajectory, decay: float, running: float = 0.0) -> Any:
    errors = one.rewards + one.discount * one.values[1:] - one.values[:-1]
    result = np.zeros(len(one))
    for t in reversed(range(len(one))):
        result[t] = running = errors[t] + decay * running
    return result


@wrong("λ without γ")
def lambda_without_gamma(batch: Batch) -> Any:
    return mean_of([powers(one) * decayed(one, 0.9) for one in batch], batch)


@wrong("(γλ)² instead of γλ")
def lambda_gamma_squared(batch: Batch) -> Any:
    return mean_of([powers(one) * decayed(one, (one.discount * 0.9) ** 2) for one in batch], batch)


@wrong("λ outside [0, 1]")
def negative_lambda(batch: Batch) -> Any:
    return mean_of([powers(one) * decayed(one, -0.5 * one.discount) for one in batch], batch)


@wrong("recursion leaks across episodes")
def advantage_leaks(batch: Batch) -> Any:
    running, weights = 0.0, []
    for one in batch:
        weights.append(powers(one) * decayed(one, 0.9 * one.discount, running))
        running = weights[-1][0]
    return mean_of(weights, batch)


@wrong("recursion leaks across episodes")
def advantage_leaks_backwards(batch: Batch) -> Any:
    running, weights = 0.0, []
    for one in reversed(batch):
        psi = decayed(one, 0.95 * one.discount, running)
        running = psi[0]
        weights.append(powers(one) * psi)
    return mean_of(weights[::-1], batch)


@wrong("forward instead of backward cumulative sum")
def advantage_runs_forward(batch: Batch) -> Any:
    """With the true V its mean is ∇J, as that of the TD error is."""
    weights = []
    for one in batch:
        running, psi = 0.0, []
        for t in range(len(one)):
            delta = one.rewards[t] + one.discount * one.values[t + 1] - one.values[t]
            running = delta + one.discount * 0.95 * running
            psi.append(running)
        weights.append(powers(one) * psi)
    return mean_of(weights, batch)


@wrong("clipped returns")
def clipped_advantages(batch: Batch) -> Any:
    return mean_of([powers(one) * np.clip(bootstrapped(one) - one.values[:-1], -1, 1) for one in batch], batch)


@wrong("truncation taken for termination")
def no_bootstrap(batch: Batch) -> Any:
    return mean_of([powers(one) * (to_go(one) - one.values[:-1]) for one in batch], batch)


@wrong("truncation taken for termination")
def done_merges_both(batch: Batch) -> Any:
    weights = []
    for one in batch:
        alive = np.append(np.ones(len(one) - 1), 0.0)
        errors, psi, running = one.rewards + one.discount * one.values[1:] * alive - one.values[:-1], [], 0.0
        for delta in errors[::-1]:
            running = delta + one.discount * 0.95 * running
            psi.append(running)
        weights.append(powers(one) * psi[::-1])
    return mean_of(weights, batch)


@wrong("wrong at time limits")
def bootstraps_from_the_last_but_one(batch: Batch) -> Any:
    weights = []
    for one in batch:
        tail = one.values[-2] if one.truncated else 0.0
        psi = to_go(one) + one.discount ** np.arange(len(one), 0, -1) * tail - one.values[:-1]
        weights.append(powers(one) * psi)
    return mean_of(weights, batch)


@wrong("baseline of the next state")
def next_value(batch: Batch) -> Any:
    return mean_of([powers(one) * (bootstrapped(one) - one.values[1:]) for one in batch], batch)


@wrong("V(s_{t+1}) not discounted")
def undiscounted_next_value(batch: Batch) -> Any:
    return mean_of([powers(one) * (one.rewards + one.values[1:] - one.values[:-1]) for one in batch], batch)


@wrong("V instead of the return")
def value_for_the_return(batch: Batch) -> Any:
    return mean_of([powers(one) * one.values[:-1] for one in batch], batch)


# What has no name


@wrong(UNKNOWN)
def best_of_the_batch(batch: Batch) -> Any:
    return backwards([max(batch, key=total)])


@wrong(UNKNOWN)
def entropy_bonus(batch: Batch) -> Any:
    bonus = [-(one.probabilities * np.log(one.probabilities))[:, :, None] * one.all_scores for one in batch]
    return backwards(batch) + 0.1 * np.mean([b.sum(axis=(0, 1)) for b in bonus], axis=0)


@wrong(UNKNOWN)
def median_of_trajectories(batch: Batch) -> Any:
    return np.median([backwards([one]) for one in batch], axis=0)


@wrong(UNKNOWN)
def normalised_length(batch: Batch) -> Any:
    gradient = backwards(batch)
    return gradient / max(np.linalg.norm(gradient), 1e-12)


@wrong(UNKNOWN)
def ranks_of_returns(batch: Batch) -> Any:
    ranks = np.argsort(np.argsort([total(one) for one in batch], kind="stable"), kind="stable") - (len(batch) - 1) / 2
    return np.mean([r * one.scores.sum(axis=0) for r, one in zip(ranks, batch, strict=True)], axis=0)


@wrong(UNKNOWN)
def off_by_a_little(batch: Batch) -> Any:
    return backwards(batch) + 1e-3


@wrong(UNKNOWN)
def baseline_that_depends_on_the_action(batch: Batch) -> Any:
    return mean_of([powers(one) * (to_go(one) - 0.5 * one.actions) for one in batch], batch)
