"""Right answers to the exercises in many styles: the worked solutions, and others as learners write them."""

# ruff: noqa: B905, NPY002, RET504
import math
import random
from collections.abc import Callable
from fractions import Fraction
from functools import reduce
from typing import Any, NamedTuple

import numpy as np
import torch

from pgrad import estimate_policy_gradient as pgrads_estimate
from pgrad import rewards_to_go as pgrads_to_go
from pgrad import softmax as pgrads_softmax
from pgrad.exercises import EXERCISES

Function = Callable[..., Any]


class Right(NamedTuple):
    exercise: str
    function: Function


RIGHT: dict[str, Right] = {}


def right(exercise: str) -> Callable[[Function], Function]:
    def add(function: Function) -> Function:
        RIGHT[function.__name__] = Right(exercise, function)
        return function

    return add


def solution(exercise: str, style: str) -> Function:
    names: dict[str, Any] = {}
    exec(EXERCISES[exercise].solutions[style], names)
    return names[exercise]


for exercise in EXERCISES.values():
    for style in exercise.solutions:
        RIGHT[f"{exercise.name} with {style}"] = Right(exercise.name, solution(exercise.name, style))


# temperature_softmax


@right("temperature_softmax")
def the_classrooms(preferences, temperature=1.0):
    scaled = preferences / temperature
    shifted = scaled - np.max(scaled)
    exp_prefs = np.exp(shifted)
    probabilities = exp_prefs / np.sum(exp_prefs)
    return probabilities


@right("temperature_softmax")
def float32(preferences, temperature=1.0):
    z = preferences.astype(np.float32) / np.float32(temperature)
    e = np.exp(z - z.max())
    return e / e.sum()


@right("temperature_softmax")
def prints_what_it_does(preferences, temperature=1.0):
    print("preferences are", preferences)
    z = preferences / temperature
    return np.exp(z - z.max()) / np.exp(z - z.max()).sum()


@right("temperature_softmax")
def by_differences(preferences, temperature=1.0):
    """π(a) = 1 / Σ_k exp((h_k - h_a) / τ), with what overflows left out."""
    result = []
    for h in preferences:
        exponents = [(k - h) / temperature for k in preferences]
        result.append(0.0 if max(exponents) > 700 else 1 / sum(map(math.exp, exponents)))
    return result


@right("temperature_softmax")
def log_sum_exp(preferences, temperature=1.0):
    z = preferences / temperature
    return np.exp(z - np.logaddexp.reduce(z))


@right("temperature_softmax")
def torch_float32(preferences, temperature=1.0):
    return torch.nn.functional.softmax(torch.tensor(preferences, dtype=torch.float32) / temperature, dim=0).numpy()


@right("temperature_softmax")
def wants_tensors(preferences, temperature=1.0):
    return (preferences / temperature).softmax(dim=0)


@right("temperature_softmax")
def powers(preferences, temperature=1.0):
    e = np.exp(preferences - preferences.max()) ** (1 / temperature)
    return e / e.sum()


@right("temperature_softmax")
def pgrads_own(preferences, temperature=1.0):
    return pgrads_softmax(preferences, temperature)


@right("temperature_softmax")
def in_place_on_a_copy(preferences, temperature=1.0):
    z = preferences.copy()
    z /= temperature
    z -= z.max()
    np.exp(z, out=z)
    z /= z.sum()
    return z


# softmax_score


@right("softmax_score")
def score_in_place(preferences, action, temperature=1.0):
    p = -pgrads_softmax(preferences, temperature)
    p[action] += 1
    p /= temperature
    return p


@right("softmax_score")
def score_by_differences(preferences, action, temperature=1.0):
    def log_pi(h):
        return math.log(pgrads_softmax(h, temperature)[action])

    steps = 1e-5 * np.eye(len(preferences))
    return [(log_pi(preferences + step) - log_pi(preferences - step)) / 2e-5 for step in steps]


