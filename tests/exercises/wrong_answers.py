"""Wrong answers to the exercises as learners write them, with the name that the checker must give each."""

# ruff: noqa: B905, NPY002, RET503, RET504
import math
import random
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch

from pgrad.exercises.verdict import UNKNOWN

Function = Callable[..., Any]


class Wrong(NamedTuple):
    exercise: str
    mistake: str
    function: Function


WRONG: dict[str, Wrong] = {}


def wrong(exercise: str, mistake: str) -> Callable[[Function], Function]:
    def add(function: Function) -> Function:
        WRONG[function.__name__] = Wrong(exercise, mistake, function)
        return function

    return add


def softmax(h: Any) -> Any:
    e = np.exp(h - np.max(h))
    return e / e.sum()


# temperature_softmax

TEMPERATURE = "temperature_softmax"


@wrong(TEMPERATURE, "the largest preference is not subtracted")
def naive_numpy(preferences, temperature=1.0):
    scaled = preferences / temperature
    return np.exp(scaled) / np.sum(np.exp(scaled))


@wrong(TEMPERATURE, "the largest preference is not subtracted")
def naive_loop(preferences, temperature=1.0):
    exps = []
    for p in preferences:
        exps.append(math.exp(p / temperature))
    total = sum(exps)
    return [e / total for e in exps]


@wrong(TEMPERATURE, "multiplied by τ")
def times_tau(preferences, temperature=1.0):
    z = preferences * temperature
    z = z - z.max()
    e = np.exp(z)
    return e / e.sum()


@wrong(TEMPERATURE, "multiplied by τ")
def times_tau_naive(preferences, temperature=1.0):
    e = [math.exp(temperature * p) for p in preferences]
    return np.array(e) / sum(e)


@wrong(TEMPERATURE, "τ changes nothing")
def tau_forgotten(preferences, temperature=1.0):
    preferences = preferences - np.max(preferences)
    return np.exp(preferences) / np.exp(preferences).sum()


@wrong(TEMPERATURE, "τ changes nothing")
def tau_forgotten_torch(preferences, temperature=1.0):
    return torch.softmax(torch.tensor(preferences), dim=0).numpy()


@wrong(TEMPERATURE, "τ changes nothing")
def tau_cancels(preferences, temperature=1.0):
    e = np.exp(preferences) / temperature
    return e / np.sum(e)


@wrong(TEMPERATURE, "τ changes nothing")
def tau_cancels_safely(preferences, temperature=1.0):
    e = np.exp(preferences - preferences.max()) / temperature
    return e / np.sum(e)


@wrong(TEMPERATURE, "divided by τ after the softmax")
def divided_after(preferences, temperature=1.0):
    shifted = preferences - preferences.max()
    probabilities = np.exp(shifted) / np.exp(shifted).sum()
    return probabilities / temperature


@wrong(TEMPERATURE, "τ squared")
def tau_squared(preferences, temperature=1.0):
    z = preferences / temperature
    z = (z - z.max()) / temperature
    return np.exp(z) / np.exp(z).sum()


@wrong(TEMPERATURE, "the largest is subtracted before dividing by τ")
def largest_of_unscaled(preferences, temperature=1.0):
    e = np.exp(preferences / temperature - np.max(preferences))
    return e / e.sum()


@wrong(TEMPERATURE, "a sigmoid in place of the softmax")
def sigmoid(preferences, temperature=1.0):
    return 1.0 / (1.0 + np.exp(-preferences / temperature))


@wrong(TEMPERATURE, "an ε-greedy mixture")
def epsilon_greedy(preferences, temperature=1.0):
    n = len(preferences)
    epsilon = min(temperature, 1.0)
    probabilities = np.ones(n) * epsilon / n
    probabilities[np.argmax(preferences)] += 1 - epsilon
    return probabilities


@wrong(TEMPERATURE, "not normalised")
def not_normalised(preferences, temperature=1.0):
    z = preferences / temperature
    return np.exp(z - z.max())


@wrong(TEMPERATURE, "input changed in place")
def in_place(preferences, temperature=1.0):
    preferences /= temperature
    preferences -= preferences.max()
    np.exp(preferences, out=preferences)
    return preferences / preferences.sum()


@wrong(TEMPERATURE, "divided by the number of actions")
def mean_for_sum(preferences, temperature=1.0):
    z = preferences / temperature
    e = np.exp(z - z.max())
    return e / e.mean()


@wrong(TEMPERATURE, "no exponential")
def no_exponential(preferences, temperature=1.0):
    scaled = [p / temperature for p in preferences]
    return [s / sum(scaled) for s in scaled]


@wrong(TEMPERATURE, "log π in place of π")
def log_softmax_returned(preferences, temperature=1.0):
    return torch.log_softmax(torch.as_tensor(preferences) / temperature, dim=-1)


@wrong(TEMPERATURE, "the sign of the preferences is reversed")
def sign_of_exponent(preferences, temperature=1.0):
    e = np.exp(-(preferences - preferences.min()) / temperature)
    return e / e.sum()


@wrong(TEMPERATURE, "argmax in place of probabilities")
def one_hot(preferences, temperature=1.0):
    result = [0.0] * len(preferences)
    result[int(np.argmax(preferences))] = 1.0
    return result


@wrong(TEMPERATURE, "wrong shape")
def best_action(preferences, temperature=1.0):
    return int(np.argmax(preferences / temperature))


@wrong(TEMPERATURE, "nothing returned")
def forgot_to_return(preferences, temperature=1.0):
    z = preferences / temperature
    probabilities = np.exp(z - z.max())
    probabilities /= probabilities.sum()


