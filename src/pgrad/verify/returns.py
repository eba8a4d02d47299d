"""What multiplies the score, Ψ, as people compute it, right and wrong: returns, advantages, and what becomes of them.

Functions of a trajectory return [T], those of a batch one such array for each trajectory.
"""

from collections.abc import Callable

import numpy as np

from pgrad.exact.mdp import Floats
from pgrad.exact.trajectories import Trajectory
from pgrad.verify.parts import Batch, OfBatch, OfTrajectory, at_every_step, discounted

Transform = Callable[[Floats], Floats]

# From the trajectory's own rewards


def reward_to_go(trajectory: Trajectory) -> Floats:
    """Return G_t = Σ_{k ≥ t} γ^(k-t) r_k, which is right."""
    return recursive(trajectory.rewards, trajectory.discount)


def recursive(rewards: Floats, decay: float, running: float = 0.0) -> Floats:
    """Return R_t = r_t + decay · R_{t+1} with R_T = `running`; any decay, unlike episodes.rewards_to_go."""
    result = np.empty(len(rewards))
    for t in reversed(range(len(rewards))):
        result[t] = running = rewards[t] + decay * running
    return result


def total_return(trajectory: Trajectory) -> Floats:
    """Return G_0 at every step, which is right without γ^t."""
    return at_every_step(float(reward_to_go(trajectory)[0]), trajectory)


def mean_of_log_probs(trajectory: Trajectory) -> Floats:
    """Return G_0 / T."""
    return total_return(trajectory) / len(trajectory)


def mean_return(trajectory: Trajectory) -> Floats:
    """Return Σ_k G_k / T at every step, so that the returns multiply the mean log-probability."""
    return at_every_step(float(reward_to_go(trajectory).mean()), trajectory)


def mean_discounted_return(trajectory: Trajectory) -> Floats:
    """Return Σ_k γ^k G_k / T at every step."""
    return at_every_step(float((discounted(trajectory) * reward_to_go(trajectory)).mean()), trajectory)


def sum_of_returns(trajectory: Trajectory) -> Floats:
    """Return Σ_k G_k at every step, so that the sum of returns multiplies the sum of log-probabilities."""
    return at_every_step(float(reward_to_go(trajectory).sum()), trajectory)


def sum_of_discounted_returns(trajectory: Trajectory) -> Floats:
    """Return Σ_k γ^k G_k at every step."""
    return at_every_step(float((discounted(trajectory) * reward_to_go(trajectory)).sum()), trajectory)


def centred(trajectory: Trajectory) -> Floats:
    """Return G_t minus its mean over the episode."""
    returns = reward_to_go(trajectory)
    return np.asarray(returns - returns.mean())


def centred_rewards(trajectory: Trajectory) -> Floats:
    """Return the reward-to-go of rewards minus their mean over the episode."""
    return recursive(trajectory.rewards - trajectory.rewards.mean(), trajectory.discount)


def whitened(trajectory: Trajectory, ddof: int = 0) -> Floats:
    """Return G_t minus its mean, divided by its standard deviation, both over the episode."""
    deviation = reward_to_go(trajectory).std(ddof=ddof) if len(trajectory) > ddof else 0.0
    return centred(trajectory) / deviation if deviation > 1e-12 else np.zeros(len(trajectory))


def whitened_unbiased(trajectory: Trajectory) -> Floats:
    """Return `whitened` with T - 1 in the variance, as in PyTorch's `std`."""
    return whitened(trajectory, ddof=1)


def scaled_by_largest(trajectory: Trajectory) -> Floats:
    """Return G_t divided by the largest |G_t| of the episode."""
    returns = reward_to_go(trajectory)
    return np.asarray(returns / max(np.abs(returns).max(), 1e-12))


def immediate(trajectory: Trajectory) -> Floats:
    """Return r_t."""
    return trajectory.rewards


def undiscounted(trajectory: Trajectory) -> Floats:
    """Return Σ_{k ≥ t} r_k."""
    return recursive(trajectory.rewards, 1.0)


def undiscounted_total(trajectory: Trajectory) -> Floats:
    """Return Σ_k r_k at every step."""
    return at_every_step(float(trajectory.rewards.sum()), trajectory)


def discounted_by_square(trajectory: Trajectory) -> Floats:
    """Return Σ_{k ≥ t} γ^2(k-t) r_k."""
    return recursive(trajectory.rewards, trajectory.discount**2)