@right("softmax_score")
def score_as_a_tuple(preferences, action, temperature=1.0):
    p = pgrads_softmax(preferences, temperature).tolist()
    return tuple((float(k == action) - x) / temperature for k, x in enumerate(p))


# sample_action


@right("sample_action")
def by_the_global_generator(preferences):
    p = pgrads_softmax(preferences)
    action = np.random.choice(len(p), p=p)
    return int(action), float(np.log(p[action]))


@right("sample_action")
def by_random_choices(preferences, rng=None):
    p = pgrads_softmax(preferences)
    action = random.choices(range(len(p)), weights=p)[0]
    return action, math.log(p[action])


@right("sample_action")
def by_gumbel(preferences, rng):
    action = int(np.argmax(preferences + rng.gumbel(size=len(preferences))))
    return action, preferences[action] - np.logaddexp.reduce(preferences)


@right("sample_action")
def by_inversion(preferences, rng):
    p = pgrads_softmax(preferences)
    action = int(np.searchsorted(np.cumsum(p), rng.random()))
    return np.int64(action), np.log(p)[action]


@right("sample_action")
def by_multinomial(preferences):
    log_pi = torch.log_softmax(torch.tensor(preferences, dtype=torch.float32), 0)
    action = torch.multinomial(log_pi.exp(), 1)
    return action, log_pi[action]


# rewards_to_go


@right("rewards_to_go")
def double_loop(rewards, discount):
    result = []
    for t in range(len(rewards)):
        total = 0
        for k in range(t, len(rewards)):
            total += discount ** (k - t) * rewards[k]
        result.append(total)
    return result


@right("rewards_to_go")
def recursion(rewards, discount):
    if len(rewards) == 0:
        return []
    later = recursion(rewards[1:], discount)
    return [rewards[0] + discount * (later[0] if later else 0), *later]


@right("rewards_to_go")
def zeros_like(rewards, discount):
    g = np.zeros_like(rewards, dtype=np.float32)
    running = 0
    for t in range(len(rewards) - 1, -1, -1):
        running = rewards[t] + discount * running
        g[t] = running
    return g


@right("rewards_to_go")
def exact_fractions_to_floats(rewards, discount):
    running, result = Fraction(0), []
    for reward in reversed(rewards):
        running = Fraction(reward) + Fraction(discount) * running
        result.append(float(running))
    return list(reversed(result))


@right("rewards_to_go")
def pgrads_rewards_to_go(rewards, discount):
    return pgrads_to_go(rewards, discount)


# theorem_row


@right("theorem_row")
def by_logarithms(action_probs, transition_probs, scores, total_return):
    log_p = sum(map(math.log, action_probs)) + sum(map(math.log, transition_probs))
    return np.array([math.exp(log_p) * sum(scores) * total_return])


@right("theorem_row")
def by_reduce(action_probs, transition_probs, scores, total_return):
    return sum(reduce(lambda x, y: x * y, [*action_probs, *transition_probs]) * total_return * s for s in scores)


# estimate_policy_gradient


@right("estimate_policy_gradient")
def one_line(log_probs, returns):
    return sum(sum(lp) * g for lp, g in zip(log_probs, returns)) / len(returns)


@right("estimate_policy_gradient")
def the_three_steps(log_probs, returns):
    sums = [sum(episode) for episode in log_probs]
    products = [sums[i] * returns[i] for i in range(len(returns))]
    gradient = np.mean(products)
    return gradient


@right("estimate_policy_gradient")
def step_by_step(log_probs, returns):
    total = np.float32(0)
    for i in range(len(log_probs)):
        for t in range(len(log_probs[i])):
            total += np.float32(log_probs[i][t]) * np.float32(returns[i])
    return total / np.float32(len(log_probs))


@right("estimate_policy_gradient")
def padded(log_probs, returns):
    table = np.zeros((len(log_probs), max(map(len, log_probs))))
    for i, episode in enumerate(log_probs):
        table[i, : len(episode)] = episode
    return np.einsum("it,i->", table, np.array(returns)) / len(returns)