@wrong(TEMPERATURE, UNKNOWN)
def hard_coded(preferences, temperature=1.0):
    return np.array([0.63, 0.23, 0.14])[: len(preferences)] if len(preferences) < 4 else np.ones(len(preferences)) / 3


# softmax_score

SCORE = "softmax_score"


@wrong(SCORE, "π - onehot: the sign is reversed")
def score_sign(preferences, action, temperature=1.0):
    p = softmax(preferences / temperature)
    p[action] -= 1
    return p / temperature


@wrong(SCORE, "no division by τ")
def score_without_tau(preferences, action, temperature=1.0):
    grad = -softmax(preferences / temperature)
    grad[action] += 1
    return grad


@wrong(SCORE, "the score of another action")
def score_of_best(preferences, action, temperature=1.0):
    grad = -softmax(preferences / temperature)
    grad[np.argmax(preferences)] += 1
    return grad / temperature


@wrong(SCORE, "onehot alone")
def score_onehot(preferences, action, temperature=1.0):
    return [1.0 if k == action else 0.0 for k in range(len(preferences))]


@wrong(SCORE, "∇π in place of ∇log π")
def score_of_probability(preferences, action, temperature=1.0):
    h = torch.tensor(preferences, requires_grad=True)
    torch.softmax(h / temperature, dim=0)[action].backward()
    return h.grad


@wrong(SCORE, "π at the wrong temperature")
def score_at_one(preferences, action, temperature=1.0):
    return (np.eye(len(preferences))[action] - softmax(preferences)) / temperature


@wrong(SCORE, "multiplied by τ")
def score_times_tau(preferences, action, temperature=1.0):
    return (np.eye(len(preferences))[action] - softmax(preferences / temperature)) * temperature


@wrong(SCORE, "log π in place of its gradient")
def score_is_log(preferences, action, temperature=1.0):
    return np.log(softmax(preferences / temperature))


# sample_action

SAMPLE = "sample_action"


@wrong(SAMPLE, "argmax in place of a draw")
def greedy(preferences, rng):
    p = softmax(preferences)
    a = int(p.argmax())
    return a, math.log(p[a])


@wrong(SAMPLE, "log π of another action")
def draws_twice(preferences, rng):
    p = softmax(preferences)
    return rng.choice(len(p), p=p), np.log(p[rng.choice(len(p), p=p)])


@wrong(SAMPLE, "log π of another action")
def log_of_best(preferences):
    p = softmax(preferences)
    return random.choices(range(len(p)), weights=p)[0], np.log(p.max())


@wrong(SAMPLE, "the log of a rounded π")
def rounded(preferences, rng):
    p = softmax(preferences)
    a = rng.choice(len(p), p=p)
    return a, np.log(p.round(3)[a])


@wrong(SAMPLE, "softmax twice")
def softmax_twice(preferences):
    p = torch.softmax(torch.as_tensor(preferences), dim=0)
    d = torch.distributions.Categorical(logits=p)
    a = d.sample()
    return a, d.log_prob(a)


@wrong(SAMPLE, "π in place of log π")
def not_log(preferences, rng):
    p = softmax(preferences)
    a = rng.choice(len(p), p=p)
    return a, p[a]


@wrong(SAMPLE, "all actions equally often")
def uniform(preferences, rng):
    p = softmax(preferences)
    a = rng.integers(len(p))
    return a, np.log(p[a])


@wrong(SAMPLE, "-log π in place of log π")
def negative_log(preferences, rng):
    p = softmax(preferences)
    a = np.random.choice(len(p), p=p)
    return a, -np.log(p[a])


@wrong(SAMPLE, "the same draw each time")
def seeded_inside(preferences, rng):
    rng = np.random.default_rng(0)
    p = softmax(preferences)
    a = rng.choice(len(p), p=p)
    return a, np.log(p[a])


@wrong(SAMPLE, "wrong shape")
def only_the_action(preferences, rng):
    return rng.choice(len(preferences), p=softmax(preferences))


# rewards_to_go

TO_GO = "rewards_to_go"


@wrong(TO_GO, "forward instead of backward cumulative sum")
def forwards(rewards, discount):
    out, running = [], 0
    for r in rewards:
        running = r + discount * running
        out.append(running)
    return out


@wrong(TO_GO, "γ once too often")
def gamma_too_often(rewards, discount):
    out, running = [], 0
    for r in reversed(rewards):
        running = discount * (r + running)
        out.insert(0, running)
    return out


@wrong(TO_GO, "the total return at every step")
def total_everywhere(rewards, discount):
    g = sum(discount**t * r for t, r in enumerate(rewards))
    return [g] * len(rewards)


@wrong(TO_GO, "γ is not used")
def no_gamma(rewards, discount):
    return np.cumsum(rewards[::-1])[::-1]


@wrong(TO_GO, "the list is reversed")
def reversed_list(rewards, discount):
    out, running = [], 0
    for r in rewards[::-1]:
        running = r + discount * running
        out.append(running)
    return out


@wrong(TO_GO, "the step's own reward left out")
def off_by_one(rewards, discount):
    out = np.zeros(len(rewards))
    for t in range(len(rewards)):
        for k in range(t + 1, len(rewards)):
            out[t] += discount ** (k - t - 1) * rewards[k]
    return out


@wrong(TO_GO, "the step's own reward left out")
def running_before_adding(rewards, discount):
    out, running = [0.0] * len(rewards), 0.0
    for t in range(len(rewards) - 1, -1, -1):
        out[t] = discount * running
        running = rewards[t] + discount * running
    return out


