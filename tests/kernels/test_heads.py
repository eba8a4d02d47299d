"""Every distribution over actions against autograd, hand and its own samples."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from tests.bare_samples import policy_gradient

from pgrad.estimators.gradient import by_trajectory, trajectory_gradients
from pgrad.kernels.gaussian import bound_of
from pgrad.kernels.heads import NO_MASK, GaussianHead, env_actions, first_actions, load_actions, new_actions, within
from pgrad.kernels.jit import strict
from pgrad.kernels.mlp import BLOCK
from pgrad.kernels.random import fold_in
from pgrad.policies.distributions import BETA, GAUSSIAN, GSDE, STATE_DEPENDENT, STATE_INDEPENDENT, num_outputs
from pgrad.policies.mlp import MLPPolicy, initial_policy
from pgrad.rollouts.actions import CompiledActor
from pgrad.spaces import Box, Discrete, MultiDiscrete, Space

Array = npt.NDArray[Any]

OBS_SIZE = 3
BOUNDS = Box((-2.0, 0.0, -1.0), (2.0, 3.0, 1.0))
CASES: list[tuple[str, Space, str, bool]] = [
    ("categorical", Discrete(4), STATE_INDEPENDENT, False),
    ("several", MultiDiscrete((2, 3, 2)), STATE_INDEPENDENT, False),
    ("gaussian", BOUNDS, STATE_INDEPENDENT, False),
    ("gaussian, its σ by the network", BOUNDS, STATE_DEPENDENT, False),
    ("squashed", BOUNDS, STATE_INDEPENDENT, True),
    ("squashed, its σ by the network", BOUNDS, STATE_DEPENDENT, True),
    ("gsde", BOUNDS, GSDE, False),
    ("squashed gsde", BOUNDS, GSDE, True),
    ("beta", BOUNDS, BETA, False),
    ("one number", Box(-1.0, 1.0), STATE_INDEPENDENT, False),
]
NAMES = [case[0] for case in CASES]


def policy_of(actions: Space, std: str, squash: bool, normalised: bool = False, hidden: int = 7) -> MLPPolicy:
    """A policy with numbers drawn; `std` may be BETA, whose outputs are as many as those of a σ of the state."""
    action_distribution, std = (BETA, STATE_DEPENDENT) if std == BETA else (GAUSSIAN, std)
    rng, sizes = np.random.default_rng(3), (OBS_SIZE, hidden, num_outputs(actions, std))
    parameters = initial_policy(sizes, "uniform", actions, std, 0.7, rng)
    parameters += rng.normal(0, 0.3, parameters.size).astype(np.float32)
    inputs = {}
    if normalised:
        inputs = {"shift": np.float32([0.5, -1, 2]), "scale": np.float32([2, 0.1, 40])}
    kind = {"std": std, "squash": squash, "action_distribution": action_distribution}
    return MLPPolicy(parameters, sizes, "tanh", 0.8, actions=actions, **kind, **inputs)  # type: ignore[arg-type]


def batch_for(policy: MLPPolicy, size: int) -> tuple[Array, Array, Array]:
    """obs [O, B], actions as the policy draws them, weights."""
    rng = np.random.default_rng(size)
    obs = rng.normal(size=(size, OBS_SIZE)).astype(np.float32)
    keys = rng.integers(0, 2**63, size, np.uint64)
    drawn = CompiledActor(policy.compiled)(obs, None, keys, np.zeros(size, np.int32))
    return np.ascontiguousarray(obs.T), drawn, rng.normal(size=size)


def torch_outputs(policy: MLPPolicy, theta: torch.Tensor, obs: Array) -> torch.Tensor:
    """The network's outputs in float64, [B, outputs]."""
    x = torch.tensor(obs.T.astype(np.float64))
    if policy.shift.size:
        x = ((x - torch.tensor(policy.shift)) * torch.tensor(policy.scale)).clip(-10, 10)
    at = 0
    for k, (inputs, outputs) in enumerate(zip(policy.sizes, policy.sizes[1:], strict=False)):
        w = theta[at : at + inputs * outputs].reshape(outputs, inputs)
        b = theta[at + inputs * outputs : at + (inputs + 1) * outputs]
        at, x = at + (inputs + 1) * outputs, x @ w.T + b
        x = torch.tanh(x) if k < len(policy.sizes) - 2 else x
    return x


