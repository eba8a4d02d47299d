"""A module and a compiled policy with the same parameters: the same distribution, gradient, actions and training."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from tests.bare_samples import policy_gradient
from torch import nn

import pgrad
from pgrad.config.resolve import resolve
from pgrad.config.settings import TorchOptions
from pgrad.kernels.heads import NO_MASK
from pgrad.policies.distributions import BETA, GAUSSIAN
from pgrad.policies.mlp import MLPPolicy, initial_policy
from pgrad.rollouts.actions import CompiledActor
from pgrad.spaces import Box, Discrete, MultiDiscrete, Space
from pgrad.torch import MLPModule, PolicyNetwork, from_module, to_module
from pgrad.torch.actor import TorchActor
from pgrad.torch.module_output import Logits
from pgrad.torch.optimizers import global_norm, gradients_of
from pgrad.torch.policy import Inputs, TorchPolicy
from pgrad.training.build_torch import new_torch_learner
from pgrad.training.learners import CompiledLearner

SIZE = 700  # more than one block of compiled lanes

HEADS: dict[str, tuple[Space, str, bool]] = {
    "softmax": (Discrete(3), "state-independent", False),
    "several": (MultiDiscrete((3, 2, 4)), "state-independent", False),
    "gaussian": (Box(-1.0, 1.0, 3), "state-independent", False),
    "squashed": (Box(-2.0, 1.0, 2), "state-independent", True),
    "squashed, state-dependent": (Box(-2.0, 1.0, 3), "state-dependent", True),
    "gsde": (Box(-2.0, 1.0, 3), "gsde", False),
    "squashed gsde": (Box(-2.0, 1.0, 2), "gsde", True),
    "beta": (Box(-2.0, 1.0, 3), BETA, False),
}


def compiled_policy(actions: Space, std: str, squash: bool, normalised: bool = False) -> MLPPolicy:
    """Random, far from uniform, with σ around e^-0.5; `std` may be BETA, whose two outputs are those of a Beta."""
    action_distribution, std = (BETA, "state-dependent") if std == BETA else (GAUSSIAN, std)
    rng = np.random.default_rng(5)
    outputs = (2 if std == "state-dependent" else 1) * actions.flat_size
    sizes = (4, 16, 16, outputs)
    parameters = initial_policy(sizes, "uniform", actions, std, 0.6, rng) * np.float32(1.5)
    inputs = (rng.normal(size=4), rng.uniform(0.5, 2, 4)) if normalised else (np.empty(0), np.empty(0))
    shift, scale = (array.astype(np.float32) for array in inputs)
    temperature = 1.0 if isinstance(actions, Box) else 0.7
    kind = (actions, std, squash, action_distribution)
    return MLPPolicy(parameters, sizes, "tanh", temperature, None, {}, *kind, shift=shift, scale=scale)


def as_module(policy: MLPPolicy) -> TorchPolicy:
    """With the normalisation outside of the module, as training has it."""
    nothing = np.empty(0, np.float32)
    bare = replace(policy, temperature=1.0, shift=nothing, scale=nothing)
    inputs = Inputs(policy.sizes[:1], policy.shift, policy.scale, torch.device("cpu"))
    return TorchPolicy(
        to_module(bare),
        inputs,
        policy.actions,
        policy.temperature,
        policy.squash,
        action_distribution=policy.action_distribution,
        std=policy.std,
        noise_steps=policy.noise_steps,
    )


def observations() -> Any:
    return np.random.default_rng(6).normal(0, 2, (SIZE, 4)).astype(np.float32)


def masks(actions: Space) -> Any:
    """Half of the choices, but never none of a part."""
    rng, parts = np.random.default_rng(7), []
    for count in actions.counts:  # type: ignore[union-attr]
        part = rng.random((SIZE, count)) < 0.5
        part[np.arange(SIZE), rng.integers(0, count, SIZE)] = True
        parts.append(part)
    return np.concatenate(parts, axis=1)


def drawn(policy: MLPPolicy, mask: Any = None, greedy: bool = False, actor: Any = None) -> Any:
    keys, steps = np.arange(SIZE, dtype=np.uint64) * 77, np.arange(SIZE, dtype=np.int32) % 9
    return (actor or CompiledActor(policy.compiled, greedy))(observations(), mask, keys, steps)


def same_actions(theirs: Any, ours: Any) -> None:
    """Equal but for rounding, by which at most one of 700 integer actions may differ."""
    assert np.count_nonzero(~np.isclose(theirs, ours, rtol=1e-4, atol=1e-4)) <= (ours.dtype.kind == "i")


@pytest.mark.parametrize("head", HEADS)
def test_the_same_actions_are_drawn_and_given_to_the_environments(head: str) -> None:
    policy = compiled_policy(*HEADS[head], normalised=True)
    module = as_module(policy)
    for greedy in (False, True):
        ours, theirs = drawn(policy, None, greedy), drawn(policy, actor=TorchActor(module, greedy))
        assert ours.dtype == theirs.dtype
        same_actions(theirs, ours)
        both = CompiledActor(policy.compiled), TorchActor(module)
        np.testing.assert_array_equal(both[0].env_actions(ours), both[1].env_actions(ours))
    if not isinstance(policy.actions, Box):
        mask = masks(policy.actions)
        same_actions(drawn(policy, mask, actor=TorchActor(module)), drawn(policy, mask))
        assert not np.array_equal(drawn(policy, mask), drawn(policy))


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("head", HEADS)
def test_the_same_log_probabilities_entropy_and_gradient(head: str, masked: bool) -> None:
    """The weighted scores with an entropy bonus, over 700 samples; the float64 distribution is the third opinion."""
    policy = compiled_policy(*HEADS[head], normalised=True)
    real = isinstance(policy.actions, Box)
    if real and masked:
        pytest.skip("continuous actions have no mask")
    module, obs = as_module(policy), observations()
    mask = masks(policy.actions) if masked else None
    action = drawn(policy, mask)
    weight, bonus = np.random.default_rng(8).normal(size=SIZE), 0.05
    gradient, entropy = policy_gradient(
        policy.compiled,
        np.ascontiguousarray(obs.T),
        action,
        NO_MASK if mask is None else np.ascontiguousarray(mask.T),
        weight,
        bonus,
    )
    output = module.forward(module.inputs.prepared(obs)).distribution
    tensor = torch.tensor(action.T if real else action.T.astype(np.int64))
    log_prob, entropies = output.log_prob_and_entropy(tensor, None if mask is None else torch.tensor(mask), True)
    objective = (torch.tensor(weight, dtype=torch.float32) * log_prob).sum() + bonus * entropies.sum()
    parameters = [p for layer in module.module.layers for p in layer.parameters()]  # type: ignore[union-attr]
    if module.module.log_std is not None:
        parameters.append(module.module.log_std)  # type: ignore[arg-type]
    parts = gradients_of(objective, parameters)
    ours = torch.cat([part.ravel() for part in parts if part is not None]).numpy()
    np.testing.assert_allclose(ours, gradient, rtol=2e-3, atol=2e-4 * np.abs(gradient).max())
    assert float(entropies.detach().mean()) == pytest.approx(entropy, abs=1e-4)
    exact = policy.distribution(obs, mask)
    expected = exact.log_prob_drawn(action.T) if real else exact.log_prob(action.T)  # type: ignore[attr-defined]
    np.testing.assert_allclose(log_prob.detach(), expected, rtol=1e-4, atol=1e-4)
    assert global_norm(parts) == pytest.approx(np.linalg.norm(gradient.astype(np.float64)), rel=1e-4)


def test_a_forbidden_action_has_probability_exactly_zero_and_no_gradient() -> None:
    logits = torch.tensor([[0.3, 5.0, -0.2]], requires_grad=True)
    mask = torch.tensor([[True, False, True]])
    output = Logits(logits, (3,), 1.0)
    assert output.parts(mask)[0].exp()[0, 1] == 0
    log_prob, entropy = output.log_prob_and_entropy(torch.tensor([2]), mask, True)
    (log_prob + entropy).sum().backward()
    assert logits.grad is not None
    assert logits.grad[0, 1] == 0
    assert logits.grad.isfinite().all()
    assert float(entropy.detach()) == pytest.approx(0.6628, abs=1e-3)  # of a coin with logits 0.3 and -0.2


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("normalised", [False, True])
def test_a_compiled_policy_becomes_a_module_and_back_without_loss(head: str, normalised: bool) -> None:
    policy = compiled_policy(*HEADS[head], normalised=normalised)
    module = to_module(policy)
    kind = {"squash": policy.squash, "action_distribution": policy.action_distribution}
    back = from_module(module, temperature=policy.temperature, **kind)  # type: ignore[arg-type]
    for name in ("parameters", "shift", "scale"):
        np.testing.assert_array_equal(getattr(back, name), getattr(policy, name))
    same = ("sizes", "activation", "temperature", "actions", "std", "squash", "action_distribution")
    assert [getattr(back, name) for name in same] == [getattr(policy, name) for name in same]
    back.parameters[:] = 0
    assert module.layers[0].weight.abs().max() > 0, "its numbers are its own"
    output = module(torch.tensor(observations()))
    outputs = torch.cat([output[0], output[1]], -1) if policy.std == "state-dependent" else output
    outputs = outputs[0] if isinstance(outputs, tuple) else outputs
    np.testing.assert_allclose(outputs.detach(), policy.outputs(observations()), rtol=1e-4, atol=1e-4)


def test_a_converted_policy_acts_within_the_bounds_it_was_trained_in() -> None:
    """Not those that its module was made with: training goes by the environment's."""
    module = MLPModule((3, 8, 1), actions=Box(-1, 1))
    trained = pgrad.train("Pendulum-v1", policy=module, total_steps=500, evaluation_episodes=0).policies[0]
    obs = np.ones((50, 3), np.float32)
    by_either = [policy.act(obs, np.random.default_rng(0)) for policy in (trained, from_module(trained))]
    np.testing.assert_allclose(*by_either, rtol=1e-4, atol=1e-4)
    assert np.abs(by_either[0]).max() > 1
    assert from_module(module).actions == Box(-1, 1)