@wrong(TO_GO, "γ counted from the start of the episode")
def gamma_from_start(rewards, discount):
    return [sum(discount**k * rewards[k] for k in range(t, len(rewards))) for t in range(len(rewards))]


@wrong(TO_GO, "immediate reward only")
def rewards_themselves(rewards, discount):
    return list(rewards)


@wrong(TO_GO, "one step ahead only")
def next_reward_only(rewards, discount):
    later = rewards[1:] + [0.0]
    return [r + discount * n for r, n in zip(rewards, later)]


@wrong(TO_GO, "the last reward left out")
def range_ends_early(rewards, discount):
    n = len(rewards) - 1
    return [sum(discount ** (k - t) * rewards[k] for k in range(t, n)) for t in range(n)] + [0.0]


@wrong(TO_GO, "input changed in place")
def to_go_in_place(rewards, discount):
    for t in range(len(rewards) - 2, -1, -1):
        rewards[t] += discount * rewards[t + 1]
    return rewards


@wrong(TO_GO, "wrong shape")
def to_go_is_one_number(rewards, discount):
    return sum(discount**t * r for t, r in enumerate(rewards))


# theorem_row

ROW = "theorem_row"


@wrong(ROW, "the dynamics are left out of the probability")
def row_without_dynamics(action_probs, transition_probs, scores, total_return):
    p = 1
    for x in action_probs:
        p *= x
    return p * total_return * sum(scores)


@wrong(ROW, "the dynamics are kept in ∇log p(ω)")
def row_with_log_dynamics(action_probs, transition_probs, scores, total_return):
    p = np.prod(action_probs) * np.prod(transition_probs)
    return p * total_return * (sum(scores) + sum(math.log(x) for x in transition_probs))


@wrong(ROW, "the probability squared")
def row_with_gradient_of_pi(action_probs, transition_probs, scores, total_return):
    p = np.prod(action_probs) * np.prod(transition_probs)
    return p * total_return * sum(pi * s for pi, s in zip(action_probs, scores))


@wrong(ROW, "log p in place of p")
def row_with_log_p(action_probs, transition_probs, scores, total_return):
    log_p = np.log(action_probs).sum() + np.log(transition_probs).sum()
    return log_p * total_return * np.sum(scores)


@wrong(ROW, "the product of the scores")
def row_with_product(action_probs, transition_probs, scores, total_return):
    value = total_return
    for p, d, s in zip(action_probs, transition_probs, scores):
        value *= p * d * s
    return value


@wrong(ROW, "the row of J in place of that of ∇J")
def row_of_performance(action_probs, transition_probs, scores, total_return):
    return math.prod(action_probs) * math.prod(transition_probs) * total_return


# estimate_policy_gradient

ESTIMATE = "estimate_policy_gradient"


@wrong(ESTIMATE, "mean of log-probabilities times total return")
def mean_over_steps(log_probs, returns):
    return np.mean([np.mean(lp) * g for lp, g in zip(log_probs, returns)])


@wrong(ESTIMATE, "summed over trajectories")
def no_average(log_probs, returns):
    gradient = 0
    for i in range(len(returns)):
        gradient += sum(log_probs[i]) * returns[i]
    return gradient


@wrong(ESTIMATE, "divided by N - 1 instead of N")
def n_minus_one(log_probs, returns):
    total = sum(g * sum(lp) for lp, g in zip(log_probs, returns))
    return total / max(len(returns) - 1, 1)


@wrong(ESTIMATE, "divided by a fixed number")
def always_two(log_probs, returns):
    return sum(g * sum(lp) for lp, g in zip(log_probs, returns)) / 2


@wrong(ESTIMATE, "mean over all steps of the batch")
def over_all_steps(log_probs, returns):
    total, count = 0.0, 0
    for lp, g in zip(log_probs, returns):
        for x in lp:
            total += x * g
            count += 1
    return total / count


@wrong(ESTIMATE, "mean return times mean of log-probabilities")
def product_of_means(log_probs, returns):
    return np.mean([sum(lp) for lp in log_probs]) * np.mean(returns)


@wrong(ESTIMATE, "descent instead of ascent")
def as_a_loss(log_probs, returns):
    loss = [-sum(lp) * g for lp, g in zip(log_probs, returns)]
    return sum(loss) / len(loss)


@wrong(ESTIMATE, "the return left out")
def returns_forgotten(log_probs, returns):
    return sum(sum(lp) for lp in log_probs) / len(returns)


@wrong(ESTIMATE, "probabilities in place of log-probabilities")
def exp_of_each(log_probs, returns):
    return np.mean([np.exp(lp).sum() * g for lp, g in zip(log_probs, returns)])


@wrong(ESTIMATE, "the product of the probabilities")
def product_of_pi(log_probs, returns):
    total = 0.0
    for lp, g in zip(log_probs, returns):
        p = 1.0
        for x in lp:
            p *= math.exp(x)
        total += p * g
    return total / len(returns)


@wrong(ESTIMATE, "the product of the log-probabilities")
def product_of_logs(log_probs, returns):
    return sum(math.prod(lp) * g for lp, g in zip(log_probs, returns)) / len(returns)


@wrong(ESTIMATE, "first step only")
def first_step(log_probs, returns):
    return sum(lp[0] * g for lp, g in zip(log_probs, returns)) / len(returns)