def torch_objective(
    policy: MLPPolicy, theta: torch.Tensor, obs: Array, drawn: Array, weight: Array, bonus: float, mask: Array
) -> tuple[torch.Tensor, torch.Tensor]:
    """Σ weight · log π + bonus · H in float64 by torch.distributions, and Σ H; squashed: the score's and the path's
    gradient of what is estimated, with u = μ + σ z."""
    x = torch_outputs(policy, theta, obs)
    if policy.action_distribution == BETA:
        alpha, beta = (1 + torch.nn.functional.softplus(part) for part in x.chunk(2, dim=1))
        tanh_u = torch.distributions.TransformedDistribution(
            torch.distributions.Beta(alpha, beta), [torch.distributions.AffineTransform(-1, 2)]
        )
        log_prob = tanh_u.log_prob(torch.tanh(torch.tensor(drawn.T.astype(np.float64)))).sum(1)
        entropy = (tanh_u.base_dist.entropy() + math.log(2)).sum(1)
    elif isinstance(policy.actions, Box):
        d = policy.actions.flat_size
        log_std = theta[-d:].expand(x.shape[0], d) if x.shape[1] == d else x[:, d:].clip(-5, 2)
        if policy.std == GSDE:
            seen = torch.tensor(np.column_stack([policy.features(obs.T), np.ones(obs.shape[1])]))
            log_std = ((seen**2 @ (2 * theta[-4 * d :]).exp().reshape(4, d)).log() / 2).clip(-5, 2)
        normal, u = torch.distributions.Normal(x[:, :d], log_std.exp()), torch.tensor(drawn.T.astype(np.float64))
        log_prob, entropy = normal.log_prob(u).sum(1), normal.entropy().sum(1)
        if policy.squash:
            z = ((u - x[:, :d]) / log_std.exp()).detach()
            along = x[:, :d] + log_std.exp() * z
            entropy = entropy + 2 * (math.log(2) - along - torch.nn.functional.softplus(-2 * along)).sum(1)
    else:
        x = torch.where(torch.tensor(mask.T), x, -math.inf) if mask.size else x
        parts = torch.split(x / policy.temperature, list(policy.actions.counts), dim=1)
        columns = drawn[None] if drawn.ndim == 1 else drawn
        each = [torch.distributions.Categorical(logits=part) for part in parts]
        log_prob = sum(c.log_prob(torch.tensor(a)) for c, a in zip(each, columns, strict=True))
        entropy = sum(c.entropy() for c in each)
    return (torch.tensor(weight) * log_prob).sum() + bonus * entropy.sum(), entropy.sum()


@pytest.mark.parametrize("normalised", [False, True])
@pytest.mark.parametrize(("name", "actions", "std", "squash"), CASES, ids=NAMES)
@pytest.mark.parametrize("size", [1, BLOCK + 5])
def test_the_gradient_is_autograds(
    size: int, name: str, actions: Space, std: str, squash: bool, normalised: bool
) -> None:
    policy = policy_of(actions, std, squash, normalised)
    obs, drawn, weight = batch_for(policy, size)
    bonus = 0.3
    gradient, entropy = policy_gradient(policy.compiled, obs, drawn, NO_MASK, weight, bonus)
    theta = torch.tensor(policy.parameters.astype(np.float64), requires_grad=True)
    objective, total_entropy = torch_objective(policy, theta, obs, drawn, weight, bonus, NO_MASK)
    objective.backward()  # type: ignore[no-untyped-call]
    expected = theta.grad.numpy()  # type: ignore[union-attr]
    scale = np.abs(expected).max()
    np.testing.assert_allclose(gradient, expected, rtol=0, atol=2e-5 * scale)
    if policy.num_extra:
        assert np.abs(expected[-policy.num_extra :]).max() > 1e-3 * scale, "log σ has a gradient to compare"
    assert entropy == pytest.approx(total_entropy.item() / size, abs=2e-5)


