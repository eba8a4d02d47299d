"""The policy gradient, whole and by trajectory, and the value gradient against autograd, slopes and hand."""

import itertools
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from tests import bare_samples

from pgrad.estimators import gradient as estimators
from pgrad.estimators.gradient import by_trajectory, overlaps, value_gradient
from pgrad.kernels.heads import NO_MASK, CategoricalHead, Policy
from pgrad.kernels.mlp import BLOCK, MLP, network, num_parameters

Array = npt.NDArray[Any]

# No hidden layer to three; one to five actions; sizes that are multiples of four and that are not.
SHAPES = [
    (1, 1),
    (4, 2),
    (3, 5),
    (4, 64, 2),
    (3, 5, 3),
    (1, 1, 4),
    (6, 7, 1),
    (5, 8, 12, 2),
    (2, 3, 7, 5),
    (9, 4, 4, 6, 3),
]
BATCHES = [1, 5, BLOCK, BLOCK + 1, 2 * BLOCK + 37]


def policy_gradient(
    net: MLP, inverse_temperature: float, obs: Array, action: Array, weight: Array, entropy_weight: float
) -> tuple[Array, float]:
    """The gradient of bare samples, whose weights and bonus hold the normaliser."""
    return bare_samples.policy_gradient(
        Policy(net, CategoricalHead(inverse_temperature)), obs, action, NO_MASK, weight, entropy_weight
    )


def trajectory_gradients(
    net: MLP, inverse_temperature: float, obs: Array, action: Array, order: Array, first: Array, weight: Array
) -> Array:
    policy = Policy(net, CategoricalHead(inverse_temperature))
    return estimators.trajectory_gradients(policy, obs, action, NO_MASK, order, first, weight)


def samples(sizes: tuple[int, ...], batch: int) -> tuple[Array, Array, Array, Array]:
    """parameters, obs, action, weight."""
    rng = np.random.default_rng(batch)
    parameters = rng.normal(size=num_parameters(sizes)).astype(np.float32)
    obs = rng.normal(size=(sizes[0], batch)).astype(np.float32)
    weight = (rng.normal(size=batch) / batch).astype(np.float32)
    return parameters, obs, rng.integers(0, sizes[-1], batch).astype(np.int32), weight


def torch_outputs(parameters: torch.Tensor, sizes: tuple[int, ...], activation: str, obs: Array) -> torch.Tensor:
    y, offset = torch.tensor(obs.astype(np.float64)).T, 0
    for k, (inputs, outputs) in enumerate(itertools.pairwise(sizes)):
        weight = parameters[offset : offset + inputs * outputs].reshape(outputs, inputs)
        offset += inputs * outputs
        y = torch.nn.functional.linear(y, weight, parameters[offset : offset + outputs])
        offset += outputs
        if k < len(sizes) - 2:
            y = torch.relu(y) if activation == "relu" else torch.tanh(y)
    return y


def assert_close(gradient: Array, expected: Array) -> None:
    """Within float32's rounding, relative to the largest component."""
    np.testing.assert_allclose(gradient, expected, rtol=0, atol=1e-5 * max(float(np.abs(expected).max()), 0.1))


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("sizes", SHAPES, ids=str)
@pytest.mark.parametrize(("temperature", "bonus"), [(1.0, 0.0), (0.5, 0.0), (1.0, 0.2), (3.0, 0.2)])
def test_the_policy_gradient_is_autograds(
    sizes: tuple[int, ...], activation: str, batch: int, temperature: float, bonus: float
) -> None:
    parameters, obs, action, weight = samples(sizes, batch)
    net = network(parameters, sizes, activation)
    gradient, entropy = policy_gradient(net, 1 / temperature, obs, action, weight, bonus / batch)
    leaf = torch.tensor(parameters.astype(np.float64), requires_grad=True)
    policy = torch.distributions.Categorical(logits=torch_outputs(leaf, sizes, activation, obs) / temperature)
    surrogate = torch.tensor(weight.astype(np.float64)) * policy.log_prob(torch.tensor(action))
    (surrogate.sum() + bonus * policy.entropy().mean()).backward()
    assert leaf.grad is not None
    assert gradient.dtype == np.float32
    assert_close(gradient, leaf.grad.numpy())
    assert entropy == pytest.approx(float(policy.entropy().detach().mean()), abs=1e-5)


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("sizes", [(*sizes[:-1], 1) for sizes in SHAPES], ids=str)
def test_the_value_gradient_is_autograds(sizes: tuple[int, ...], activation: str, batch: int) -> None:
    parameters, obs, _, _ = samples(sizes, batch)
    target = np.random.default_rng(1).normal(size=batch)
    gradient, mean_squared_error = value_gradient(network(parameters, sizes, activation), obs, target)
    leaf = torch.tensor(parameters.astype(np.float64), requires_grad=True)
    error = ((torch_outputs(leaf, sizes, activation, obs)[:, 0] - torch.tensor(target)) ** 2).mean()
    (-0.5 * error).backward()
    assert leaf.grad is not None
    assert_close(gradient, leaf.grad.numpy())
    assert mean_squared_error == pytest.approx(float(error.detach()), rel=1e-5)