@wrong(ESTIMATE, "last step only")
def last_step(log_probs, returns):
    total = 0.0
    for lp, g in zip(log_probs, returns):
        for x in lp:
            s = x
        total += s * g
    return total / len(returns)


@wrong(ESTIMATE, "only the first trajectory")
def return_in_loop(log_probs, returns):
    for lp, g in zip(log_probs, returns):
        gradient = sum(lp) * g
        return gradient / len(returns)


@wrong(ESTIMATE, "only the last trajectory")
def assigned_in_loop(log_probs, returns):
    for i in range(len(log_probs)):
        gradient = sum(log_probs[i]) * returns[i]
    return gradient / len(log_probs)


@wrong(ESTIMATE, "own return in the baseline")
def centred(log_probs, returns):
    b = sum(returns) / len(returns)
    return sum((g - b) * sum(lp) for lp, g in zip(log_probs, returns)) / len(returns)


@wrong(ESTIMATE, "returns whitened over the batch")
def whitened(log_probs, returns):
    g = torch.tensor(returns)
    g = (g - g.mean()) / (g.std(unbiased=False) + 1e-8)
    return sum(torch.tensor(lp).sum() * x for lp, x in zip(log_probs, g)) / len(g)


@wrong(ESTIMATE, "absolute returns")
def absolute(log_probs, returns):
    return np.mean([sum(lp) * abs(g) for lp, g in zip(log_probs, returns)])


@wrong(ESTIMATE, "negative returns left out")
def good_ones_only(log_probs, returns):
    return sum(sum(lp) * g for lp, g in zip(log_probs, returns) if g > 0) / len(returns)


@wrong(ESTIMATE, "a constant, whatever the input")
def the_example(log_probs, returns):
    return -2.0


@wrong(ESTIMATE, "only for episodes of one length")
def as_a_table(log_probs, returns):
    return (np.array(log_probs).sum(axis=1) * np.array(returns)).mean()


@wrong(ESTIMATE, "only for episodes of one length")
def as_a_tensor(log_probs, returns):
    return (torch.tensor(log_probs).sum(1) * torch.tensor(returns)).mean()


@wrong(ESTIMATE, "two steps assumed")
def two_steps(log_probs, returns):
    return sum((lp[0] + lp[1]) * g for lp, g in zip(log_probs, returns)) / len(returns)


@wrong(ESTIMATE, "two episodes assumed")
def two_episodes(log_probs, returns):
    return (sum(log_probs[0]) * returns[0] + sum(log_probs[1]) * returns[1]) / 2


@wrong(ESTIMATE, "wrong shape")
def one_for_each(log_probs, returns):
    return [sum(lp) * g for lp, g in zip(log_probs, returns)]


@wrong(ESTIMATE, "returns of another episode")
def misaligned(log_probs, returns):
    return sum(sum(lp) * returns[i - 1] for i, lp in enumerate(log_probs)) / len(returns)


@wrong(ESTIMATE, "a constant is added")
def with_an_entropy_bonus(log_probs, returns):
    return sum(sum(lp) * g for lp, g in zip(log_probs, returns)) / len(returns) + 0.3


@wrong(ESTIMATE, "squared returns")
def squared(log_probs, returns):
    return sum(sum(lp) * g**2 for lp, g in zip(log_probs, returns)) / len(returns)


@wrong(ESTIMATE, "divided by N twice")
def divided_in_the_loop(log_probs, returns):
    n, total = len(returns), 0.0
    for lp, g in zip(log_probs, returns):
        total += sum(lp) * g / n
    return total / n


@wrong(ESTIMATE, "a trajectory left out")
def range_too_short(log_probs, returns):
    total = 0
    for i in range(len(returns) - 1):
        total += sum(log_probs[i]) * returns[i]
    return total / len(returns)


# reward_to_go_gradient

RTG = "reward_to_go_gradient"


def to_go(rewards: Any, discount: float) -> list[float]:
    out, running = [], 0.0
    for r in reversed(rewards):
        running = r + discount * running
        out.insert(0, running)
    return out


@wrong(RTG, "γ^t dropped")
def gamma_dropped(log_probs, rewards, discount):
    total = 0
    for lp, rs in zip(log_probs, rewards):
        for x, g in zip(lp, to_go(rs, discount)):
            total += x * g
    return total / len(log_probs)


@wrong(RTG, "γ^t applied twice")
def gamma_twice(log_probs, rewards, discount):
    total = 0
    for lp, rs in zip(log_probs, rewards):
        d = discount ** np.arange(len(rs)) * np.array(rs)
        g = np.cumsum(d[::-1])[::-1]
        total += sum(discount**t * g[t] * lp[t] for t in range(len(lp)))
    return total / len(log_probs)


@wrong(RTG, "total return in place of reward-to-go")
def total_return(log_probs, rewards, discount):
    return np.mean([to_go(rs, discount)[0] * sum(lp) for lp, rs in zip(log_probs, rewards)])


@wrong(RTG, "return not discounted")
def undiscounted(log_probs, rewards, discount):
    return np.mean([sum(x * sum(rs[t:]) for t, x in enumerate(lp)) for lp, rs in zip(log_probs, rewards)])


@wrong(RTG, "mean over all steps of the batch")
def flattened(log_probs, rewards, discount):
    xs, gs = [], []
    for lp, rs in zip(log_probs, rewards):
        xs += lp
        gs += [discount**t * g for t, g in enumerate(to_go(rs, discount))]
    return torch.mean(torch.tensor(xs) * torch.tensor(gs))


