"""The networks that Python sees, against PyTorch; and how their parameters begin."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from pgrad.errors import InputError
from pgrad.kernels.mlp import num_parameters
from pgrad.policies.distributions import num_outputs
from pgrad.policies.mlp import MLPNetwork, MLPPolicy, MLPValue, initial_parameters, initial_policy, orthogonal, split
from pgrad.spaces import Box, MultiDiscrete

SHAPES = [(4, 2), (3, 8, 2), (5, 6, 7, 3), (2, 3, 1)]


def random_policy(sizes: tuple[int, ...], activation: str = "tanh", temperature: float = 1.0) -> MLPPolicy:
    parameters = np.random.default_rng(0).normal(size=num_parameters(sizes)).astype(np.float32)
    return MLPPolicy(parameters, sizes, activation, temperature)


def random_obs(policy: MLPNetwork, batch: int) -> npt.NDArray[np.float64]:
    return np.random.default_rng(1).normal(size=(batch, policy.sizes[0]))


def as_torch(policy: MLPNetwork) -> torch.nn.Sequential:
    modules: list[torch.nn.Module] = []
    for weight, bias in policy.layers:
        linear = torch.nn.Linear(weight.shape[1], weight.shape[0], dtype=torch.float64)
        linear.load_state_dict({"weight": torch.tensor(weight), "bias": torch.tensor(bias)})
        modules += [linear, torch.nn.Tanh() if policy.activation == "tanh" else torch.nn.ReLU()]
    return torch.nn.Sequential(*modules[:-1])


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("sizes", SHAPES, ids=str)
def test_everything_is_pytorchs(sizes: tuple[int, ...], activation: str, temperature: float) -> None:
    policy = random_policy(sizes, activation, temperature)
    obs, action = random_obs(policy, 700), np.random.default_rng(2).integers(0, sizes[-1], 700)
    with torch.no_grad():
        logits = as_torch(policy)(torch.tensor(obs))
        oracle = torch.distributions.Categorical(logits=logits / temperature)
        tolerance = 1e-5 / temperature
        np.testing.assert_allclose(policy.logits(obs), logits, atol=1e-5)
        np.testing.assert_allclose(policy.probabilities(obs), oracle.probs, atol=tolerance)
        np.testing.assert_allclose(policy.log_prob(obs, action), oracle.log_prob(torch.tensor(action)), atol=tolerance)
        np.testing.assert_allclose(policy.entropy(obs), oracle.entropy(), atol=tolerance)


def random_value(sizes: tuple[int, ...], activation: str = "tanh") -> MLPValue:
    policy = random_policy(sizes, activation)
    return MLPValue(policy.parameters, sizes, activation)


@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("sizes", [(4, 1), (1, 1), (3, 8, 1), (5, 6, 7, 1)], ids=str)
def test_the_value_is_pytorchs(sizes: tuple[int, ...], activation: str) -> None:
    critic = random_value(sizes, activation)
    obs = random_obs(critic, 700)
    with torch.no_grad():
        expected = as_torch(critic)(torch.tensor(obs))[:, 0].numpy()
    value = critic.value(obs)
    assert (value.shape, value.dtype) == ((700,), np.float64)
    np.testing.assert_allclose(value, expected, atol=1e-5)
    assert len(set(value.tolist())) > 1


def test_the_value_of_one_observation_is_a_number() -> None:
    critic = random_value((3, 5, 1))
    obs = random_obs(critic, 4)
    for n in range(4):
        one = critic.value(obs[n])
        assert one.shape == ()
        assert float(one) == critic.value(obs)[n] == critic.value(obs[n].tolist())
    assert critic.value(obs[:1]).shape == (1,)
    assert critic.value(obs[:0]).shape == (0,)


@pytest.mark.parametrize("obs", [np.zeros(2), np.zeros((5, 2)), np.zeros((1, 1, 3)), 1.0])
def test_a_value_of_an_observation_of_another_shape_is_refused(obs: Any) -> None:
    with pytest.raises(InputError, match=r"\(3,\) or \(N, 3\)"):
        random_value((3, 1)).value(obs)


@pytest.mark.parametrize("kind", [MLPNetwork, MLPPolicy, MLPValue])
def test_every_network_is_checked_and_says_what_it_is(kind: type[MLPNetwork]) -> None:
    network = kind(np.zeros(21, np.float32), (3, 4, 1), "relu")
    assert repr(network).startswith(f"<{kind.__name__}: 3-4-1, relu, 21 parameters")
    with pytest.raises(InputError, match="'rely': did you mean 'relu'"):
        kind(np.zeros(21, np.float32), (3, 4, 1), "rely")
    with pytest.raises(InputError, match=r"has 21 parameters, not an array \(20,\)"):
        kind(np.zeros(20, np.float32), (3, 4, 1))


def test_one_observation_is_a_batch_of_one() -> None:
    policy = random_policy((3, 5, 2))
    obs = random_obs(policy, 4)
    for method in (policy.logits, policy.probabilities, policy.entropy):
        assert method(obs).shape[0] == 4
        assert method(obs[1]).tolist() == method(obs)[1].tolist()
    assert policy.log_prob(obs[1], 1).tolist() == policy.log_prob(obs, [0, 1, 0, 0])[1]
    assert policy.logits(obs[:0]).shape == (0, 2)
    assert policy.logits(obs[1].tolist()).tolist() == policy.logits(obs[1]).tolist()


@pytest.mark.parametrize("actions", [Box((-1.0, -2.0), (1.0, 2.0)), MultiDiscrete((2, 3))])
def test_several_numbers_are_acted_for_one_observation_or_many(actions: Box | MultiDiscrete) -> None:
    sizes = (3, 5, num_outputs(actions, "state-independent"))
    parameters = np.random.default_rng(0).normal(size=num_parameters(sizes) + 2 * isinstance(actions, Box))
    policy = MLPPolicy(parameters.astype(np.float32), sizes, actions=actions)
    obs = random_obs(policy, 4)
    assert MLPPolicy(policy.parameters, sizes, actions=actions, squash=True).squash == isinstance(actions, Box)
    assert policy.act(obs).shape == (4, 2)
    assert policy.act(obs[1]).tolist() == policy.act(obs)[1].tolist()


def test_acting_without_randomness_takes_the_most_probable_action() -> None:
    policy = random_policy((3, 5, 4))
    obs = random_obs(policy, 50)
    actions = policy.act(obs)
    assert actions.tolist() == policy.probabilities(obs).argmax(axis=1).tolist()
    assert len(set(actions.tolist())) > 1
    assert type(policy.act(obs[0])) is int and policy.act(obs[0]) == actions[0]


@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_acting_frequencies_are_the_probabilities(temperature: float) -> None:
    """A frequency among n draws has standard error √(p (1 - p) / n)."""
    policy, n = random_policy((3, 5, 4), temperature=temperature), 50_000
    obs, rng = random_obs(policy, 1), np.random.default_rng(3)
    frequency = np.bincount(policy.act(np.repeat(obs, n, axis=0), rng), minlength=4) / n
    p = policy.probabilities(obs)[0]
    assert (np.abs(frequency - p) <= 4 * np.sqrt(p * (1 - p) / n)).all()
    assert type(policy.act(obs[0], rng)) is int


def test_the_seed_decides_the_actions() -> None:
    policy = random_policy((3, 5, 4))
    obs = random_obs(policy, 100)
    first, again, other = (policy.act(obs, np.random.default_rng(seed)).tolist() for seed in (0, 0, 1))
    assert first == again != other


@pytest.mark.parametrize(
    "obs", [np.zeros(2), np.zeros(4), np.zeros((5, 2)), np.zeros((1, 1, 3)), 1.0, np.zeros((3, 5))]
)
def test_an_observation_of_another_shape_is_refused(obs: Any) -> None:
    with pytest.raises(InputError, match=r"\(3,\) or \(N, 3\)"):
        random_policy((3, 2)).logits(obs)


@pytest.mark.parametrize("shape", [(7,), (9,), (2, 4)])
def test_the_number_of_parameters_must_fit_the_sizes(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"\(3, 2\) has 8 parameters"):
        MLPPolicy(np.zeros(shape, np.float32), (3, 2))
    assert MLPPolicy(np.zeros(8, np.float32), (3, 2)).num_parameters == 8


def test_layers_are_views_weight_before_bias() -> None:
    parameters = np.arange(num_parameters((2, 3, 1)), dtype=np.float32)
    (w0, b0), (w1, b1) = split(parameters, (2, 3, 1))
    assert (w0.tolist(), b0.tolist()) == ([[0, 1], [2, 3], [4, 5]], [6, 7, 8])
    assert (w1.tolist(), b1.tolist()) == ([[9, 10, 11]], [12])
    w1[0, 0] = -1
    assert parameters[9] == -1


@pytest.mark.parametrize("inputs", [1, 16, 400])
def test_uniform_initialisation_is_uniform_within_pytorchs_bounds(inputs: int) -> None:
    """The mean of n numbers uniform within ±b has standard error b/√(3n); the largest is within about 10 b/n of b."""
    parameters = initial_parameters((inputs, 4000 // inputs, 2), "uniform", 1.0, np.random.default_rng(0))
    weight, bias = split(parameters, (inputs, 4000 // inputs, 2))[0]
    bound = 1 / math.sqrt(inputs)
    linear = torch.nn.Linear(inputs, 1000)
    assert float(linear.weight.detach().abs().max()) == pytest.approx(bound, rel=2e-2), "PyTorch's bound"
    values = np.concatenate([weight.ravel(), bias])
    assert bound * (1 - 10 / values.size) < np.abs(values).max() <= bound * (1 + 1e-6)
    assert abs(values.mean()) < 4 * bound / math.sqrt(3 * values.size)
    assert bias.any()


@pytest.mark.parametrize("gain", [0.01, 1.0])
@pytest.mark.parametrize("sizes", [(4, 64, 2), (9, 3, 5), (4, 2)])
def test_orthogonal_initialisation(sizes: tuple[int, ...], gain: float) -> None:
    layers = split(initial_parameters(sizes, "orthogonal", gain, np.random.default_rng(0)), sizes)
    for k, (weight, bias) in enumerate(layers):
        expected = gain if k == len(layers) - 1 else math.sqrt(2)
        singular = np.linalg.svd(weight.astype(np.float64), compute_uv=False)
        np.testing.assert_allclose(singular, expected, rtol=1e-6)
        assert not bias.any()


def test_orthogonal_matrices_are_uniformly_distributed() -> None:
    """Without the sign correction the diagonal would be of one sign. An entry of a random n × n orthogonal matrix has
    mean 0 and variance 1/n; the mean over m matrices has standard error 1/√(nm)."""
    rng, m = np.random.default_rng(0), 4000
    matrices = np.stack([orthogonal((3, 3), rng) for _ in range(m)])
    assert np.abs(matrices.mean(axis=0)).max() < 4 / math.sqrt(3 * m)
    assert np.abs((matrices**2).mean(axis=0) - 1 / 3).max() < 4 * math.sqrt(3 / 15 - 1 / 9) / math.sqrt(m)


@pytest.mark.parametrize("initialization", ["uniform", "orthogonal"])
def test_the_seed_decides_the_parameters(initialization: str) -> None:
    first, again, other = (
        initial_parameters((4, 8, 2), initialization, 0.01, np.random.default_rng(seed)).tobytes() for seed in (0, 0, 1)
    )
    assert first == again != other


def test_a_small_output_gain_makes_the_policy_nearly_uniform() -> None:
    policy = MLPPolicy(initial_parameters((4, 64, 2), "orthogonal", 0.01, np.random.default_rng(0)), (4, 64, 2))
    np.testing.assert_allclose(policy.probabilities(random_obs(policy, 100)), 0.5, atol=0.03)


def test_a_policy_begins_with_small_outputs_and_the_deviation_asked_for() -> None:
    """The last layer's weights are orthogonal times 0.01; log σ is its bias, or a parameter of its own."""
    actions, rng = Box((-1.0, -1.0), (1.0, 1.0)), np.random.default_rng(0)
    weight, bias = split(initial_policy((3, 8, 4), "orthogonal", actions, "state-dependent", 0.5, rng), (3, 8, 4))[-1]
    np.testing.assert_allclose(weight @ weight.T, 1e-4 * np.eye(4), atol=1e-9)
    np.testing.assert_allclose(bias, [0, 0, np.log(0.5), np.log(0.5)], rtol=1e-6)
    parameters = initial_policy((3, 8, 2), "orthogonal", actions, "state-independent", 0.5, rng)
    np.testing.assert_allclose(parameters[-2:], np.log(0.5), rtol=1e-6)
    parameters = initial_policy((3, 8, 2), "orthogonal", actions, "gsde", 0.5, rng)
    policy: Any = MLPPolicy(parameters, (3, 8, 2), actions=actions, std="gsde").distribution(np.array([[1.0, -1, 1]]))
    np.testing.assert_allclose(policy.log_std, np.log(0.5), rtol=1e-6)


def test_a_mask_of_another_shape_is_told_so_by_every_method() -> None:
    policy, obs = random_policy((4, 2)), np.zeros(4)
    assert policy.probabilities(obs, [True, False]).tolist() == [1, 0]
    for ask in (policy.probabilities, policy.entropy):
        with pytest.raises(InputError, match=r"mask .* must have shape \(1, 2\), not \(3,\)"):
            ask(obs, mask=[True] * 3)


def test_an_unknown_distribution_is_named() -> None:
    with pytest.raises(InputError, match="unknown action_distribution 'bta': did you mean 'beta'"):
        MLPPolicy(np.zeros(10, np.float32), (4, 2), action_distribution="bta")


def test_only_bounded_actions_are_squashed() -> None:
    unbounded = Box(-np.inf, np.inf, 1)
    with pytest.raises(InputError, match="only actions with finite bounds can be squashed"):
        MLPPolicy(np.zeros(6, np.float32), (4, 1), actions=unbounded, squash=True)
    assert not MLPPolicy(np.zeros(6, np.float32), (4, 1), actions=unbounded).squash
    assert MLPPolicy(np.zeros(6, np.float32), (4, 1), actions=Box(-1.0, 1.0, 1), squash=True).squash