@pytest.mark.parametrize("mean", [0.0, 100.0])
def test_at_the_smallest_deviation_the_gradient_is_that_of_the_density_that_drew(mean: float) -> None:
    """With μ as acting rounded it, to 1e-6. With μ in float64, off by a rounding for each of the 8 sums that make it
    (2⁻²⁴ |μ| each), to that over σ."""
    policy, size = policy_of(BOUNDS, STATE_DEPENDENT, False), 300
    parameters = policy.parameters.copy()
    parameters[-6:] += np.float32([mean] * 3 + [-10.0] * 3)  # biases of μ and of log σ, which stays at -5
    policy = replace(policy, parameters=parameters)
    obs, drawn, weight = batch_for(policy, size)
    gradient, _ = policy_gradient(policy.compiled, obs, drawn, NO_MASK, weight, 0.0)
    acting, nothing = CompiledActor(policy.compiled, greedy=True), np.zeros(size, np.uint64)
    mean_of_acting = acting(obs.T.copy(), None, nothing, np.zeros(size, np.int32))
    theta = torch.tensor(policy.parameters.astype(np.float64), requires_grad=True)
    rounding = mean_of_acting - torch_outputs(policy, theta, obs)[:, :3].detach().numpy().T
    for u, allowed in ((drawn - rounding, 1e-6), (drawn, 8 * 2.0**-24 * np.abs(drawn).max() * math.exp(5))):
        theta.grad = None
        torch_objective(policy, theta, obs, u, weight, 0.0, NO_MASK)[0].backward()  # type: ignore[no-untyped-call]
        expected = theta.grad.numpy()  # type: ignore[union-attr]
        np.testing.assert_allclose(gradient, expected, rtol=0, atol=allowed * np.abs(expected).max())


@pytest.mark.parametrize(("name", "actions", "std", "squash"), CASES, ids=NAMES)
def test_trajectories_gradients_add_up_to_the_whole(name: str, actions: Space, std: str, squash: bool) -> None:
    policy = policy_of(actions, std, squash, normalised=True)
    obs, drawn, weight = batch_for(policy, 60)
    env = np.random.default_rng(0).integers(0, 4, 60).astype(np.int32)
    both = np.stack([weight, np.ones(60)])
    each = trajectory_gradients(policy.compiled, obs, drawn, NO_MASK, *by_trajectory(env, 4), both)
    for k in range(2):
        whole, _ = policy_gradient(policy.compiled, obs, drawn, NO_MASK, both[k], 0.0)
        np.testing.assert_allclose(each[k].sum(axis=0), whole, rtol=0, atol=1e-5 * np.abs(whole).max())
    one, _ = policy_gradient(policy.compiled, obs, drawn, NO_MASK, np.where(env == 2, weight, 0), 0.0)
    np.testing.assert_allclose(each[0, 2], one, rtol=0, atol=1e-5 * np.abs(one).max())


@pytest.mark.parametrize(("name", "actions", "std", "squash"), CASES, ids=NAMES)
def test_samples_have_the_distribution_that_python_describes(name: str, actions: Space, std: str, squash: bool) -> None:
    """Moments of 4,000 actions of one state within 4.5 standard errors; whole numbers by their frequencies."""
    policy, size = policy_of(actions, std, squash), 4_000
    obs = np.tile(np.float32([0.3, -0.7, 1.1]), (size, 1))
    actor = CompiledActor(policy.compiled)
    keys = np.array([fold_in(9, n) for n in range(size)], np.uint64)
    taken = actor.env_actions(actor(obs, None, keys, np.full(size, 5, np.int32)))
    mine = np.asarray(policy.distribution(obs).sample(np.random.default_rng(0)), np.float64)
    theirs = np.asarray(taken, np.float64)
    assert theirs.shape == mine.shape
    if isinstance(actions, Box):
        assert (theirs >= actions.low).all() and (theirs <= actions.high).all()
    for power in (1, 2, 3):
        a, b = mine**power, theirs**power
        error = np.hypot(a.std(axis=0), b.std(axis=0)) / math.sqrt(size)
        assert (np.abs(a.mean(axis=0) - b.mean(axis=0)) <= 4.5 * error).all(), (name, power)


@pytest.mark.parametrize(("name", "actions", "std", "squash"), CASES[1:-1], ids=NAMES[1:-1])
def test_components_of_an_action_are_drawn_independently(name: str, actions: Space, std: str, squash: bool) -> None:
    """Of N standard normal numbers the mean has a standard error of 1/√N, the variance √(2/N); a correlation 1/√N."""
    policy, size = policy_of(actions, std, squash), 2000
    obs, keys = np.zeros((size, OBS_SIZE), np.float32), np.array([fold_in(9, n) for n in range(size)], np.uint64)
    drawn = CompiledActor(policy.compiled)(obs, None, keys, np.zeros(size, np.int32))
    assert (np.abs(np.corrcoef(drawn) - np.eye(len(drawn))) < 4.5 / math.sqrt(size)).all()
    if isinstance(actions, Box) and std != BETA:
        described: Any = policy.distribution(obs)
        z = (drawn.T - described.mean) * np.exp(-described.log_std)
        assert (np.abs(z.mean(axis=0)) < 4.5 / math.sqrt(size)).all()
        assert (np.abs(z.var(axis=0) - 1) < 4.5 * math.sqrt(2 / size)).all()