@wrong(RTG, "immediate reward only")
def immediate(log_probs, rewards, discount):
    total = 0
    for lp, rs in zip(log_probs, rewards):
        total += sum(discount**t * r * x for t, (x, r) in enumerate(zip(lp, rs)))
    return total / len(log_probs)


@wrong(RTG, "returns in reverse order")
def not_turned_round(log_probs, rewards, discount):
    total = 0
    for lp, rs in zip(log_probs, rewards):
        total += sum(discount**t * g * x for t, (x, g) in enumerate(zip(lp, to_go(rs, discount)[::-1])))
    return total / len(log_probs)


@wrong(RTG, "recursion leaks across episodes")
def leaks(log_probs, rewards, discount):
    total, running = 0, 0
    for lp, rs in zip(log_probs, rewards):
        for t in reversed(range(len(rs))):
            running = rs[t] + discount * running
            total += discount**t * running * lp[t]
    return total / len(log_probs)


@wrong(RTG, "descent instead of ascent")
def rtg_loss(log_probs, rewards, discount):
    total = 0
    for lp, rs in zip(log_probs, rewards):
        total -= sum(discount**t * g * x for t, (x, g) in enumerate(zip(lp, to_go(rs, discount))))
    return total / len(log_probs)


@wrong(RTG, "returns whitened over the batch")
def rtg_whitened(log_probs, rewards, discount):
    g = [to_go(rs, discount) for rs in rewards]
    every = np.concatenate(g)
    m, s = every.mean(), every.std() + 1e-8
    total = 0
    for lp, own in zip(log_probs, g):
        total += sum(discount**t * (x - m) / s * p for t, (p, x) in enumerate(zip(lp, own)))
    return total / len(log_probs)


@wrong(RTG, "per-episode whitening")
def rtg_whitened_per_episode(log_probs, rewards, discount):
    total = 0.0
    for lp, rs in zip(log_probs, rewards):
        g = np.array(to_go(rs, discount))
        g = (g - g.mean()) / (g.std() + 1e-9)
        total += (discount ** np.arange(len(g)) * g * np.array(lp)).sum()
    return total / len(log_probs)


# reinforce

STEPS = "reinforce"


@wrong(STEPS, "descent in place of ascent")
def descent(preferences, actions, returns, learning_rate):
    h = np.array(preferences)
    for a, g in zip(actions, returns):
        grad = -softmax(h)
        grad[a] += 1
        h = h - learning_rate * g * grad
    return h


@wrong(STEPS, "the old π is used after a step")
def old_policy(preferences, actions, returns, learning_rate):
    h = list(preferences)
    pi = softmax(preferences)
    for a, g in zip(actions, returns):
        for k in range(len(h)):
            h[k] += learning_rate * g * ((1 if k == a else 0) - pi[k])
    return h


@wrong(STEPS, "all actions are pushed alike")
def all_pushed(preferences, actions, returns, learning_rate):
    h = np.array(preferences)
    for _, g in zip(actions, returns):
        h = h + learning_rate * g * (1 - softmax(h))
    return h


@wrong(STEPS, "only the action taken is pushed")
def one_pushed(preferences, actions, returns, learning_rate):
    h = np.array(preferences)
    for a, g in zip(actions, returns):
        h[a] += learning_rate * g * (1 - softmax(h)[a])
    return h


@wrong(STEPS, "the return is left out")
def no_return(preferences, actions, returns, learning_rate):
    h = np.array(preferences)
    for a in actions:
        h = h + learning_rate * (np.eye(len(h))[a] - softmax(h))
    return h


@wrong(STEPS, "only the change is returned")
def only_change(preferences, actions, returns, learning_rate):
    h = np.array(preferences)
    for a, g in zip(actions, returns):
        h = h + learning_rate * g * (np.eye(len(h))[a] - softmax(h))
    return h - preferences


@wrong(STEPS, "only the first step")
def returns_early(preferences, actions, returns, learning_rate):
    h = np.array(preferences)
    for a, g in zip(actions, returns):
        h = h + learning_rate * g * (np.eye(len(h))[a] - softmax(h))
        return h


@wrong(STEPS, "only the last step")
def starts_over(preferences, actions, returns, learning_rate):
    for a, g in zip(actions, returns):
        h = preferences + learning_rate * g * (np.eye(len(preferences))[a] - softmax(preferences))
    return h


# subtract_baseline

BASELINE = "subtract_baseline"


@wrong(BASELINE, "per-episode centring")
def own_mean(returns, values):
    return [[g - sum(own) / len(own) for g in own] for own in returns]


@wrong(BASELINE, "per-episode whitening")
def own_whitened(returns, values):
    out = []
    for own in returns:
        g = np.array(own)
        out.append((g - g.mean()) / (g.std() + 1e-8))
    return out


@wrong(BASELINE, "returns whitened over the batch")
def all_whitened(returns, values):
    every = torch.cat([torch.tensor(own) for own in returns])
    return [(torch.tensor(own) - every.mean()) / (every.std() + 1e-8) for own in returns]


@wrong(BASELINE, "own return in the baseline")
def mean_of_batch(returns, values):
    every = [g for own in returns for g in own]
    b = sum(every) / len(every)
    return [[g - b for g in own] for own in returns]


@wrong(BASELINE, "own return in the baseline")
def best_so_far(returns, values):
    return [[g - max(own) for g in own] for own in returns]


@wrong(BASELINE, "baseline of the next state")
def next_value(returns, values):
    return [[g - v for g, v in zip(own, value[1:])] for own, value in zip(returns, values)]