def test_the_policy_gradient_is_the_slope_of_the_surrogate() -> None:
    """Central differences of a float64 copy of the network in NumPy."""
    sizes, h = (3, 4, 2), 1e-5
    parameters, obs, action, weight = samples(sizes, 20)

    def surrogate(p: Array) -> float:
        hidden = np.tanh(p[:12].reshape(4, 3) @ obs + p[12:16, None])
        logits = (p[16:24].reshape(2, 4) @ hidden + p[24:26, None]) / 1.5
        log_probs = logits - np.log(np.exp(logits).sum(axis=0))
        entropy = -(np.exp(log_probs) * log_probs).sum(axis=0)
        return float(weight @ log_probs[action, np.arange(20)] + 0.01 * entropy.sum())

    centre = parameters.astype(np.float64)
    slope = [(surrogate(centre + h * unit) - surrogate(centre - h * unit)) / (2 * h) for unit in np.eye(26)]
    gradient, _ = policy_gradient(network(parameters, sizes, "tanh"), 1 / 1.5, obs, action, weight, 0.01)
    assert_close(gradient, np.array(slope))


def test_a_linear_policy_by_hand() -> None:
    """With equal preferences of two actions the score at the logits is ±½: the gradient is Σ w · (±½) · (s, 1)."""
    net = network(np.zeros(4, np.float32), (1, 2), "relu")
    obs, action = np.array([[2, -3]], np.float32), np.array([0, 1], np.int32)
    gradient, entropy = policy_gradient(net, 1.0, obs, action, np.array([10, 4], np.float32), 0.0)
    at_action_0 = [10 * 0.5 * 2 - 4 * 0.5 * -3, 10 * 0.5 - 4 * 0.5]
    np.testing.assert_allclose(gradient, [at_action_0[0], -at_action_0[0], at_action_0[1], -at_action_0[1]], rtol=1e-6)
    assert entropy == pytest.approx(np.log(2), rel=1e-6)


def test_a_linear_value_by_hand() -> None:
    """V = 2s + 1 at s = 3 is 7; towards the target 10 the error is 3, and at s = -1 (V = -1, target 0) it is 1."""
    net = network(np.array([2, 1], np.float32), (1, 1), "relu")
    gradient, error = value_gradient(net, np.array([[3, -1]], np.float32), np.array([10.0, 0.0]))
    np.testing.assert_allclose(gradient, [(3 * 3 + 1 * -1) / 2, (3 + 1) / 2], rtol=1e-6)
    assert error == pytest.approx((9 + 1) / 2)


def test_one_action_leaves_nothing_to_learn() -> None:
    parameters, obs, action, weight = samples((3, 5, 1), 30)
    gradient, entropy = policy_gradient(network(parameters, (3, 5, 1), "tanh"), 1.0, obs, action, weight, 0.5)
    np.testing.assert_allclose(gradient, 0, atol=1e-7)
    assert entropy == pytest.approx(0, abs=1e-7)


def test_scores_have_mean_zero_under_the_policy() -> None:
    """Each action in each state, weighted by its probability: no return, no gradient."""
    sizes = (3, 6, 4)
    parameters, obs, _, _ = samples(sizes, 50)
    leaf = torch.tensor(parameters.astype(np.float64))
    p = torch.softmax(torch_outputs(leaf, sizes, "tanh", obs), dim=1).numpy()
    every_obs, every_action = np.repeat(obs, 4, axis=1), np.tile(np.arange(4, dtype=np.int32), 50)
    net = network(parameters, sizes, "tanh")
    gradient, _ = policy_gradient(net, 1.0, every_obs, every_action, p.ravel().astype(np.float32), 0.0)
    np.testing.assert_allclose(gradient, 0, atol=2e-5)


def test_it_is_linear_in_the_weights() -> None:
    sizes = (4, 8, 3)
    parameters, obs, action, weight = samples(sizes, 100)
    net = network(parameters, sizes, "relu")
    once, twice, none = (policy_gradient(net, 1.0, obs, action, c * weight, 0.0)[0] for c in np.float32([1, 2, 0]))
    assert_close(twice, 2 * once)
    assert not none.any() and once.any()


