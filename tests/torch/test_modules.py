"""The modules that come with pgrad, and TorchPolicy as a policy from Python."""

import math
import subprocess
import sys
import threading
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Bernoulli, Categorical, Cauchy, Independent, Normal, Uniform

import pgrad
from pgrad.spaces import Box, Discrete, MultiDiscrete, Space
from pgrad.torch import ConvPolicy, MLPModule, PolicyNetwork
from pgrad.torch.actor import TorchActor
from pgrad.torch.devices import device_of, seeded, threads_for
from pgrad.torch.policy import Inputs, TorchPolicy, require_logits

CPU = torch.device("cpu")
NOTHING = np.empty(0, np.float32)
KEYS, STEPS = np.arange(6, dtype=np.uint64), np.zeros(6, np.int32)


def policy_of(module: nn.Module, actions: Space, shape: tuple[int, ...] = (4,), **options: Any) -> TorchPolicy:
    return TorchPolicy(module, Inputs(shape, NOTHING, NOTHING, CPU), actions, **options)


def observations(*shape: int) -> Any:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


class Says(nn.Module):
    """Returns what a function makes of its linear layer's outputs."""

    def __init__(self, outputs: int, function: Any) -> None:
        super().__init__()
        self.layer, self.function = nn.Linear(4, outputs), function

    def forward(self, obs: Tensor) -> Any:
        return self.function(self.layer(obs))


def test_the_notebooks_network() -> None:
    """One state or many; probabilities of its preferences; actions drawn in proportion, with their log-probability."""
    torch.manual_seed(0)
    network = PolicyNetwork(4, 2)
    state = observations(4)
    assert sum(parameter.numel() for parameter in network.parameters()) == 898
    probabilities = network.get_action_probs(state)
    torch.testing.assert_close(probabilities, torch.softmax(network(torch.tensor(state)), -1))
    assert network.get_action_probs(observations(5, 4)).shape == (5, 2)
    action, log_prob = network.sample_action(state)
    assert isinstance(action, int)
    torch.testing.assert_close(log_prob.exp(), probabilities[action])
    log_prob.backward()  # type: ignore[no-untyped-call]
    assert network.layers[0].weight.grad is not None
    ones = sum(network.sample_action(state)[0] for _ in range(2000))
    p = float(probabilities.detach()[1])
    assert abs(ones - 2000 * p) < 4 * np.sqrt(2000 * p * (1 - p))


@pytest.mark.parametrize("shape", [(3, 36, 40), (36, 40, 3), (1, 84, 84), (5, 5, 1), (1, 3, 3), (2, 2, 1)])
def test_a_convolutional_policy_takes_images_either_way_round(shape: tuple[int, ...]) -> None:
    module = ConvPolicy(shape, 4, hidden=16)
    logits, value = module(torch.randint(0, 256, (7, *shape), dtype=torch.uint8))
    assert logits.shape == (7, 4)
    assert value.shape == (7,)
    mean, log_std, value = ConvPolicy(shape, Box(-1, 1, 2), hidden=16)(torch.zeros(7, *shape))
    assert (mean.shape, log_std.shape, value.shape) == ((7, 2), (2,), (7,))


def test_pixels_are_scaled_and_channels_found() -> None:
    """255 becomes one, and the two ways round hold the same image."""
    module = ConvPolicy((3, 8, 9), 2)
    assert module.convolutions[0].in_channels == 3
    assert ConvPolicy((8, 9, 3), 2).convolutions[0].in_channels == 3
    assert ConvPolicy((8, 9, 9), 2, channels_last=True).convolutions[0].in_channels == 9
    unscaled = ConvPolicy((3, 8, 9), 2, scale=1.0)
    unscaled.load_state_dict(module.state_dict())
    image = torch.randint(0, 256, (2, 3, 8, 9))
    torch.testing.assert_close(module(image)[0], unscaled(image / 255)[0], rtol=1e-4, atol=1e-5)
    last = ConvPolicy((8, 9, 3), 2)
    last.load_state_dict(module.state_dict())
    torch.testing.assert_close(last(image.movedim(1, -1))[0], module(image)[0], rtol=1e-4, atol=1e-5)
    with pytest.raises(pgrad.PolicyError, match=r"three axes.*not \(8, 9\)"):
        ConvPolicy((8, 9), 2)