@wrong(BASELINE, "baseline of the next state")
def discounted_next_value(returns, values):
    return [np.array(own) - 0.99 * np.array(value)[1:] for own, value in zip(returns, values)]


@wrong(BASELINE, "no baseline")
def unchanged(returns, values):
    return returns


@wrong(BASELINE, "V instead of the return")
def only_values(returns, values):
    return [value[:-1] for value in values]


# returns_at_limits

LIMITS = "returns_at_limits"


@wrong(LIMITS, "truncation taken for termination")
def done_is_done(rewards, values, next_values, terminated, truncated, discount):
    out, running = [], 0.0
    for r, t, c in zip(reversed(rewards), reversed(terminated), reversed(truncated)):
        if t or c:
            running = 0.0
        running = r + discount * running
        out.append(running)
    return out[::-1]


@wrong(LIMITS, "V is added after a terminal state")
def always_bootstraps(rewards, values, next_values, terminated, truncated, discount):
    out, running = [0] * len(rewards), 0.0
    for t in range(len(rewards) - 1, -1, -1):
        if terminated[t] or truncated[t]:
            running = next_values[t]
        running = out[t] = rewards[t] + discount * running
    return out


@wrong(LIMITS, "V of the last state in place of the one after it")
def last_state(rewards, values, next_values, terminated, truncated, discount):
    out, running = [0] * len(rewards), 0.0
    for t in range(len(rewards) - 1, -1, -1):
        running = 0.0 if terminated[t] else values[t] if truncated[t] else running
        running = out[t] = rewards[t] + discount * running
    return out


@wrong(LIMITS, "V after the reset")
def after_reset(rewards, values, next_values, terminated, truncated, discount):
    following = list(values[1:]) + [0.0]
    out, running = [0] * len(rewards), 0.0
    for t in range(len(rewards) - 1, -1, -1):
        running = 0.0 if terminated[t] else following[t] if truncated[t] else running
        running = out[t] = rewards[t] + discount * running
    return out


@wrong(LIMITS, "recursion leaks across episodes")
def limit_ignored(rewards, values, next_values, terminated, truncated, discount):
    out, running = np.zeros(len(rewards)), 0.0
    for t in range(len(rewards) - 1, -1, -1):
        running = rewards[t] + discount * running * (not terminated[t])
        out[t] = running
    return out


@wrong(LIMITS, "V is not discounted")
def undiscounted_value(rewards, values, next_values, terminated, truncated, discount):
    out, running = np.zeros(len(rewards)), 0.0
    for t in range(len(rewards) - 1, -1, -1):
        if terminated[t]:
            out[t] = rewards[t]
        elif truncated[t]:
            out[t] = rewards[t] + next_values[t]
        else:
            out[t] = rewards[t] + discount * running
        running = out[t]
    return out


@wrong(LIMITS, "terminated and truncated exchanged")
def exchanged(rewards, values, next_values, terminated, truncated, discount):
    out, running = np.zeros(len(rewards)), 0.0
    for t in range(len(rewards) - 1, -1, -1):
        running = 0.0 if truncated[t] else next_values[t] if terminated[t] else running
        running = out[t] = rewards[t] + discount * running
    return out


@wrong(LIMITS, "V after every step")
def one_step_target(rewards, values, next_values, terminated, truncated, discount):
    return np.array(rewards) + discount * np.array(next_values) * (1 - np.array(terminated))


# clipped_surrogate

SURROGATE = "clipped_surrogate"


@wrong(SURROGATE, "not clipped")
def unclipped(log_probs, old_log_probs, advantages, epsilon):
    return (np.exp(log_probs - old_log_probs) * advantages).mean()


@wrong(SURROGATE, "clipped without the minimum")
def no_minimum(log_probs, old_log_probs, advantages, epsilon):
    ratio = torch.exp(torch.tensor(log_probs) - torch.tensor(old_log_probs))
    return (torch.clamp(ratio, 1 - epsilon, 1 + epsilon) * torch.tensor(advantages)).mean()


@wrong(SURROGATE, "the maximum in place of the minimum")
def maximum(log_probs, old_log_probs, advantages, epsilon):
    r = np.exp(log_probs - old_log_probs)
    return np.mean(np.maximum(r * advantages, r.clip(1 - epsilon, 1 + epsilon) * advantages))


@wrong(SURROGATE, "the minimum before the advantage")
def minimum_of_ratios(log_probs, old_log_probs, advantages, epsilon):
    total = 0
    for new, old, a in zip(log_probs, old_log_probs, advantages):
        r = math.exp(new - old)
        total += min(r, max(1 - epsilon, min(1 + epsilon, r))) * a
    return total / len(advantages)


@wrong(SURROGATE, "the logarithm of the ratio")
def log_ratio(log_probs, old_log_probs, advantages, epsilon):
    r = log_probs - old_log_probs
    return np.minimum(r * advantages, np.clip(r, 1 - epsilon, 1 + epsilon) * advantages).mean()


@wrong(SURROGATE, "the ratio upside down")
def upside_down(log_probs, old_log_probs, advantages, epsilon):
    r = np.exp(old_log_probs - log_probs)
    return np.minimum(r * advantages, np.clip(r, 1 - epsilon, 1 + epsilon) * advantages).mean()


@wrong(SURROGATE, "the sum in place of the mean")
def sum_of_samples(log_probs, old_log_probs, advantages, epsilon):
    r = np.exp(log_probs - old_log_probs)
    return sum(np.minimum(r * advantages, np.clip(r, 1 - epsilon, 1 + epsilon) * advantages))