def test_the_order_of_the_samples_does_not_matter_beyond_rounding_and_the_same_order_gives_the_same_bits() -> None:
    sizes, batch = (4, 8, 3), 2 * BLOCK + 37
    parameters, obs, action, weight = samples(sizes, batch)
    net, order = network(parameters, sizes, "tanh"), np.random.default_rng(0).permutation(batch)
    first, again = (policy_gradient(net, 1.0, obs, action, weight, 0.01) for _ in range(2))
    assert first[0].tobytes() == again[0].tobytes() and first[1] == again[1]
    shuffled = np.ascontiguousarray(obs[:, order]), action[order], weight[order]
    assert_close(policy_gradient(net, 1.0, *shuffled, 0.01)[0], first[0])


def test_columns_beyond_the_batch_are_not_read() -> None:
    sizes = (4, 8, 3)
    parameters, obs, action, weight = samples(sizes, BLOCK + 9)
    net, wide = network(parameters, sizes, "relu"), np.full((4, 3 * BLOCK), np.nan, np.float32)
    wide[:, : BLOCK + 9] = obs
    expected, result = (policy_gradient(net, 1.0, x, action, weight, 0.01)[0] for x in (obs, wide))
    assert result.tobytes() == expected.tobytes()
    critic = network(samples((4, 8, 1), 1)[0], (4, 8, 1), "relu")
    expected, result = (value_gradient(critic, x, np.ones(BLOCK + 9))[0] for x in (obs, wide))
    assert result.tobytes() == expected.tobytes()


def test_the_parameters_are_left_as_they_are() -> None:
    sizes = (4, 8, 1)
    parameters, obs, action, weight = samples(sizes, 30)
    before = parameters.copy()
    policy_gradient(network(parameters, sizes, "tanh"), 1.0, obs, action, weight, 0.1)
    value_gradient(network(parameters, sizes, "tanh"), obs, np.ones(30))
    assert parameters.tobytes() == before.tobytes()


@pytest.mark.parametrize("sample", [0, BLOCK - 1, BLOCK + 8])
def test_nan_in_one_sample_reaches_the_gradient(sample: int) -> None:
    sizes = (4, 8, 3)
    parameters, obs, action, weight = samples(sizes, BLOCK + 9)
    net, target = network(parameters, sizes, "tanh"), np.zeros(BLOCK + 9)
    bad_weight, bad_obs = weight.copy(), obs.copy()
    bad_weight[sample], bad_obs[1, sample], target[sample] = np.nan, np.nan, np.nan
    assert np.isnan(policy_gradient(net, 1.0, obs, action, bad_weight, 0.0)[0]).any()
    assert np.isnan(policy_gradient(net, 1.0, bad_obs, action, weight, 0.0)[0]).any()
    critic = network(samples((4, 8, 1), 1)[0], (4, 8, 1), "tanh")
    assert np.isnan(value_gradient(critic, obs, target)[0]).any()


# --- each trajectory's share

LENGTHS = [1, BLOCK + 3, 0, 40, 2 * BLOCK, 1, 7]  # a trajectory may be shorter and longer than a block, or empty


def shuffled_trajectories(sizes: tuple[int, ...], num_weights: int) -> tuple[Array, Array, Array, Array, Array]:
    """parameters, obs, action, env in random order, and weights [K, B] that differ in size."""
    env = np.random.default_rng(5).permutation(np.repeat(np.arange(len(LENGTHS), dtype=np.int32), LENGTHS))
    parameters, obs, action, _ = samples(sizes, env.size)
    weight = np.random.default_rng(6).normal(size=(num_weights, env.size)) * 4.0 ** np.arange(num_weights)[:, None]
    return parameters, obs, action, env, weight / 500


@pytest.mark.parametrize("temperature", [1.0, 0.4])
@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("sizes", [(4, 2), (3, 5), (3, 1), (4, 8, 2), (3, 5, 3), (5, 8, 12, 2), (2, 3, 7, 5)], ids=str)
def test_each_trajectorys_gradient_is_autograds_and_they_add_up(
    sizes: tuple[int, ...], activation: str, temperature: float
) -> None:
    parameters, obs, action, env, weight = shuffled_trajectories(sizes, 3)
    net = network(parameters, sizes, activation)
    result = trajectory_gradients(net, 1 / temperature, obs, action, *by_trajectory(env, len(LENGTHS)), weight)
    assert (result.shape, result.dtype) == ((3, len(LENGTHS), parameters.size), np.float32)
    leaf = torch.tensor(parameters.astype(np.float64), requires_grad=True)
    policy = torch.distributions.Categorical(logits=torch_outputs(leaf, sizes, activation, obs) / temperature)
    surrogates = torch.tensor(weight) * policy.log_prob(torch.tensor(action))
    for n, k in itertools.product(range(len(LENGTHS)), range(3)):
        (expected,) = torch.autograd.grad(surrogates[k, torch.tensor(env == n)].sum(), leaf, retain_graph=True)
        assert_close(result[k, n], expected.numpy())
    for k in range(3):
        assert_close(result[k].sum(axis=0), policy_gradient(net, 1 / temperature, obs, action, weight[k], 0.0)[0])