def forward_running(trajectory: Trajectory) -> Floats:
    """Return R_t = r_t + γ R_{t-1}, the loop for G_t run forwards."""
    return recursive(trajectory.rewards[::-1], trajectory.discount)[::-1]


def forward_sum(trajectory: Trajectory) -> Floats:
    """Return Σ_{k ≤ t} γ^k r_k."""
    return np.cumsum(discounted(trajectory) * trajectory.rewards)


def forward_undiscounted(trajectory: Trajectory) -> Floats:
    """Return Σ_{k ≤ t} r_k."""
    return np.cumsum(trajectory.rewards)


def reversed_in_time(trajectory: Trajectory) -> Floats:
    """Return G_{T-1-t}: the list that was filled from the end was not turned round."""
    return reward_to_go(trajectory)[::-1]


def of_later_rewards(trajectory: Trajectory) -> Floats:
    """Return G_t - r_t."""
    return np.asarray(reward_to_go(trajectory) - trajectory.rewards)


def of_next_step(trajectory: Trajectory) -> Floats:
    """Return G_{t+1}."""
    return np.append(reward_to_go(trajectory)[1:], 0.0)


def of_previous_step(trajectory: Trajectory) -> Floats:
    """Return G_{t-1}, 0 at the first step."""
    return np.append(0.0, reward_to_go(trajectory)[:-1])


def window(size: int) -> OfTrajectory:
    """Return the function Σ_{t ≤ k < t + size} γ^(k-t) r_k."""

    def returns(trajectory: Trajectory) -> Floats:
        to_go = np.append(reward_to_go(trajectory), np.zeros(size))
        return np.asarray(to_go[:-size] - trajectory.discount**size * to_go[size:])

    return returns


def last_reward(trajectory: Trajectory) -> Floats:
    """Return r_{T-1} at every step."""
    return at_every_step(trajectory.rewards[-1], trajectory)


def last_reward_discounted(trajectory: Trajectory) -> Floats:
    """Return γ^(T-1-t) r_{T-1}."""
    return np.asarray(discounted(trajectory)[::-1] * trajectory.rewards[-1])


def of_transformed(transform: Transform, returns: OfTrajectory) -> OfTrajectory:
    """Return the function transform(returns)."""
    return lambda trajectory: transform(returns(trajectory))


def of_transformed_rewards(transform: Transform) -> OfTrajectory:
    """Return the reward-to-go of transform(r)."""
    return lambda trajectory: recursive(transform(trajectory.rewards), trajectory.discount)


def clipped(numbers: Floats) -> Floats:
    """Return the numbers clipped to [-1, 1]."""
    return np.clip(numbers, -1.0, 1.0)


def positive(numbers: Floats) -> Floats:
    """Return max(x, 0)."""
    return np.maximum(numbers, 0.0)


# Ψ with V(s)


def total_return_less_value(trajectory: Trajectory) -> Floats:
    """Return G_0 - V(s_t), which is right with neither more nor less than γ^t in front of V."""
    return np.asarray(total_return(trajectory) - discounted(trajectory) * trajectory.values[:-1])


def no_bootstrap(trajectory: Trajectory) -> Floats:
    """Return G_t - V(s_t) without bootstrapping: G_t ends at a time limit as if the episode terminated."""
    return np.asarray(reward_to_go(trajectory) - trajectory.values[:-1])


def value_of_next_state(trajectory: Trajectory) -> Floats:
    """Return G_t - V(s_{t+1})."""
    return np.asarray(reward_to_go(trajectory) - trajectory.values[1:])


def value_undiscounted(trajectory: Trajectory) -> Floats:
    """Return r_t + V(s_{t+1}) - V(s_t)."""
    return np.asarray(trajectory.rewards + np.diff(trajectory.values))


def td_error_of_value_alone(trajectory: Trajectory) -> Floats:
    """Return γ V(s_{t+1}) - V(s_t)."""
    return np.asarray(td_errors(trajectory) - trajectory.rewards)


def value_alone(trajectory: Trajectory) -> Floats:
    """Return V(s_t)."""
    return trajectory.values[:-1]


def td_errors(trajectory: Trajectory) -> Floats:
    """Return δ_t = r_t + γ V(s_{t+1}) - V(s_t)."""
    return np.asarray(trajectory.rewards + trajectory.discount * trajectory.values[1:] - trajectory.values[:-1])


# Ψ that mixes trajectories