@pytest.mark.parametrize("squash", [False, True])
def test_normal_numbers_are_box_and_mullers(squash: bool) -> None:
    """Two components share the 64 bits of a child of the step's bits: 23 for the radius, 23 others for the angle."""
    policy, size = policy_of(BOUNDS, STATE_INDEPENDENT, squash), 40
    obs, keys = np.zeros((size, OBS_SIZE), np.float32), np.arange(size, dtype=np.uint64)
    drawn = CompiledActor(policy.compiled)(obs, None, keys, np.full(size, 3, np.int32))
    described: Any = policy.distribution(obs)
    z = (drawn.T - described.mean) * np.exp(-described.log_std)
    for n in range(size):
        for d in range(3):
            bits = fold_in(fold_in(int(keys[n]), 3), d - d % 2)
            radius = math.sqrt(-2 * math.log(((bits >> 41) + 0.5) * 2.0**-23))
            angle = 2 * math.pi * ((bits >> 9) & 0x7FFFFF) * 2.0**-23
            assert z[n, d] == pytest.approx(
                radius * (math.sin(angle) if d % 2 else math.cos(angle)), abs=5e-6
            )  # float32


@pytest.mark.parametrize(("name", "actions", "std", "squash"), CASES[:2], ids=NAMES[:2])
def test_integers_are_drawn_by_inverting_the_cumulative_probabilities(
    name: str, actions: Space, std: str, squash: bool
) -> None:
    """The top 23 bits, of the step's or of the component's child of them; rounding may change one draw of 200."""
    policy, size = policy_of(actions, std, squash), 200
    obs, keys = np.random.default_rng(0).normal(0, 3, (size, OBS_SIZE)).astype(np.float32), np.arange(size)
    drawn = CompiledActor(policy.compiled)(obs, None, keys.astype(np.uint64), np.full(size, 3, np.int32))
    described: Any = policy.distribution(obs)
    for d, part in enumerate(getattr(described, "parts", (described,))):
        bits = [fold_in(n, 3) if drawn.ndim == 1 else fold_in(fold_in(n, 3), d) for n in range(size)]
        threshold = np.array([((b >> 41) + 0.5) * 2.0**-23 for b in bits])
        expected = (threshold[:, None] >= part.probabilities().cumsum(axis=1)[:, :-1]).sum(axis=1)
        assert (np.atleast_2d(drawn)[d] != expected).sum() <= 1


@pytest.mark.parametrize(("name", "actions", "std", "squash"), CASES, ids=NAMES)
def test_the_greedy_action_is_the_mode(name: str, actions: Space, std: str, squash: bool) -> None:
    policy = policy_of(actions, std, squash, normalised=True)
    obs = np.random.default_rng(1).normal(size=(50, OBS_SIZE)).astype(np.float32)
    actor, nothing = CompiledActor(policy.compiled, greedy=True), np.zeros(50, np.uint64)
    taken = actor.env_actions(actor(obs, None, nothing, np.zeros(50, np.int32)))
    np.testing.assert_allclose(taken, policy.act(obs), rtol=0, atol=2e-6)