def test_a_trajectory_has_the_same_gradient_alone_and_among_others_and_one_weight_among_several() -> None:
    sizes = (4, 8, 3)
    parameters, obs, action, env, weight = shuffled_trajectories(sizes, 3)
    net = network(parameters, sizes, "tanh")
    together = trajectory_gradients(net, 1.0, obs, action, *by_trajectory(env, len(LENGTHS)), weight)
    for n, length in enumerate(LENGTHS):
        own, one = env == n, by_trajectory(np.zeros(length, np.int32), 1)
        own_obs, own_weight = np.ascontiguousarray(obs[:, own]), np.ascontiguousarray(weight[:, own])
        alone = trajectory_gradients(net, 1.0, own_obs, action[own], *one, own_weight)
        assert_close(alone[:, 0], together[:, n])
        last = trajectory_gradients(net, 1.0, own_obs, action[own], *one, own_weight[2:])
        assert_close(last[0, 0], together[2, n])
        assert alone.any() == (length > 0)


def test_the_gradients_of_trajectories_by_hand() -> None:
    """As for the linear policy above: the score of action 0 is ½ (s, -s, 1, -1), that of action 1 its opposite."""
    net = network(np.zeros(4, np.float32), (1, 2), "relu")
    obs, action = np.array([[2, -3, 4, np.nan]], np.float32), np.array([0, 1, 1], np.int32)
    weight = np.array([[10.0, 4, 2], [1, 1, 1]])
    result = trajectory_gradients(net, 1.0, obs, action, *by_trajectory(np.array([1, 0, 1], np.int32), 2), weight)
    np.testing.assert_allclose(result[:, 0], [[6, -6, -2, 2], [1.5, -1.5, -0.5, 0.5]], rtol=1e-6)
    np.testing.assert_allclose(result[:, 1], [[6, -6, 4, -4], [-1, 1, 0, 0]], rtol=1e-6)
    np.testing.assert_allclose(overlaps(*result), [[18 + 2, -12], [5, 2]], rtol=1e-6)


def test_samples_by_trajectory_by_hand() -> None:
    """Of the third, the samples 0, 2, 5; of the first, 1 and 4; of the second, 3; of the fourth, none."""
    order, first = by_trajectory(np.array([2, 0, 2, 1, 0, 2], np.int32), 4)
    assert (order.tolist(), first.tolist()) == ([1, 4, 3, 0, 2, 5], [0, 2, 3, 6, 6])
    order, first = by_trajectory(np.empty(0, np.int32), 2)
    assert (order.tolist(), first.tolist()) == ([], [0, 0, 0])


def test_samples_by_trajectory_are_numpys_stable_order() -> None:
    env = np.random.default_rng(0).integers(1, 9, 1000).astype(np.int32)
    order, first = by_trajectory(env, 10)
    assert order.tolist() == np.argsort(env, kind="stable").tolist()
    assert np.diff(first).tolist() == np.bincount(env, minlength=10).tolist()
    assert (first[0], first[-1]) == (0, env.size)


def test_overlaps_are_summed_in_double_precision() -> None:
    """Squares of 10³⁰ are out of float32's range, and (2¹³ + 1)² out of its precision."""
    gradients = np.array(
        [[[1, 2], [0, -1], [1e30, 1], [0, 0]], [[3, 4], [2, 2], [1e30, 1], [0, 2**13 + 1]]],
    )
    product, square = overlaps(*gradients.astype(np.float32))
    assert (product[:2].tolist(), square[:2].tolist()) == ([11, -2], [25, 8])
    np.testing.assert_allclose([product[2], square[2]], 1e60, rtol=1e-6)
    assert (product[3], square[3]) == (0, (2**13 + 1) ** 2)


def test_nan_in_one_trajectory_stays_there() -> None:
    parameters, obs, action, env, weight = shuffled_trajectories((4, 8, 3), 2)
    obs[1, np.flatnonzero(env == 1)[-1]] = np.nan
    net = network(parameters, (4, 8, 3), "tanh")
    result = trajectory_gradients(net, 1.0, obs, action, *by_trajectory(env, len(LENGTHS)), weight)
    assert np.isnan(result[:, 1]).any(axis=1).all()
    assert np.isfinite(np.delete(result, 1, axis=1)).all()