def test_a_module_is_a_policy_like_any_other() -> None:
    """One observation or many, flat or in the environment's own shape, with and without a mask."""
    torch.manual_seed(1)
    policy = policy_of(nn.Sequential(nn.Flatten(), nn.Linear(4, 3)), Discrete(3), (2, 2), temperature=0.5)
    obs, rng = observations(5, 2, 2), np.random.default_rng(0)
    probabilities = policy.probabilities(obs)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(policy.probabilities(obs.reshape(5, 4)), probabilities, rtol=1e-5)
    np.testing.assert_allclose(policy.probabilities(obs[2]), probabilities[2], rtol=1e-5)
    with torch.no_grad():
        expected = torch.softmax(2 * policy.module(torch.tensor(obs)), -1)
    np.testing.assert_allclose(probabilities, expected, rtol=1e-5)
    np.testing.assert_allclose(
        policy.log_prob(obs, [0, 1, 2, 0, 1]), np.log(probabilities[range(5), [0, 1, 2, 0, 1]]), rtol=1e-5
    )
    np.testing.assert_allclose(policy.entropy(obs), -(probabilities * np.log(probabilities)).sum(axis=1), rtol=1e-5)
    np.testing.assert_array_equal(policy.act(obs), probabilities.argmax(axis=1))
    assert isinstance(policy.act(obs[0], rng), int)
    mask = [True, False, True]
    assert (policy.probabilities(obs, mask)[:, 1] == 0).all()
    assert 1 not in policy.act(np.repeat(obs, 20, axis=0), rng, mask)
    with pytest.raises(pgrad.InputError, match=r"\(2, 2\) or \(N, 2, 2\)"):
        policy.act(observations(3))
    with pytest.raises(pgrad.InputError, match=r"must be numbers, .* not {'image': 0}"):
        policy.act({"image": 0})  # type: ignore[arg-type]


def test_only_bounded_actions_are_squashed() -> None:
    with pytest.raises(pgrad.InputError, match="only actions with finite bounds can be squashed"):
        policy_of(nn.Linear(4, 1), Box(-np.inf, np.inf), squash=True)


def test_a_distribution_of_the_modules_own_is_a_policy_too() -> None:
    torch.manual_seed(1)
    linear = nn.Linear(4, 3)
    plain = policy_of(linear, Discrete(3))
    custom = Says(3, lambda logits: Categorical(logits=logits))
    custom.layer = linear
    policy, obs = policy_of(custom, Discrete(3)), observations(6, 4)
    np.testing.assert_allclose(policy.probabilities(obs), plain.probabilities(obs), rtol=1e-5)
    np.testing.assert_allclose(
        policy.log_prob(obs, [0, 1, 2, 0, 1, 2]), plain.log_prob(obs, [0, 1, 2, 0, 1, 2]), rtol=1e-5
    )
    np.testing.assert_allclose(policy.entropy(obs), plain.entropy(obs), rtol=1e-5)
    np.testing.assert_array_equal(policy.act(obs), plain.act(obs))
    draws = [policy.act(observations(500, 4), np.random.default_rng(seed)) for seed in (0, 0, 1)]
    np.testing.assert_array_equal(draws[0], draws[1])
    assert not np.array_equal(draws[0], draws[2])
    with pytest.raises(pgrad.InputError, match="needs a module that returns logits, not a Categorical"):
        policy.act(obs, mask=[True, False, True])