def test_a_value_network_becomes_a_module_and_back_without_loss() -> None:
    from pgrad.torch import value_from_module

    value = pgrad.MLPValue(np.random.default_rng(0).normal(size=25).astype(np.float32), (4, 4, 1), "relu")
    back = value_from_module(to_module(value))
    np.testing.assert_array_equal(back.parameters, value.parameters)
    assert (back.sizes, back.activation) == (value.sizes, value.activation)


def test_only_multilayer_perceptrons_become_compiled() -> None:
    hooked = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2))
    hooked[0].register_forward_hook(lambda layer, inputs, outputs: -outputs)
    for module in (
        hooked,
        nn.Sequential(nn.utils.spectral_norm(nn.Linear(4, 8)), nn.Tanh(), nn.Linear(8, 2)),
        nn.Sequential(nn.Linear(4, 8), nn.GELU(), nn.Linear(8, 2)),
        nn.Sequential(nn.Linear(4, 8, bias=False), nn.Tanh(), nn.Linear(8, 2)),
        nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2)),
        nn.Sequential(nn.Linear(4, 8), nn.Tanh()),
        nn.Linear(4, 2).double(),
        nn.LSTM(4, 2),
    ):
        with pytest.raises(pgrad.PolicyError, match="is not a multilayer perceptron"):
            from_module(module)
    assert from_module(nn.Linear(4, 2)).sizes == (4, 2)