OTHERS: tuple[Callable[[int, int], int], ...] = (  # (n, N) -> the trajectory whose returns n gets
    lambda n, count: (n + 1) % count,
    lambda n, count: n - 1,
    lambda n, count: count - 1 - n,
)


def of_other_trajectory(other: Callable[[int, int], int]) -> OfBatch:
    """Return G_t of another trajectory, 0 where it has no step t."""

    def paired(batch: Batch) -> list[Floats]:
        others = [reward_to_go(batch[other(n, len(batch))]) for n in range(len(batch))]
        return [np.append(r, np.zeros(len(own)))[: len(own)] for own, r in zip(batch, others, strict=True)]

    return paired


def total_of_other_trajectory(other: Callable[[int, int], int]) -> OfBatch:
    """Return G_0 of another trajectory at every step."""
    return lambda batch: [
        at_every_step(float(reward_to_go(batch[other(n, len(batch))])[0]), own) for n, own in enumerate(batch)
    ]


def leaking(sums: Callable[[Trajectory], tuple[Floats, float]], order: int) -> OfBatch:
    """Return R_t = x_t + decay · R_{t+1} that is not set back between trajectories.

    sums   gives x [T] and the decay of a trajectory
    order  1: trajectories are visited from the first to the last, each from its end; -1: from the last to the first
    """

    def returns(batch: Batch) -> list[Floats]:
        running, result = 0.0, list[Floats]()
        for trajectory in batch[::order]:
            result.append(recursive(*sums(trajectory), running))
            running = float(result[-1][0])
        return result[::order]

    return returns


def rewards_and_discount(trajectory: Trajectory) -> tuple[Floats, float]:
    """Return r and γ, the terms and the decay of G_t."""
    return trajectory.rewards, trajectory.discount


def less_mean_at_each_step(batch: Batch) -> list[Floats]:
    """Return G_t minus the mean of G_t over the trajectories that last so long, its own included."""
    returns = [reward_to_go(trajectory) for trajectory in batch]
    means = [np.mean([r[t] for r in returns if len(r) > t]) for t in range(max(map(len, returns)))]
    return [np.asarray(r - means[: len(r)]) for r in returns]


def less_mean_of_all_steps(batch: Batch) -> list[Floats]:
    """Return G_t minus its mean over all steps of the batch."""
    returns = [reward_to_go(trajectory) for trajectory in batch]
    mean = np.concatenate(returns).mean()
    return [np.asarray(r - mean) for r in returns]


def total_less_mean_total(batch: Batch) -> list[Floats]:
    """Return G_0 minus its mean over the batch, its own included."""
    mean = np.mean([reward_to_go(trajectory)[0] for trajectory in batch])
    return [np.asarray(total_return(trajectory) - mean) for trajectory in batch]


def mean_total(batch: Batch) -> list[Floats]:
    """Return the mean of G_0 over the batch at every step."""
    mean = float(np.mean([reward_to_go(trajectory)[0] for trajectory in batch]))
    return [at_every_step(mean, trajectory) for trajectory in batch]


def less_mean_total(batch: Batch) -> list[Floats]:
    """Return G_t minus the mean of G_0 over the batch, its own included."""
    mean = np.mean([reward_to_go(trajectory)[0] for trajectory in batch])
    return [np.asarray(reward_to_go(trajectory) - mean) for trajectory in batch]


def whitened_over_batch(returns: OfTrajectory, ddof: int, centre: bool = True, by_trajectory: bool = False) -> OfBatch:
    """Return the function (Ψ - mean) / deviation over the batch: over all steps, or over one number a trajectory.

    centre  False: the mean stays
    """

    def standardised(batch: Batch) -> list[Floats]:
        psi = [returns(trajectory) for trajectory in batch]
        numbers = np.array([p[0] for p in psi]) if by_trajectory else np.concatenate(psi)
        mean, deviation = numbers.mean(), numbers.std(ddof=ddof) if numbers.size > ddof else 0.0
        return [np.asarray((p - mean * centre) / deviation if deviation > 1e-12 else 0 * p) for p in psi]

    return standardised


def scaled_by_largest_of_batch(batch: Batch) -> list[Floats]:
    """Return G_t divided by the largest |G_t| of the batch."""
    largest = max(float(np.abs(reward_to_go(trajectory)).max()) for trajectory in batch)
    return [reward_to_go(trajectory) / max(largest, 1e-12) for trajectory in batch]