def test_a_distribution_whose_integers_are_floats_trains_and_acts() -> None:
    """Bernoulli, with softmax's probabilities of two actions; and nobody else's random numbers are touched."""
    torch.manual_seed(1)
    policy = policy_of(Says(1, lambda logit: Bernoulli(logits=logit[:, 0])), Discrete(2))
    obs, before = observations(6, 4), torch.get_rng_state()
    logit = policy.module.layer(torch.tensor(obs)).detach().numpy().astype(float)
    expected = pgrad.softmax(np.concatenate([0 * logit, logit], axis=1))
    np.testing.assert_allclose(policy.probabilities(obs), expected, rtol=1e-5)
    np.testing.assert_allclose(policy.log_prob(obs, [0, 1] * 3), np.log(expected[range(6), [0, 1] * 3]), rtol=1e-5)
    np.testing.assert_allclose(policy.entropy(obs), -(expected * np.log(expected)).sum(axis=1), rtol=1e-5)
    assert policy.act(obs, np.random.default_rng(0)).dtype == policy.act(obs).dtype == np.int64
    assert torch.equal(torch.get_rng_state(), before)
    pgrad.train("CartPole-v1", policy=policy.module, total_steps=600, evaluation_episodes=1)


def test_the_greedy_action_where_a_distribution_has_no_mode() -> None:
    """PyTorch gives a fair coin no mode (NaN), and a uniform distribution none either; their means will do."""
    fair = policy_of(Says(1, lambda logit: Bernoulli(logits=0 * logit[:, 0])), Discrete(2))
    assert set(fair.act(observations(6, 4)).tolist()) == {0}
    uniform = policy_of(Says(2, lambda x: Independent(Uniform(0 * x, 0 * x + 1.0), 1)), Box(-1, 1, 2))
    np.testing.assert_array_equal(uniform.act(observations(6, 4)), np.full((6, 2), 0.5))

    class Cauchies(Independent):
        """Whose mode is unknown; the mean is NaN."""

        def __init__(self, location: Tensor) -> None:
            super().__init__(Cauchy(location, 1.0), 1)

        @property
        def mode(self) -> Tensor:
            raise NotImplementedError

    neither = policy_of(Says(2, lambda x: Cauchies(x)), Box(-1, 1, 2))
    with pytest.raises(pgrad.PolicyError, match="Cauchies has neither a mode nor a mean"):
        neither.act(observations(6, 4))


def test_convolutional_policies_know_gymnasiums_spaces() -> None:
    for actions, outputs in (
        (np.int64(3), 3),
        (gymnasium.spaces.Discrete(3), 3),
        (gymnasium.spaces.MultiDiscrete([2, 3]), 5),
        (gymnasium.spaces.Box(-1, 1, (2,)), 2),
        (Discrete(4), 4),
    ):
        assert ConvPolicy((1, 8, 8), actions)(torch.zeros(2, 1, 8, 8))[0].shape == (2, outputs)
    with pytest.raises(pgrad.EnvError, match="'ConvPolicy' has actions Text"):
        ConvPolicy((1, 8, 8), gymnasium.spaces.Text(3))


def test_the_entropy_of_a_squashed_gaussian_is_the_mean_of_minus_its_log_prob() -> None:
    policy = policy_of(Says(1, lambda mean: (0 * mean + 0.3, 0 * mean - 0.5)), Box(-2.0, 4.0, 1), squash=True)
    obs = np.repeat(observations(1, 4), 20_000, axis=0)
    log_prob = policy.log_prob(obs, policy.act(obs, np.random.default_rng(0)))
    deviation = log_prob.std() / np.sqrt(len(obs))
    assert abs(policy.entropy(obs[0]) + log_prob.mean()) < 4 * deviation < 0.05


def test_the_entropy_of_a_custom_distribution_has_the_shape_of_its_log_prob() -> None:
    class Halved(Normal):
        def log_prob(self, value: Tensor) -> Tensor:
            return super().log_prob(value).sum(dim=-1)  # type: ignore[no-any-return, no-untyped-call]

    policy = policy_of(Says(2, lambda mean: Halved(mean, 1.0)), Box(-1, 1, 2))
    with pytest.raises(pgrad.PolicyError, match=r"Halved.entropy\(\) has shape \(6, 2\), not \(6,\)"):
        policy.entropy(observations(6, 4))