@pytest.mark.parametrize(("name", "actions", "std", "squash"), CASES[:2], ids=NAMES[:2])
def test_a_forbidden_action_has_probability_zero_in_sampling_gradient_and_entropy(
    name: str, actions: Space, std: str, squash: bool
) -> None:
    policy, size = policy_of(actions, std, squash), BLOCK + 40
    rng = np.random.default_rng(5)
    choices = policy.sizes[-1]
    mask = rng.random((size, choices)) < 0.5
    mask[:, [0, 2, choices - 1]] |= ~mask.reshape(size, -1).any(axis=1, keepdims=True)
    mask[:, [0, 3, 6][: len(getattr(actions, "counts", ()))]] = True  # one of each part's choices
    obs = rng.normal(size=(size, OBS_SIZE)).astype(np.float32) * 3
    actor = CompiledActor(policy.compiled)
    for draw in range(8):
        drawn = actor(obs, mask, rng.integers(0, 2**63, size, np.uint64), np.full(size, draw, np.int32))
        first = 0
        for column, count in zip(drawn[None] if drawn.ndim == 1 else drawn, actions.counts, strict=True):  # type: ignore[union-attr]
            assert mask[np.arange(size), first + column].all()
            first += count
    weight, columns = rng.normal(size=size), np.ascontiguousarray(mask.T)
    flat = np.ascontiguousarray(obs.T)
    gradient, entropy = policy_gradient(policy.compiled, flat, drawn, columns, weight, 0.2)
    theta = torch.tensor(policy.parameters.astype(np.float64), requires_grad=True)
    # torch's Categorical clamps -inf logits in its entropy, but its gradient there is NaN: a large number instead.
    objective, total = torch_objective_masked(policy, theta, flat, drawn, weight, 0.2, columns)
    objective.backward()  # type: ignore[no-untyped-call]
    expected = theta.grad.numpy()  # type: ignore[union-attr]
    np.testing.assert_allclose(gradient, expected, rtol=0, atol=2e-5 * np.abs(expected).max())
    assert entropy == pytest.approx(total.item() / size, abs=1e-5)
    env = np.zeros(size, np.int32)
    each = trajectory_gradients(policy.compiled, flat, drawn, columns, *by_trajectory(env, 1), weight[None])
    plain, _ = policy_gradient(policy.compiled, flat, drawn, columns, weight, 0.0)
    np.testing.assert_allclose(each[0, 0], plain, rtol=0, atol=1e-5 * np.abs(plain).max())
    assert (policy.distribution(obs, mask).log_prob(drawn.T) > -np.inf).all()


def torch_objective_masked(
    policy: MLPPolicy, theta: torch.Tensor, obs: Array, drawn: Array, weight: Array, bonus: float, mask: Array
) -> tuple[torch.Tensor, torch.Tensor]:
    """By hand: log π of the allowed logits alone."""
    x = torch.tensor(obs.T.astype(np.float64))
    hidden, inputs, outputs = policy.sizes[1], policy.sizes[0], policy.sizes[2]
    w, b = theta[: hidden * inputs].reshape(hidden, inputs), theta[hidden * inputs : hidden * (inputs + 1)]
    rest = theta[hidden * (inputs + 1) :]
    logits = torch.tanh(x @ w.T + b) @ rest[: outputs * hidden].reshape(outputs, hidden).T + rest[outputs * hidden :]
    logits, allowed = logits / policy.temperature, torch.tensor(mask.T)
    objective, total, first = torch.zeros(()), torch.zeros(()), 0
    for column, count in zip(drawn[None] if drawn.ndim == 1 else drawn, policy.actions.counts, strict=True):  # type: ignore[union-attr]
        part, may = logits[:, first : first + count], allowed[:, first : first + count]
        weights = part.exp() * may
        p = weights / weights.sum(1, keepdim=True)
        log_p = torch.where(may, part, 0.0) - weights.sum(1, keepdim=True).log()
        chosen = log_p.gather(1, torch.tensor(column, dtype=torch.int64)[:, None])[:, 0]
        entropy = -(p * log_p * may).sum(1)
        objective = objective + (torch.tensor(weight) * chosen).sum() + bonus * entropy.sum()
        total, first = total + entropy.sum(), first + count
    return objective, total


def test_extreme_numbers_stay_finite() -> None:
    """Squashed far outside: the density's slope is tiny, its logarithm is not."""
    policy = policy_of(BOUNDS, STATE_INDEPENDENT, True)
    obs = np.zeros((OBS_SIZE, 4), np.float32)
    drawn = np.float32([[-40, 40, 5, -5], [30, -30, 0, 1], [12, 11, -12, -11]])
    gradient, entropy = policy_gradient(policy.compiled, obs, drawn, NO_MASK, np.ones(4), 0.1)
    assert np.isfinite(gradient).all() and np.isfinite(entropy)