# The learning rates are so small that the rounding of one step changes no action in the next.
SETTINGS: list[dict[str, Any]] = [
    {"num_steps": 8, "num_envs": 5, "entropy_coef": 0.02, "normalize_obs": True, "normalize_rewards": True},
    {"optimizer": "sgd", "max_grad_norm": None, "learning_rate": 0.01, "value_learning_rate": 0.003},
    {"algorithm": "ppo", "clip_epsilon": 0.004, "clip_schedule": "linear", "entropy_coef": 0.02},
    {"algorithm": "ppo", "standardize": "minibatch", "target_kl": 1e-5, "value_clip_epsilon": 0.01},
    {"num_value_steps": 3, "num_steps": 8},
    {"algorithm": "natural", "learning_rate": None, "max_kl": 1e-5, "num_value_steps": 2},
    {"algorithm": "trpo", "learning_rate": None, "max_kl": 1e-5, "num_value_steps": 2, "num_envs": 4},
    {"algorithm": "reinforce", "discounting": "exact", "temperature": 2.0},
    {"algorithm": "reinforce", "baseline": "optimal", "standardize": "none", "normalizer": "episode"},
    {"algorithm": "reinforce", "baseline": "none", "optimizer": "sgd", "max_grad_norm": None, "learning_rate": 0.01},
]