def test_continuous_actions_of_a_custom_distribution_are_clipped_to_the_bounds() -> None:
    module = Says(2, lambda mean: Independent(Normal(mean, 5.0), 1))
    policy = policy_of(module, Box(-1.0, 1.0, 2))
    actions = policy.act(observations(50, 4), np.random.default_rng(0))
    assert actions.shape == (50, 2)
    assert np.abs(actions).max() == 1
    actor = TorchActor(policy)
    action = actor(observations(6, 4), None, KEYS, STEPS)
    assert action.shape == (2, 6)
    assert np.abs(action).max() > 1, "what was drawn is kept as it is"
    given = actor.env_actions(action)
    assert given.shape == (6, 2)
    assert np.abs(given).max() == 1


def test_a_mean_is_in_units_of_the_bounds_and_a_distribution_over_the_actions() -> None:
    obs, bounds = observations(6, 4), Box((0.0, -4.0), (10.0, 0.0))
    for module, expected, log_prob in (
        (
            Says(2, lambda mean: (0 * mean + 0.5, 0 * mean - 1.0)),
            [7.5, -1.0],
            -math.log(2 * math.pi) + 2 - math.log(10),
        ),
        (Says(2, lambda mean: Independent(Normal(0 * mean + 0.5, 1.0), 1)), [0.5, 0.0], -math.log(2 * math.pi) - 0.125),
    ):
        policy = policy_of(module, bounds)
        actor = TorchActor(policy, greedy=True)
        action = actor(obs, None, KEYS, STEPS)
        np.testing.assert_allclose(actor.env_actions(action), [expected] * 6, rtol=1e-6)
        np.testing.assert_allclose(policy.act(obs), [expected] * 6, rtol=1e-6)
        np.testing.assert_allclose(policy.log_prob(obs, [expected] * 6), log_prob, rtol=1e-6)


@pytest.mark.parametrize("custom", [False, True])
def test_actions_depend_on_keys_and_steps_alone(custom: bool) -> None:
    """Not on PyTorch's generator, which stays as it was; nor, for logits, on the environments beside."""
    torch.manual_seed(3)
    function = (lambda logits: Categorical(logits=0.1 * logits)) if custom else (lambda logits: 0.1 * logits)
    actor, obs = TorchActor(policy_of(Says(5, function), Discrete(5))), observations(6, 4)
    first = actor(obs, None, KEYS, STEPS)
    torch.manual_seed(99)
    before = torch.get_rng_state()
    np.testing.assert_array_equal(actor(obs, None, KEYS, STEPS), first)
    assert torch.equal(torch.get_rng_state(), before)
    others = [actor(obs, None, KEYS, STEPS + k) for k in range(1, 5)]
    assert any(not np.array_equal(first, other) for other in others)
    assert any(not np.array_equal(first, actor(obs, None, KEYS + np.uint64(k), STEPS)) for k in range(1, 5))
    if not custom:
        np.testing.assert_array_equal(actor(obs[2:4], None, KEYS[2:4], STEPS[2:4]), first[2:4])


def test_probabilities_are_told_from_logits() -> None:
    """By every row and every part: one row, or one part, may sum to one by chance."""
    actions, x = MultiDiscrete((2, 3)), torch.zeros(2, 4)
    probabilities = torch.tensor([[0.5, 0.5, 0.2, 0.3, 0.5], [0.9, 0.1, 0.0, 0.0, 1.0]])
    one_row, one_part, negative = probabilities.clone(), probabilities.clone(), probabilities.clone()
    one_row[1, 0], one_part[:, 0], negative[0, :2] = 0.8, 0.8, torch.tensor([1.5, -0.5])
    for logits in (one_row, one_part, negative, torch.log_softmax(probabilities, -1)):
        require_logits(policy_of(Says(5, lambda outputs, logits=logits: logits), actions), x)
    with pytest.raises(pgrad.PolicyError, match="Says returns probabilities where logits are expected: for all of 2"):
        require_logits(policy_of(Says(5, lambda outputs: probabilities), actions), x)