@wrong(SURROGATE, "the sign of a loss")
def surrogate_loss(log_probs, old_log_probs, advantages, epsilon):
    r = torch.exp(torch.as_tensor(log_probs - old_log_probs))
    a = torch.as_tensor(advantages)
    return -torch.min(r * a, torch.clamp(r, 1 - epsilon, 1 + epsilon) * a).mean()


@wrong(SURROGATE, "clipped to ±ε")
def around_zero(log_probs, old_log_probs, advantages, epsilon):
    r = np.exp(log_probs - old_log_probs)
    return np.minimum(r * advantages, np.clip(r, -epsilon, epsilon) * advantages).mean()


# Written after the checker, and not for it: what it called by a wrong name or by none at first.


@wrong(TEMPERATURE, "not the largest is subtracted")
def mean_subtracted(preferences, temperature=1.0):
    z = (preferences - preferences.mean()) / temperature
    return np.exp(z) / np.exp(z).sum()


@wrong(TEMPERATURE, "not the largest is subtracted")
def smallest_subtracted(preferences, temperature=1.0):
    z = preferences / temperature
    z = z - min(z)
    return np.exp(z) / np.exp(z).sum()


@wrong(TEMPERATURE, "clipped before the exponential")
def clipped_exponent(preferences, temperature=1.0):
    e = np.exp(np.clip(preferences / temperature, -50, 50))
    return e / e.sum()


@wrong(TEMPERATURE, "rounded")
def rounded_probabilities(preferences, temperature=1.0):
    z = preferences / temperature
    e = np.exp(z - z.max())
    return (e / e.sum()).round(2)


@wrong(TEMPERATURE, "not normalised")
def times_tau_and_not_normalised(preferences, temperature=1.0):
    return [math.exp(p * temperature) for p in preferences]


@wrong(TEMPERATURE, "another base than e")
def powers_of_two(preferences, temperature=1.0):
    z = preferences / temperature
    e = 2 ** (z - z.max())
    return e / e.sum()


@wrong(TEMPERATURE, UNKNOWN)
def tau_plus_one(preferences, temperature=1.0):
    z = preferences / (temperature + 1)
    return np.exp(z - z.max()) / np.exp(z - z.max()).sum()


@wrong(TO_GO, "γ fixed in the code")
def fixed_gamma(rewards, discount):
    out, running = [], 0
    for r in rewards[::-1]:
        running = r + 0.99 * running
        out.insert(0, running)
    return out


@wrong(TO_GO, "γ on the reward in place of what follows")
def gamma_on_reward(rewards, discount):
    out, running = [], 0
    for r in rewards[::-1]:
        running = running + discount * r
        out.insert(0, running)
    return out


@wrong(TO_GO, "rounded")
def array_of_integers(rewards, discount):
    out, running = np.zeros(len(rewards), int), 0
    for t in reversed(range(len(rewards))):
        running = rewards[t] + discount * running
        out[t] = running
    return out


@wrong(TO_GO, "centred or whitened")
def to_go_whitened(rewards, discount):
    g = np.array(to_go(rewards, discount))
    return (g - g.mean()) / (g.std() + 1e-8)


@wrong(ESTIMATE, "a leave-one-out baseline in place of total return")
def leave_one_out(log_probs, returns):
    n = len(returns)
    if n == 1:
        return sum(log_probs[0]) * returns[0]
    return np.mean([sum(lp) * (g - (sum(returns) - g) / (n - 1)) for lp, g in zip(log_probs, returns)])


@wrong(ESTIMATE, "rounded")
def rounded_estimate(log_probs, returns):
    return round(sum(sum(lp) * g for lp, g in zip(log_probs, returns)) / len(returns), 1)


@wrong(ESTIMATE, UNKNOWN)
def running_total(log_probs, returns):
    s = total = 0
    for lp, g in zip(log_probs, returns):
        for x in lp:
            s += x
        total += s * g
    return total / len(returns)


@wrong(RTG, "summed over trajectories")
def two_mistakes(log_probs, rewards, discount):
    return sum(x * g for lp, rs in zip(log_probs, rewards) for x, g in zip(lp, to_go(rs, discount)))


@wrong(BASELINE, "the baseline is added")
def value_added(returns, values):
    return [[g + v for g, v in zip(own, value)] for own, value in zip(returns, values)]


@wrong(BASELINE, "baseline of the next state")
def mean_value_of_episode(returns, values):
    return [[g - np.mean(value) for g in own] for own, value in zip(returns, values)]


# actor_critic_step

ACTOR_CRITIC = "actor_critic_step"


def forward(weights, states, actions, next_states):
    """Parts that several answers share: the leaf, log π(a | s), V(s) and V(s')."""
    weights = torch.tensor(weights, requires_grad=True)
    outputs = torch.as_tensor(states) @ weights
    distribution = torch.distributions.Categorical(logits=outputs[:, :-1])
    next_value = (torch.as_tensor(next_states) @ weights)[:, -1]
    return weights, distribution.log_prob(torch.as_tensor(actions)), outputs[:, -1], next_value


def stepped(weights, objective, learning_rate):
    objective.backward()
    return (weights + learning_rate * weights.grad).detach()


@wrong(ACTOR_CRITIC, "V(s') is not held fixed")
def target_not_detached(weights, states, actions, rewards, next_states, terminated, discount, learning_rate):
    w, log_pi, value, next_value = forward(weights, states, actions, next_states)
    delta = torch.as_tensor(rewards) + discount * ~torch.as_tensor(terminated) * next_value - value
    return stepped(w, (log_pi * delta.detach() - 0.5 * delta.pow(2)).mean(), learning_rate)