@right("estimate_policy_gradient")
def stacked_tensors(log_probs, returns):
    return torch.stack([torch.stack(episode).sum() * g for episode, g in zip(log_probs, returns)]).mean()


@right("estimate_policy_gradient")
def rows_with_a_sum(log_probs, returns):
    return sum(episode.sum() * g for episode, g in zip(log_probs, returns)) / len(returns)


@right("estimate_policy_gradient")
def torch_float32_with_gradient(log_probs, returns):
    leaves = [torch.tensor(episode, dtype=torch.float32, requires_grad=True) for episode in log_probs]
    return torch.mean(torch.tensor(returns, dtype=torch.float32) * torch.stack([leaf.sum() for leaf in leaves]))


@right("estimate_policy_gradient")
def flat_and_repeated(log_probs, returns):
    weights = np.repeat(np.array(returns) / len(returns), [len(episode) for episode in log_probs])
    return weights @ np.concatenate(log_probs)


@right("estimate_policy_gradient")
def pgrads_estimator(log_probs, returns):
    return pgrads_estimate(log_probs, returns)


@right("estimate_policy_gradient")
def as_a_list_of_one(log_probs, returns):
    return [sum(map(lambda lp, g: g * sum(lp), log_probs, returns)) / len(returns)]


# reward_to_go_gradient


@right("reward_to_go_gradient")
def each_reward_credits_what_came_before(log_probs, rewards, discount):
    total = 0.0
    for lp, rs in zip(log_probs, rewards):
        for k, reward in enumerate(rs):
            total += discount**k * reward * sum(lp[: k + 1])
    return total / len(rewards)


@right("reward_to_go_gradient")
def with_pgrads_returns(log_probs, rewards, discount):
    g = [discount ** np.arange(len(rs)) * pgrads_to_go(rs, discount) for rs in rewards]
    return np.mean([np.dot(lp, own) for lp, own in zip(log_probs, g)])


@right("reward_to_go_gradient")
def as_a_negated_loss(log_probs, rewards, discount):
    losses = []
    for lp, rs in zip(log_probs, rewards):
        g = pgrads_to_go(rs, discount)
        losses.append(-sum(discount**t * g[t] * lp[t] for t in range(len(lp))))
    return -sum(losses) / len(losses)


# reinforce


@right("reinforce")
def through_probabilities(preferences, actions, returns, learning_rate):
    h = np.array(preferences, dtype=np.float32)
    for a, g in zip(actions, returns):
        grad = -pgrads_softmax(h)
        grad[a] += 1.0
        h = h + learning_rate * g * grad
    return h


@right("reinforce")
def with_an_optimiser(preferences, actions, returns, learning_rate):
    h = torch.tensor(preferences, requires_grad=True)
    optimizer = torch.optim.SGD([h], lr=learning_rate)
    for a, g in zip(actions, returns):
        optimizer.zero_grad()
        (-g * torch.log_softmax(h, 0)[a]).backward()
        optimizer.step()
    return h


# subtract_baseline


@right("subtract_baseline")
def leave_one_out(returns, values):
    advantages = []
    for i in range(len(returns)):
        others = [g for j, own in enumerate(returns) if j != i for g in own]
        advantages.append([g - sum(others) / len(others) for g in returns[i]])
    return advantages


@right("subtract_baseline")
def a_number(returns, values):
    return [[g - 1.5 for g in own] for own in returns]


@right("subtract_baseline")
def half_the_value(returns, values):
    return [np.array(own) - 0.5 * np.array(value[:-1]) for own, value in zip(returns, values)]


@right("subtract_baseline")
def first_return_of_the_others(returns, values):
    return [
        [g - np.mean([other[0] for j, other in enumerate(returns) if j != i]) for g in own]
        for i, own in enumerate(returns)
    ]


# returns_at_limits