def test_a_log_std_that_the_state_decides_is_kept_within_bounds_and_one_that_it_does_not_is_not() -> None:
    actions = Box(-1.0, 1.0, 2)
    by_state = policy_of(Says(2, lambda mean: (mean, mean * 0 + 9.0)), actions)
    free = policy_of(Says(2, lambda mean: (mean, torch.full((2,), 3.0))), actions)
    obs = observations(3, 4)
    np.testing.assert_allclose(by_state.distribution(obs).log_std, 2.0)  # type: ignore[attr-defined]
    np.testing.assert_allclose(free.distribution(obs).log_std, 3.0)  # type: ignore[attr-defined]


def test_everything_goes_to_one_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """All tensors pass through devices.to_device: where it names another device, forward sees that one."""
    seen = []
    module = Says(2, lambda logits: seen.append(logits.device.type) or logits)
    policy = policy_of(module.to("meta"), Discrete(2))
    policy = TorchPolicy(policy.module, policy.inputs._replace(device=torch.device("meta")), policy.actions)
    policy.forward(policy.inputs.prepared(observations(3, 4)))
    assert seen == ["meta"]
    assert device_of("cpu") == CPU
    assert device_of("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    with pytest.raises(pgrad.ConfigError, match="unknown device 'gpu'"):
        device_of("gpu")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(pgrad.ConfigError, match=r"'cuda' is not available: PyTorch .* sees 0 GPUs.*'auto'"):
        device_of("cuda")


def test_a_small_module_runs_on_one_thread_and_leaves_the_number_as_it_was() -> None:
    torch.set_num_threads(2)
    with threads_for(nn.Linear(4, 2), CPU):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2
    with threads_for(nn.Linear(1000, 1000), CPU):
        assert torch.get_num_threads() == 2


def test_a_seed_holds_for_a_while_only() -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    with seeded(5, CPU):
        first = torch.rand(3)
    with seeded(5, CPU):
        assert torch.equal(torch.rand(3), first)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_mlp_module_says_what_does_not_fit() -> None:
    with pytest.raises(pgrad.PolicyError, match=r"Discrete\(n=2\) needs 2 outputs, not 3"):
        MLPModule((4, 3), actions=Discrete(2))
    with pytest.raises(pgrad.PolicyError, match="unknown activation 'gelu'"):
        MLPModule((4, 2), "gelu", Discrete(2))


def test_without_pytorch_the_extra_is_named() -> None:
    code = """if True:
        import sys, importlib.util
        find = importlib.util.find_spec
        importlib.util.find_spec = lambda name, *rest: None if name == "torch" else find(name, *rest)
        import pgrad
        for attempt in (lambda: pgrad.train(policy=lambda: None), lambda: __import__("pgrad.torch")):
            try:
                attempt()
            except pgrad.ConfigError as error:
                print(error)
        print("torch" in sys.modules)
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    message = 'PyTorch is not installed: pip install "pgrad[torch]"'
    assert done.stdout.splitlines() == [message, message, "False"]


def test_threads_may_act_side_by_side() -> None:
    """A custom distribution samples under a seed of PyTorch's one generator, so threads take turns."""
    policy = policy_of(Says(5, lambda logits: Categorical(logits=0.1 * logits)), Discrete(5))
    actor, obs = TorchActor(policy), observations(6, 4)
    expected, wrong = actor(obs, None, KEYS, STEPS), []

    def act() -> None:
        for _ in range(300):
            if not np.array_equal(actor(obs, None, KEYS, STEPS), expected):
                wrong.append(1)

    threads = [threading.Thread(target=act) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