@wrong(ACTOR_CRITIC, "V(s') is not held fixed")
def residual_by_hand(weights, states, actions, rewards, next_states, terminated, discount, learning_rate):
    outputs = states @ weights
    pi = np.array([softmax(h) for h in outputs[:, :-1]])
    new = weights.copy()
    for n in range(len(states)):
        following = 0 * next_states[n] if terminated[n] else discount * next_states[n]
        delta = rewards[n] + following @ weights[:, -1] - outputs[n, -1]
        new[:, -1] += learning_rate * delta * (states[n] - following) / len(states)
        for k in range(pi.shape[1]):
            new[:, k] += learning_rate * delta * ((k == actions[n]) - pi[n, k]) * states[n] / len(states)
    return new


@wrong(ACTOR_CRITIC, "the advantage moves the critic")
def advantage_not_detached(weights, states, actions, rewards, next_states, terminated, discount, learning_rate):
    w, log_pi, value, next_value = forward(weights, states, actions, next_states)
    target = torch.as_tensor(rewards) + discount * ~torch.as_tensor(terminated) * next_value
    loss = -(log_pi * (target - value)).mean() + 0.5 * torch.nn.functional.mse_loss(value, target.detach())
    return stepped(w, -loss, learning_rate)


@wrong(ACTOR_CRITIC, "the advantage moves the critic")
def nothing_detached(weights, states, actions, rewards, next_states, terminated, discount, learning_rate):
    w, log_pi, value, next_value = forward(weights, states, actions, next_states)
    delta = torch.as_tensor(rewards) + discount * ~torch.as_tensor(terminated) * next_value - value
    return stepped(w, (log_pi * delta - 0.5 * delta**2).mean(), learning_rate)


@wrong(ACTOR_CRITIC, "every state is paired with every other")
def columns_and_rows(weights, states, actions, rewards, next_states, terminated, discount, learning_rate):
    w, log_pi, value, next_value = forward(weights, states, actions, next_states)
    value, next_value = value.unsqueeze(-1), next_value.unsqueeze(-1)  # as a network returns them
    target = torch.as_tensor(rewards) + discount * ~torch.as_tensor(terminated) * next_value
    delta = target.detach() - value
    return stepped(w, (log_pi * delta.detach() - 0.5 * delta**2).mean(), learning_rate)


@wrong(ACTOR_CRITIC, "every state is paired with every other")
def targets_less_a_column(weights, states, actions, rewards, next_states, terminated, discount, learning_rate):
    w, log_pi, value, next_value = forward(weights, states, actions, next_states)
    target = (torch.as_tensor(rewards) + discount * ~torch.as_tensor(terminated) * next_value).detach()
    value = value[:, None]
    actor, critic = (log_pi * (target - value).detach()).mean(), ((target - value) ** 2).mean()
    return stepped(w, actor - critic / 2, learning_rate)


@wrong(ACTOR_CRITIC, "V is added after a terminal state")
def ends_ignored(weights, states, actions, rewards, next_states, terminated, discount, learning_rate):
    w, log_pi, value, next_value = forward(weights, states, actions, next_states)
    delta = torch.as_tensor(rewards) + discount * next_value.detach() - value
    return stepped(w, (log_pi * delta.detach() - 0.5 * delta**2).mean(), learning_rate)


@wrong(ACTOR_CRITIC, "the square without its half")
def mean_squared_error(weights, states, actions, rewards, next_states, terminated, discount, learning_rate):
    w, log_pi, value, next_value = forward(weights, states, actions, next_states)
    target = (torch.as_tensor(rewards) + discount * ~torch.as_tensor(terminated) * next_value).detach()
    loss = -(log_pi * (target - value).detach()).mean() + torch.nn.functional.mse_loss(value, target)
    return stepped(w, -loss, learning_rate)


@wrong(ACTOR_CRITIC, "descent in place of ascent")
def loss_without_its_minus(weights, states, actions, rewards, next_states, terminated, discount, learning_rate):
    w, log_pi, value, next_value = forward(weights, states, actions, next_states)
    target = (torch.as_tensor(rewards) + discount * ~torch.as_tensor(terminated) * next_value).detach()
    loss = (log_pi * (target - value).detach()).mean() + 0.5 * (value - target).square().mean()
    return stepped(w, -loss, learning_rate)


@wrong(ACTOR_CRITIC, "δ of the new critic")
def critic_first(weights, states, actions, rewards, next_states, terminated, discount, learning_rate):
    new = weights.copy()
    goes_on = ~terminated

    def delta():
        return rewards + discount * goes_on * (next_states @ new[:, -1]) - states @ new[:, -1]

    new[:, -1] += learning_rate * states.T @ delta() / len(states)
    pi = np.array([softmax(h) for h in states @ weights[:, :-1]])
    scores = np.eye(pi.shape[1])[actions] - pi
    new[:, :-1] += learning_rate * states.T @ (delta()[:, None] * scores) / len(states)
    return new


@wrong(ACTOR_CRITIC, "no baseline")
def target_as_multiplier(weights, states, actions, rewards, next_states, terminated, discount, learning_rate):
    w, log_pi, value, next_value = forward(weights, states, actions, next_states)
    target = (torch.as_tensor(rewards) + discount * ~torch.as_tensor(terminated) * next_value).detach()
    return stepped(w, (log_pi * target - 0.5 * (target - value) ** 2).mean(), learning_rate)