@pytest.mark.parametrize("by_torch", [False, True], ids=["compiled optimiser", "torch.optim"])
@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_training_a_module_is_training_the_compiled_policy(settings: dict[str, Any], by_torch: bool) -> None:
    """From the same parameters and seed: the same episodes, and after ten steps the same parameters and metrics."""
    options = {"preset": "none", "num_iterations": 10, "learning_rate": 1e-4, "evaluation_episodes": 0, **settings}
    config = resolve("CartPole-v1", settings.get("algorithm"), settings)
    if by_torch and config.step != "gradient":
        pytest.skip("natural steps take no optimizer")
    start = CompiledLearner(config, pgrad.make("CartPole-v1"), 0, 8).trained()
    assert isinstance(start.policy, MLPPolicy)
    bare = MLPPolicy(start.policy.parameters, start.policy.sizes, start.policy.activation)  # training normalises
    modules = {"policy": to_module(bare), "value": None if start.critic is None else to_module(start.critic)}  # type: ignore[arg-type]
    if by_torch:
        modules["optimizer"] = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}[config.optimizer]
    expected = pgrad.train("CartPole-v1", **options).seeds[0]
    found = pgrad.train("CartPole-v1", **{**options, **modules}).seeds[0]
    np.testing.assert_array_equal(found.history.episodes.length, expected.history.episodes.length)
    np.testing.assert_allclose(found.history.metrics, expected.history.metrics, rtol=5e-3, atol=1e-3)
    ours, theirs = from_module(found.policy), expected.policy
    moved = np.abs(theirs.parameters - bare.parameters).max()
    assert moved > 3e-4
    np.testing.assert_allclose(ours.parameters, theirs.parameters, atol=0.02 * moved)
    np.testing.assert_allclose(ours.shift, theirs.shift, rtol=1e-5)
    np.testing.assert_allclose(ours.scale, theirs.scale, rtol=1e-5)
    assert ours.temperature == theirs.temperature
    if start.critic is not None:
        obs = observations() / 10
        np.testing.assert_allclose(found.critic.value(obs), expected.critic.value(obs), rtol=0.01, atol=0.05)  # type: ignore[union-attr]


@pytest.mark.parametrize("backend", ["compiled", "gymnasium"])
def test_a_perceptron_that_acts_compiled_learns_as_one_that_acts_by_its_module(backend: str) -> None:
    """A subclass may do anything, so it is not taken for a perceptron; here it does the same."""

    class Mine(PolicyNetwork):
        pass

    known, unknown = PolicyNetwork(4, 2, 16), Mine(4, 2, 16)
    unknown.load_state_dict(known.state_dict())
    options: dict[str, Any] = {"backend": backend, "total_steps": 2000, "normalize_obs": True, "learning_rate": 1e-4}
    results = [pgrad.train("CartPole-v1", policy=m, evaluation_episodes=0, **options) for m in (known, unknown)]
    ours, theirs = (result.policies[0].module.state_dict() for result in results)
    for name in ours:
        moved = float((ours[name] - known.state_dict()[name]).abs().max())
        assert moved > 1e-4
        torch.testing.assert_close(ours[name], theirs[name], rtol=0, atol=0.02 * moved)
    lengths = [result.seeds[0].history.episodes.length for result in results]
    np.testing.assert_array_equal(*lengths)


def test_a_layer_that_comes_twice_steps_once() -> None:
    twice = nn.Linear(4, 4)
    module = nn.Sequential(twice, nn.Tanh(), twice, nn.Tanh(), nn.Linear(4, 2))
    made = new_torch_learner(TorchOptions(module), resolve("CartPole-v1", "reinforce"), pgrad.make("CartPole-v1"), 0, 8)
    assert [parameter.numel() for parameter in made.optimizer.parameters] == [16, 4, 8, 2]


def test_who_acts_compiled() -> None:
    """Perceptrons in float32 whose every parameter is trained by pgrad's own optimisers on a CPU."""

    def kind(policy: Any, env: Any = "CartPole-v1", **settings: Any) -> type:
        config = resolve("CartPole-v1", "reinforce")
        made = pgrad.make(env) if isinstance(env, str) else env
        return type(new_torch_learner(TorchOptions(policy, **settings), config, made, 0, 8).actor)

    frozen = PolicyNetwork(4, 2)
    frozen.layers[0].requires_grad_(False)
    assert kind(PolicyNetwork(4, 2)) is CompiledActor
    assert kind(frozen) is TorchActor
    assert kind(PolicyNetwork(4, 2), optimizer=torch.optim.Adam) is TorchActor
    twice = nn.Linear(4, 4)
    assert kind(nn.Sequential(twice, nn.Tanh(), twice, nn.Tanh(), nn.Linear(4, 2))) is TorchActor
    assert kind(nn.Sequential(nn.Linear(4, 8), nn.GELU(), nn.Linear(8, 2))) is TorchActor
    real = pgrad.Env("Real", 4, Box(-1.0, 1.0, 2), 10, None)
    gaussian = to_module(compiled_policy(real.actions, "state-independent", False))
    assert gaussian.log_std is not None
    assert next(gaussian.parameters()) is gaussian.log_std, "not where compiled code has it"
    assert kind(gaussian, real) is CompiledActor