def with_log_deviations(policy: MLPPolicy, log_deviation: tuple[float, ...]) -> MLPPolicy:
    """The policy with these log σ in every state: the biases of its last layer, whose weights for them are zero."""
    hidden, outputs = policy.sizes[-2:]
    changed, end = policy.parameters.copy(), policy.parameters.size - outputs
    changed[end - hidden * outputs // 2 : end] = 0
    changed[end + outputs // 2 :] = log_deviation
    return MLPPolicy(changed, policy.sizes, "tanh", actions=policy.actions, std=policy.std, squash=policy.squash)


@pytest.mark.parametrize("squash", [False, True])
def test_log_deviations_outside_their_bounds_stay_there_and_have_no_gradient(squash: bool) -> None:
    """At log σ = -7 and 4 actions and all other gradients are those of -5 and 2, where there still is a gradient."""
    policy, size = policy_of(BOUNDS, STATE_DEPENDENT, squash), 50
    at, beyond = (with_log_deviations(policy, log_deviation) for log_deviation in ((-5, 2, 0.3), (-7, 4, 0.3)))
    obs, drawn, weight = batch_for(at, size)
    np.testing.assert_array_equal(batch_for(beyond, size)[1], drawn)
    inside, outside = (
        policy_gradient(each.compiled, obs, drawn, NO_MASK, weight, 0.3)[0][-6 * 8 :] for each in (at, beyond)
    )
    biases, weights = slice(-3, -1), slice(21, 35)  # of the first two log σ, in the last layer of 6 · 7 weights
    assert not outside[biases].any() and not outside[weights].any()
    assert inside[biases].all() and inside[weights].any()
    rest = np.delete(np.arange(48), [*range(21, 35), 45, 46])
    np.testing.assert_array_equal(outside[rest], inside[rest])


@strict
def compiled_parts(action: Any, order: Any, start: Any, lanes: Any) -> Any:
    taken = new_actions(action, lanes)
    load_actions(action, order, taken, start, lanes)
    return taken, first_actions(action, lanes)


def interpreted_parts(action: Any, order: Any, start: Any, lanes: Any) -> Any:
    taken = new_actions(action, lanes)
    load_actions(action, order, taken, start, lanes)
    return taken, first_actions(action, lanes)


@pytest.mark.parametrize("parts", [interpreted_parts, compiled_parts])
def test_actions_are_taken_in_order_or_in_an_order(parts: Any) -> None:
    one, order, none = np.arange(10, 16, dtype=np.int32), np.array([5, 0, 3, 2, 1, 4]), np.empty(0, np.int64)
    several = np.stack([one, one + 10]).astype(np.float32)
    for chosen, expected in ((order, [10, 13, 12]), (none, [11, 12, 13])):
        taken, first = parts(one, chosen, 1, 3)
        assert (taken.tolist(), taken.dtype, first.tolist()) == (expected, np.int32, [10, 11, 12])
        taken, first = parts(several, chosen, 1, 3)
        assert (taken[0].tolist(), (taken[1] - taken[0]).tolist(), taken.dtype) == (expected, [10] * 3, np.float32)
        assert first.shape == (2, 6), "rows are as wide as they were"
    assert parts(one, np.array([4]), 0, 1)[0].tolist() == [14]
    assert parts(several.T.copy(), none, 0, 2)[0].tolist() == several.T.tolist()
    assert parts(several, np.array([4]), 0, 1)[0].tolist() == [[14], [24]]


@strict
def compiled_env_actions(head: Any, action: Any, result: Any) -> Any:
    env_actions(head, action, result)


@pytest.mark.parametrize("squash", [False, True])
@pytest.mark.parametrize("size", [1, 2, 3])
def test_each_number_has_bounds_of_its_own(size: int, squash: bool) -> None:
    low, high = np.array([-1.0, 0, 5][:size]), np.array([1.0, 10, 6][:size])
    u = np.float32([[-30, 0, 0.4, 30], [-30, 0, 0.7, 30], [-30, -0.5, 1, 30]][:size])
    bounds = tuple(map(bound_of, low, high))
    head, result = GaussianHead(np.zeros(size, np.float32), bounds, squash), np.empty_like(u)
    compiled_env_actions(head, u, result)
    units = np.tanh(u.T.astype(np.float64)) if squash else np.clip(u.T, -1, 1)
    expected = low + (high - low) * (1 + units) / 2
    error = 3e-7 * (high - low).max()  # of a float32 tanh, and of the bounds
    interpreted = [within(u, n, bounds, squash) for n in range(4)]
    np.testing.assert_allclose(result.T, expected, rtol=0, atol=error)
    np.testing.assert_allclose(interpreted, expected, rtol=0, atol=error)