@right("returns_at_limits")
def what_follows(rewards, values, next_values, terminated, truncated, discount):
    result, following = [], 0.0
    for r, v, over, cut in zip(rewards[::-1], next_values[::-1], terminated[::-1], truncated[::-1]):
        if cut and not over:
            following = v
        elif over:
            following = 0
        following = r + discount * following
        result.append(following)
    return np.array(result[::-1])


@right("returns_at_limits")
def rewards_that_hold_the_rest(rewards, values, next_values, terminated, truncated, discount):
    r = [x + discount * v * cut for x, v, cut in zip(rewards, next_values, truncated)]
    for t in range(len(r) - 2, -1, -1):
        if not terminated[t] and not truncated[t]:
            r[t] += discount * r[t + 1]
    return r


# clipped_surrogate


@right("clipped_surrogate")
def by_the_sign(log_probs, old_log_probs, advantages, epsilon):
    """min(ρ A, clip(ρ) A) is A min(ρ, 1 + ε) for positive A, and A max(ρ, 1 - ε) for negative A."""
    ratio = np.exp(log_probs - old_log_probs)
    bounded = np.where(advantages > 0, np.minimum(ratio, 1 + epsilon), np.maximum(ratio, 1 - epsilon))
    return (bounded * advantages).mean()


@right("clipped_surrogate")
def as_a_negated_maximum(log_probs, old_log_probs, advantages, epsilon):
    ratio = np.exp(log_probs) / np.exp(old_log_probs)
    return -np.maximum(-advantages * ratio, -advantages * np.clip(ratio, 1 - epsilon, 1 + epsilon)).mean()


# actor_critic_step

ACTOR_CRITIC = "actor_critic_step"


@right(ACTOR_CRITIC)
def optimiser_of_torch(weights, states, actions, rewards, next_states, terminated, discount, learning_rate):
    layer = torch.nn.Linear(len(weights), len(weights[0]), bias=False).double()
    layer.weight.data = torch.tensor(np.array(weights)).T.clone()
    optimiser = torch.optim.SGD(layer.parameters(), lr=learning_rate)
    logits, value = layer(torch.tensor(np.array(states))).split([len(weights[0]) - 1, 1], dim=1)
    with torch.no_grad():
        going_on = 1.0 - torch.tensor(np.array(terminated), dtype=torch.float64)
        target = torch.tensor(rewards) + discount * going_on * layer(torch.tensor(np.array(next_states)))[:, -1]
    advantage = target - value.squeeze(1)
    log_pi = torch.distributions.Categorical(logits=logits).log_prob(torch.tensor(actions))
    loss = -(log_pi * advantage.detach()).mean() + 0.5 * advantage.pow(2).mean()
    loss.backward()
    optimiser.step()
    return layer.weight.detach().T


@right(ACTOR_CRITIC)
def one_transition_after_the_other(weights, states, actions, rewards, next_states, terminated, discount, learning_rate):
    change = np.zeros_like(weights)
    for s, a, r, s_next, end in zip(states, actions, rewards, next_states, terminated):
        h = s @ weights
        pi = np.exp(h[:-1]) / np.exp(h[:-1]).sum()
        delta = r - h[-1] if end else r + discount * (s_next @ weights)[-1] - h[-1]
        change += delta * np.outer(s, [*(np.arange(len(pi)) == a) - pi, 1.0])
    return weights + learning_rate * change / len(states)


@right(ACTOR_CRITIC)
def einsum_in_float32(weights, states, actions, rewards, next_states, terminated, discount, learning_rate):
    w, x, y = (np.asarray(z, np.float32) for z in (weights, states, next_states))
    h, v = np.split(np.einsum("nf,fk->nk", x, w), [w.shape[1] - 1], axis=1)
    delta = np.asarray(rewards)[:, None] + discount * np.where(terminated, 0, y @ w[:, -1])[:, None] - v
    g = -np.exp(h) / np.exp(h).sum(1, keepdims=True)
    g[np.arange(len(g)), actions] += 1
    return w + learning_rate * np.einsum("nf,nk->fk", x, np.hstack([delta * g, delta])) / len(x)
