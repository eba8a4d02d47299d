"""Training PyTorch modules: they learn, the user's objects stay as they were, and what does not fit is explained."""

import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Categorical, Independent, Normal, TransformedDistribution
from torch.distributions.transforms import TanhTransform

import pgrad
from pgrad.config.resolve import resolve
from pgrad.envs.cartpole import CartPole, CartPoleState
from pgrad.envs.make import compiled_env
from pgrad.kernels.random import uniform
from pgrad.runs.torch_file import save_module
from pgrad.spaces import Box
from pgrad.torch import ConvPolicy, MLPModule, PolicyNetwork, from_module, to_module

SHORT: dict[str, Any] = {"total_steps": 1500, "evaluation_episodes": 0}
REINFORCE: dict[str, Any] = {"algorithm": "reinforce", "evaluation_episodes": 0}


class Says(nn.Module):
    """Returns what a function makes of its linear layer's outputs."""

    def __init__(self, outputs: int, function: Any = lambda outputs: outputs) -> None:
        super().__init__()
        self.layer, self.function = nn.Linear(4, outputs), function

    def forward(self, obs: Tensor) -> Any:
        return self.function(self.layer(obs))


class Trunk(nn.Module):
    """Logits and V of the same features."""

    def __init__(self) -> None:
        super().__init__()
        self.features, self.heads = nn.Linear(4, 16), nn.Linear(16, 3)

    def forward(self, obs: Tensor) -> tuple[Tensor, Tensor]:
        logits, value = self.heads(torch.tanh(self.features(obs))).split([2, 1], dim=-1)
        return logits, value


def numbers(module: nn.Module) -> Any:
    return torch.cat([parameter.detach().ravel() for parameter in module.parameters()]).numpy().copy()


@pytest.mark.parametrize("backend", ["compiled", "gymnasium"])
def test_the_notebooks_network_learns_cartpole(backend: str) -> None:
    """Two seeds; with a learning rate of almost nothing they stay at a random policy's 20-odd steps.

    Of 12 seeds the worst reached 118.
    """
    options: dict[str, Any] = {"backend": backend, "seeds": 2, "total_steps": 40_000, "evaluation_episodes": 20}
    options |= {"policy": lambda: PolicyNetwork(4, 2, 64)}
    assert pgrad.train("CartPole-v1", **options).mean_returns.min() > 60
    still = {"learning_rate": 1e-12, "total_steps": 1_000}
    assert pgrad.train("CartPole-v1", **{**options, **still}).mean_returns.max() < 40


def test_the_users_module_stays_as_it_was_and_each_seed_trains_a_copy() -> None:
    torch.manual_seed(0)
    module = PolicyNetwork(4, 2, 8)
    before = numbers(module)
    result = pgrad.train("CartPole-v1", policy=module, seeds=2, num_iterations=1, learning_rate=1e-9, **REINFORCE)
    np.testing.assert_array_equal(numbers(module), before)
    for policy in result.policies:
        assert policy.module is not module
        np.testing.assert_allclose(numbers(policy.module), before, atol=1e-8)
    again = pgrad.train("CartPole-v1", policy=module, seeds=2, **SHORT)
    trained = [numbers(policy.module) for policy in again.policies]
    assert np.abs(trained[0] - before).max() > 1e-3
    assert not np.array_equal(trained[0], trained[1]), "the seeds have different episodes"


def test_a_function_makes_each_seed_a_module_of_its_own_and_a_run_can_be_repeated() -> None:
    torch.manual_seed(11)
    before = torch.get_rng_state()
    runs = [
        pgrad.train("CartPole-v1", policy=lambda: PolicyNetwork(4, 2, 8), seeds=seeds, **SHORT) for seeds in (2, [1])
    ]
    assert torch.equal(torch.get_rng_state(), before), "nobody else's random numbers are touched"
    first, second = (numbers(policy.module) for policy in runs[0].policies)
    np.testing.assert_array_equal(second, numbers(runs[1].policies[0].module))
    assert not np.array_equal(first, second)
    tiny: dict[str, Any] = {"num_iterations": 1, "learning_rate": 1e-9, **REINFORCE}
    starts = pgrad.train("CartPole-v1", policy=lambda: PolicyNetwork(4, 2, 8), seeds=2, **tiny).policies
    assert np.abs(numbers(starts[0].module) - numbers(starts[1].module)).max() > 0.1


@pytest.mark.parametrize(
    ("policy", "settings"),
    [
        (Trunk, {}),
        (lambda: Says(2), {"baseline": "optimal", "standardize": "none", **REINFORCE}),
        (lambda: Says(2, lambda logits: Categorical(logits=logits)), {"entropy_coef": 0.01}),
        (lambda: Says(3, lambda x: (x.bfloat16()[:, :2], x.bfloat16()[:, 2])), {}),
        (lambda: Says(2), {"optimizer": torch.optim.RMSprop}),
        (lambda: Says(2), {"optimizer": lambda parameters: torch.optim.SGD(parameters, lr=0.1, momentum=0.9)}),
        (lambda: Says(2), {"value": lambda: Says(1, lambda v: v.squeeze(-1)), "device": "auto"}),
    ],
    ids=["trunk", "optimal baseline", "own distribution", "half precision", "class", "function", "value"],
)
@pytest.mark.parametrize("backend", ["compiled", "gymnasium"])
def test_every_kind_of_module_trains(backend: str, policy: Any, settings: dict[str, Any]) -> None:
    options = {**SHORT, **settings, "backend": backend}
    still = pgrad.train("CartPole-v1", policy=policy, **{**options, "num_iterations": 1, "total_steps": None})
    moved = pgrad.train("CartPole-v1", policy=policy, **options)
    difference = numbers(moved.policies[0].module) - numbers(still.policies[0].module)
    assert np.abs(difference).max() > 1e-3
    history = moved.seeds[0].history.metrics
    assert np.isfinite(history[:, 3:6]).all()
    assert (moved.seeds[0].critic is None) == ("baseline" in settings)
    if "baseline" not in settings:
        assert np.isfinite(history[:, 6:8]).all()
        assert np.isfinite(moved.seeds[0].critic.value(np.zeros((3, 4)))).all()  # type: ignore[union-attr]


class Swinging(nn.Module):
    """A module of its own kind with noise that is linear in the observation."""

    def __init__(self, rows: int = 4) -> None:
        super().__init__()
        self.mean = nn.Sequential(nn.Linear(3, 8), nn.GELU(), nn.Linear(8, 1))
        self.log_std = nn.Parameter(torch.zeros(rows, 1))

    def forward(self, obs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.mean(obs), self.log_std


@pytest.mark.parametrize("backend", ["compiled", "gymnasium"])
@pytest.mark.parametrize("policy", [Swinging, lambda: MLPModule((3, 8, 1), actions=Box(-2.0, 2.0, 1), std="gsde")])
def test_modules_train_with_held_noise(backend: str, policy: Any, tmp_path: Path) -> None:
    options: dict[str, Any] = {**SHORT, "std": "gsde", "noise_steps": 4, "backend": backend}
    result = pgrad.train("Pendulum-v1", policy=policy, **options)
    trained = result.policies[0]
    assert (trained.std, trained.noise_steps) == ("gsde", 4)
    assert np.abs(numbers(trained.module)).max() > 0
    assert trained.module.log_std.detach().abs().max() > 1e-3, "the noise is learnt"
    pgrad.save(result, tmp_path / "run")
    loaded = pgrad.load(tmp_path / "run", module=policy())
    assert (loaded.std, loaded.noise_steps) == ("gsde", 4)
    obs = np.ones((5, 3), np.float32)
    np.testing.assert_array_equal(loaded.log_prob(obs, np.zeros(5)), trained.log_prob(obs, np.zeros(5)))


def test_weights_of_the_noise_have_a_row_for_each_observation_and_one_more() -> None:
    with pytest.raises(pgrad.PolicyError, match=r"log_std .* for std 'gsde' must have shape \(4, 1\), not \(3, 1\)"):
        pgrad.train("Pendulum-v1", policy=Swinging(3), std="gsde", **SHORT)


def test_parameters_in_common_are_counted_once_whoever_holds_them() -> None:
    """A trunk that returns V beside, and two modules over one trunk: the same numbers after training."""

    class Head(nn.Module):
        def __init__(self, trunk: Trunk, which: int) -> None:
            super().__init__()
            self.trunk, self.which = trunk, which

        def forward(self, obs: Tensor) -> Any:
            return self.trunk(obs)[self.which]

    torch.manual_seed(2)
    trunk = Trunk()
    one = pgrad.train("CartPole-v1", policy=trunk, **SHORT).policies[0].module
    two = pgrad.train("CartPole-v1", policy=Head(trunk, 0), value=Head(trunk, 1), **SHORT).policies[0].module
    np.testing.assert_allclose(numbers(one), numbers(two.trunk), atol=1e-5)
    other = pgrad.train("CartPole-v1", policy=trunk, value_coef=5.0, **SHORT).policies[0].module
    assert np.abs(numbers(one) - numbers(other)).max() > 1e-3


def test_what_a_function_returns_every_time_is_copied() -> None:
    """The user's modules stay as they were, a seed has the same bits alone, and what is shared stays shared."""
    torch.manual_seed(0)
    trunk = nn.Sequential(nn.Linear(4, 8), nn.Tanh())
    policy, value = nn.Sequential(trunk, nn.Linear(8, 2)), nn.Sequential(trunk, nn.Linear(8, 1))
    before = numbers(trunk)
    options: dict[str, Any] = {"policy": lambda: policy, "value": lambda: value, **SHORT}
    both = pgrad.train("CartPole-v1", seeds=2, **options)
    alone = pgrad.train("CartPole-v1", seed=1, **options)
    np.testing.assert_array_equal(numbers(trunk), before)
    np.testing.assert_array_equal(numbers(both.policies[1].module), numbers(alone.policies[0].module))
    assert np.abs(numbers(both.policies[1].module) - numbers(policy)).max() > 1e-3
    critic: Any = both.seeds[1].critic
    np.testing.assert_array_equal(numbers(critic.module[0]), numbers(both.policies[1].module[0]))


def test_sparse_gradients_are_steps_too() -> None:
    """Observations that name a row of a table; dense and sparse learn the same."""

    class Table(nn.Module):
        def __init__(self, sparse: bool) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.table = nn.Embedding(4, 2, sparse=sparse)

        def forward(self, obs: Tensor) -> Tensor:
            return self.table(obs.argmax(dim=-1))  # type: ignore[no-any-return]

    dense, sparse = (
        pgrad.train("CartPole-v1", policy=Table(sparse), optimizer=torch.optim.SGD, **SHORT).policies[0]
        for sparse in (False, True)
    )
    np.testing.assert_allclose(numbers(sparse.module), numbers(dense.module), atol=1e-6)
    assert np.abs(numbers(dense.module) - numbers(Table(False))).max() > 1e-4


def test_pytorchs_default_type_does_not_matter() -> None:
    module = Says(2)
    expected = pgrad.train("CartPole-v1", policy=module, **SHORT).policies[0]
    torch.set_default_dtype(torch.float64)
    found = pgrad.train("CartPole-v1", policy=module, **SHORT).policies[0]
    np.testing.assert_array_equal(numbers(found.module), numbers(expected.module))


def test_frozen_parameters_stay_and_the_others_train() -> None:
    module = PolicyNetwork(4, 2, 8)
    nn.init.ones_(module.layers[0].bias)  # no unit is dead  # type: ignore[arg-type]
    module.layers[0].requires_grad_(False)
    trained = pgrad.train("CartPole-v1", policy=module, **SHORT).policies[0].module
    torch.testing.assert_close(trained.layers[0].weight, module.layers[0].weight)
    assert (trained.layers[2].weight - module.layers[2].weight).abs().max() > 1e-3


class Reach(NamedTuple):
    """One step; the reward is highest where the action is the observation's first number."""

    size: int = 4
    reward_scale: float = 1.0

    observation_space = Box(-1.0, 1.0, 4)
    action_space = Box(-1.0, 1.0, 2)
    max_episode_steps = 5

    def reset(self, key: int) -> tuple[float, float, float, float]:
        return (uniform(key, 0, -0.5, 0.5), uniform(key, 1, -0.5, 0.5), 0.0, 1.0)

    def step(
        self, state: tuple[float, float, float, float], action: tuple[float, float], key: int
    ) -> tuple[tuple[float, float, float, float], float, bool]:
        a, b, _, _ = state
        reward = -((action[0] - a) ** 2) - (action[1] - b) ** 2
        return (uniform(key, 0, -0.5, 0.5), uniform(key, 1, -0.5, 0.5), 0.0, 1.0), self.reward_scale * reward, False


class Reacher(nn.Module):
    """Mean and log σ, or a distribution of them."""

    def __init__(self, own: Any = None) -> None:
        super().__init__()
        self.mean, self.log_std, self.own = nn.Linear(4, 2), nn.Parameter(torch.zeros(2)), own

    def forward(self, obs: Tensor) -> Any:
        mean = self.mean(obs)
        return (mean, self.log_std) if self.own is None else self.own(mean, self.log_std.exp())


def own_normal(mean: Tensor, std: Tensor) -> Any:
    return Independent(Normal(mean, std), 1)


@pytest.mark.parametrize(("own", "squash"), [(None, False), (None, True), (own_normal, False)])
def test_continuous_actions_are_learnt(own: Any, squash: bool) -> None:
    """To nearly 0, the best return; no constant action has more than -5 · 2/12. (Six seeds: -0.018 to -0.025.)"""
    options = {"squash": squash, "total_steps": 20_000, "num_envs": 8, "num_steps": 8, "evaluation_episodes": 0}
    result = pgrad.train(
        compiled_env("Reach", Reach()), policy=lambda: Reacher(own), learning_rate=0.03, discount=0.0, **options
    )
    returns = result.seeds[0].history.episodes.episode_return
    assert returns[:200].mean() < -3
    assert returns[-200:].mean() > -0.1


class Spot(NamedTuple):
    """A 6 × 6 image with one bright pixel; the action that names its column's third is rewarded by one."""

    brightness: float = 255.0

    observation_space = Box(0.0, 255.0, 36)
    action_space = pgrad.spaces.Discrete(3)
    max_episode_steps = 10

    def reset(self, key: int) -> tuple[float, float]:
        return (float(int(uniform(key, 0, 0.0, 6.0))), float(int(uniform(key, 1, 0.0, 6.0))))

    def step(self, state: tuple[float, float], action: int, key: int) -> tuple[tuple[float, float], float, bool]:
        reward = 1.0 if int(state[1]) // 2 == action else 0.0
        return (float(int(uniform(key, 0, 0.0, 6.0))), float(int(uniform(key, 1, 0.0, 6.0)))), reward, False

    def observe_into(self, state: tuple[float, float], rows: Any, lane: int) -> None:
        for pixel in range(36):
            rows[pixel, lane] = 0.0
        rows[int(state[0]) * 6 + int(state[1]), lane] = self.brightness


def test_a_convolutional_policy_learns_what_only_the_image_tells() -> None:
    """Chance is 10 / 3 of ten; of nine seeds the worst reached 7.15."""
    env = replace(compiled_env("Spot", Spot()), obs_shape=(1, 6, 6))
    options = {"seeds": 3, "total_steps": 12_000, "num_envs": 8, "num_steps": 8, "evaluation_episodes": 0}
    result = pgrad.train(
        env, policy=lambda: ConvPolicy((1, 6, 6), 3, hidden=32), learning_rate=0.003, discount=0.0, **options
    )
    for seed in result.seeds:
        returns = seed.history.episodes.episode_return
        assert returns[:50].mean() < 4.5
        assert returns[-100:].mean() > 5.5
    image = np.zeros((6, 6), np.float32)
    image[3, 5] = 255
    assert np.mean([policy.probabilities(image[None])[2] for policy in result.policies]) > 0.5
    with pytest.raises(pgrad.ConfigError, match=r"needs a value module for observations of shape \(1, 6, 6\)"):
        pgrad.train(env, policy=lambda: nn.Sequential(nn.Flatten(), nn.Linear(36, 3)), **SHORT)


class Masked(CartPole):
    """CartPole in which pushing to the left is forbidden."""

    def mask(self, state: CartPoleState) -> tuple[bool, bool]:
        return (False, True)


def test_forbidden_actions_are_never_taken() -> None:
    env = compiled_env("Masked", Masked())
    result = pgrad.train(env, policy=lambda: Says(2), **{**SHORT, "total_steps": 600})
    assert np.isfinite(result.seeds[0].history.metrics[:, 3:6]).all()
    assert result.seeds[0].history.metrics[:, 3].max() == pytest.approx(0, abs=1e-6), "one action: no entropy"
    with pytest.raises(
        pgrad.PolicyError, match="forbids some actions: its policy must return logits, not a Categorical"
    ):
        pgrad.train(env, policy=lambda: Says(2, lambda x: Categorical(logits=x)), **SHORT)


@pytest.mark.parametrize(
    "policy",
    [lambda: Says(2, lambda logits: Categorical(logits=logits)), lambda: nn.Sequential(nn.LazyLinear(2))],
    ids=["own distribution", "lazy layer"],
)
def test_trying_a_module_out_draws_by_the_seed_too(policy: Any) -> None:
    runs = []
    for someone_elses in (1, 2):
        torch.manual_seed(someone_elses)
        before = torch.get_rng_state()
        runs.append(numbers(pgrad.train("CartPole-v1", policy=policy, **SHORT).policies[0].module))
        assert torch.equal(torch.get_rng_state(), before)
    np.testing.assert_array_equal(*runs)


def test_a_module_is_evaluated_with_the_time_limit_that_it_was_trained_with() -> None:
    policy = pgrad.train("CartPole-v1", policy=PolicyNetwork(4, 2), max_episode_steps=5, **SHORT).policies[0]
    assert (pgrad.evaluate(policy, episodes=20).lengths == 5).all(), "no pole falls within five steps"


def test_a_module_is_evaluated_like_any_policy() -> None:
    """Like the compiled policy with its numbers, on the same episodes; rounding may change an action in one of them."""
    module = pgrad.train("CartPole-v1", policy=lambda: PolicyNetwork(4, 2, 8), **SHORT).policies[0]
    for greedy in (False, True):
        by_module, compiled = (
            pgrad.evaluate(policy, episodes=20, greedy=greedy).returns for policy in (module, from_module(module))
        )
        assert np.count_nonzero(by_module != compiled) <= 1
    with pytest.raises(
        pgrad.EnvError, match=r"'Acrobot-v1' has observations \(6,\) and 3 actions; this policy was made"
    ):
        pgrad.evaluate(module, "Acrobot-v1")


def test_a_run_folder_keeps_a_module_and_gives_it_back(tmp_path: Path) -> None:
    result = pgrad.train("CartPole-v1", policy=Trunk, normalize_obs=True, seeds=2, **SHORT)
    pgrad.save(result, tmp_path / "run")
    back = pgrad.load(tmp_path / "run", 1, module=Trunk())
    obs = np.random.default_rng(0).normal(size=(5, 4))
    np.testing.assert_array_equal(back.probabilities(obs), result.policies[1].probabilities(obs))
    assert (back.env, back.metadata["seed"]) == ("CartPole-v1", "1")
    with pytest.raises(pgrad.RunError, match=r"numbers of a PyTorch module, a .*Trunk: give the module.*module="):
        pgrad.load(tmp_path / "run")
    with pytest.raises(pgrad.RunError, match=r"(?s)holds a .*Trunk, which does not fit this module"):
        pgrad.load(tmp_path / "run", module=PolicyNetwork(4, 2))
    with pytest.raises(pgrad.RunError, match=r"a run of a PyTorch module, .*Trunk, and this is for compiled policies"):
        pgrad.diagnose(tmp_path / "run")
    with pytest.raises(
        pgrad.ConfigError, match=r"the policy is a PyTorch module, .*Trunk, whose code no configuration"
    ):
        resolve(None, None, tomllib.loads((tmp_path / "run" / "config.toml").read_text(encoding="utf-8")))
    pgrad.save(pgrad.train("CartPole-v1", **SHORT), tmp_path / "other")
    with pytest.raises(pgrad.RunError, match="is not a PyTorch policy that pgrad wrote"):
        pgrad.load(tmp_path / "other", module=Trunk())


def test_bfloat16_is_kept_and_given_back(tmp_path: Path) -> None:
    class Brief(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 2, dtype=torch.bfloat16)

        def forward(self, obs: Tensor) -> Tensor:
            return self.layer(obs.bfloat16())  # type: ignore[no-any-return]

    policy = pgrad.train("CartPole-v1", policy=Brief, **SHORT).policies[0]
    save_module(policy, tmp_path / "policy.safetensors")
    again = pgrad.load(tmp_path / "policy.safetensors", module=Brief())
    assert torch.equal(again.module.layer.weight, policy.module.layer.weight)
    with pytest.raises(pgrad.RunError, match=r"module must be a torch.nn.Module built like the .*Brief, not <class"):
        pgrad.load(tmp_path / "policy.safetensors", module=Brief)  # type: ignore[call-overload]


def test_state_that_is_no_tensor_cannot_be_saved(tmp_path: Path) -> None:
    class Extra(Says):
        def get_extra_state(self) -> Any:
            return {"seen": 3}

        def set_extra_state(self, state: Any) -> None:
            pass

    result = pgrad.train("CartPole-v1", policy=lambda: Extra(2), **SHORT)
    with pytest.raises(pgrad.RunError, match="Extra cannot be saved: its state_dict holds _extra_state, a dict"):
        pgrad.save(result, tmp_path / "run")


def test_a_value_module_of_its_own_is_kept_too(tmp_path: Path) -> None:
    result = pgrad.train("CartPole-v1", policy=lambda: Says(2), **SHORT)
    pgrad.save(result, tmp_path / "run")
    from safetensors.numpy import load_file

    tensors = load_file(tmp_path / "run" / "seed-0" / "value.safetensors")
    critic: Any = result.seeds[0].critic
    np.testing.assert_array_equal(tensors["module.layers.0.weight"], critic.module.layers[0].weight.detach())


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (lambda: Says(3), r"the logits that Says returned must have shape \(2, 2\), not \(2, 3\)"),
        (lambda: Says(2, lambda x: x[0]), r"must have shape \(2, 2\), not \(2,\)"),
        (lambda: Says(2, lambda x: x.long()), r"must be floating-point, not torch.int64"),
        (lambda: Says(2, lambda x: "left"), r"returned a str .* must return logits \[N, 2\], or a torch.distributions"),
        (lambda: Says(2, lambda x: (x, x, x)), r"Says returned \(a tensor \(2, 2\), a tensor \(2, 2\), a tensor"),
        (
            lambda: Says(2, lambda x: (x, x)),
            r"the value that Says returned must have shape \(2,\) or \(2, 1\), not \(2, 2\)",
        ),
        (
            lambda: Says(2, lambda x: x.to("meta")),
            r"is on device 'meta', but training runs on 'cpu': register .* buffers",
        ),
        (
            lambda: Says(2, lambda x: x @ torch.ones(3)),
            r"Says failed on observations \(2, 4\) of torch.float32.*RuntimeError",
        ),
        (
            lambda: nn.Sequential(nn.ReLU(inplace=True), nn.Linear(4, 2)),
            "policy module Sequential changed its input in place",
        ),
        (lambda: nn.Linear(5, 2), r"policy module Linear failed on observations \(2, 4\)"),
        (lambda: nn.Flatten(), "policy module Flatten has no parameters: there is nothing to train"),
        (
            lambda: Says(2).requires_grad_(False),
            "none of the 2 parameters of the policy module Says has requires_grad: nothing would train",
        ),
        (lambda: Says(2, lambda x: x.detach()), "output of the policy module does not depend on its parameters"),
        (
            lambda: Says(3, lambda x: (x[:, :2], x[:, 2].detach())),
            "the value that the policy module returns does not depend on its parameters",
        ),
        (lambda: Says(2).to("meta"), "Says has parameters on device 'meta', without numbers"),
        (
            lambda: Says(2, lambda x: Categorical(logits=x[0])),
            r"the Categorical that Says returned has batch_shape \(\): its first axis must be the 2",
        ),
        (
            lambda: Says(1, lambda x: Categorical(logits=x)),
            "Categorical has 1 choices, but 'CartPole-v1' has 2 actions",
        ),
        (
            lambda: Says(2, lambda x: Normal(x, 1.0)),
            r"Normal.sample\(\) has shape .* not|log_prob of actions .*Independent",
        ),
    ],
)
def test_a_module_that_does_not_fit_is_explained(module: Any, message: str) -> None:
    with pytest.raises(pgrad.PolicyError, match=message):
        pgrad.train("CartPole-v1", policy=module, **SHORT)


@pytest.mark.parametrize(
    ("own", "settings", "message"),
    [
        (
            lambda mean, std: Normal(mean, std),
            {},
            r"Normal.log_prob of actions \(2, 2\) has shape \(2, 2\), not \(2,\): wrap",
        ),
        (lambda mean, std: mean, {}, r"Reacher returned a tensor \(2, 2\) .*must return \(mean \[N, 2\], log_std"),
        (
            lambda mean, std: (mean, std[:1]),
            {},
            r"the log_std that Reacher returned must have shape \(2, 2\) or \(2,\)",
        ),
        (
            lambda mean, std: (mean[:, :1], std),
            {},
            r"the mean that Reacher returned must have shape \(2, 2\), not \(2, 1\)",
        ),
        (lambda mean, std: (mean, 0.5), {}, "the log_std that Reacher returned must be a tensor, not a float"),
        (
            own_normal,
            {"squash": True},
            r"squash needs a module that returns \(mean, log_std\), not a distribution \(Independent\)",
        ),
        (
            lambda mean, std: TransformedDistribution(own_normal(mean, std), [TanhTransform()]),
            {"entropy_coef": 0.1},
            "entropy_coef needs an entropy, which TransformedDistribution does not implement",
        ),
    ],
)
def test_a_module_for_continuous_actions_that_does_not_fit_is_explained(own: Any, settings: Any, message: str) -> None:
    with pytest.raises(pgrad.PolicyError, match=message):
        pgrad.train(compiled_env("Reach", Reach()), policy=lambda: Reacher(own), **SHORT, **settings)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            lambda: {"policy": 3},
            "policy must be a torch.nn.Module, or a function without arguments that makes one, not 3",
        ),
        (lambda: {"policy": lambda: None}, "policy must be a torch.nn.Module, .* not None"),
        (
            lambda: {"policy": pgrad.MLPPolicy(np.zeros(10, np.float32), (4, 2))},
            "policy must be .*convert it with pgrad.torch.to_module",
        ),
        (lambda: {"value": nn.Linear(4, 1)}, r"value=Linear\(.*is for a PyTorch module: pass one as policy="),
        (lambda: {"device": "cuda"}, "device='cuda' is for a PyTorch module"),
        (
            lambda: {"policy": Says(2), "value": nn.Linear(4, 1), **REINFORCE},
            "only read by baseline 'value', not by 'leave-one-out'",
        ),
        (lambda: {"policy": Trunk(), "value": nn.Linear(4, 1)}, "the policy returns a value itself: remove value"),
        (lambda: {"policy": Says(2), "std": "state-dependent"}, "std does not apply to a PyTorch policy"),
        (
            lambda: {"policy": Says(2), "checkpoint_every": 2},
            "checkpoint_every does not apply to a PyTorch policy; remove it",
        ),
        (
            lambda: {"policy": Says(2), "optimizer": torch.optim.SparseAdam},
            "optimizer SparseAdam failed to step: RuntimeError: ",
        ),
        (lambda: {"policy": Says(2), "value_coef": -1}, "value_coef must be positive and finite, not -1"),
        (
            lambda: {"policy": Says(2), "optimizer": 3},
            "optimizer must be a name, a class of torch.optim, or a function, not 3",
        ),
        (lambda: {"policy": Says(2), "optimizer": lambda parameters: 3}, "this one made a int"),
        (lambda: {"policy": Says(2), "optimizer": torch.optim.LBFGS}, "optimizer LBFGS re-evaluates the objective"),
        (
            lambda: {"policy": Says(2), "optimizer": lambda parameters: torch.optim.Adam(parameters, maximize=True)},
            "optimizer Adam has maximize=True, but it is given -∇J to descend",
        ),
        (
            lambda: {"policy": Says(2), "optimizer": lambda parameters: torch.optim.SGD(Says(2).parameters(), lr=0.1)},
            "optimizer SGD has parameters that are not being trained, since each seed trains a copy",
        ),
        (
            lambda: {"policy": Says(2), "optimizer": lambda parameters: torch.optim.Adam(parameters, lr=-1)},
            "optimizer <lambda> raised ValueError: ",
        ),
        (lambda: {"policy": lambda: nn.Linear(4)}, r"policy: <lambda>\(\) raised TypeError: "),
        (
            lambda: {"policy": PolicyNetwork},
            r"policy is called without arguments, but PolicyNetwork needs some: write lambda: PolicyNetwork\(...\)",
        ),
        (lambda: {"policy": Says(2), "device": "mps"}, "unknown device 'mps'"),
        (lambda: {"policy": Says(2), "optimizer": "adamm"}, "unknown optimizer 'adamm': did you mean 'adam'"),
        (lambda: {"policy": Says(2), "device": "gpu"}, "unknown device 'gpu'"),
    ],
)
def test_arguments_that_do_not_fit_are_explained(arguments: Callable[[], dict[str, Any]], message: str) -> None:
    with pytest.raises(pgrad.ConfigError, match=message):
        pgrad.train("CartPole-v1", **{**SHORT, **arguments()})


class Alike(Says):
    """A layer of 8 features, then what `between` makes of them, then logits."""

    def __init__(self, between: Any) -> None:
        super().__init__(8)
        self.between, self.head = between, nn.Linear(8, 2)

    def forward(self, obs: Tensor) -> Tensor:
        return self.head(self.between(super().forward(obs)))  # type: ignore[no-any-return]


class Remembers(nn.Module):
    """A recurrent cell that keeps its state between calls."""

    def __init__(self) -> None:
        super().__init__()
        self.cell, self.state = nn.GRUCell(8, 8), torch.zeros(0, 8)

    def forward(self, x: Tensor) -> Tensor:
        before = self.state if len(self.state) == len(x) else torch.zeros(len(x), 8)
        state = self.cell(x, before)
        self.state = state.detach()
        return state  # type: ignore[no-any-return]


class Sequence(nn.LSTM):
    """A recurrent layer, which takes the rows for one sequence."""

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        return super().forward(x)[0]  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("between", "message"),
    [
        (lambda: nn.functional.dropout, "Alike gives .* other log-probabilities in a second call"),
        (Remembers, "other log-probabilities in a second call"),
        (lambda: nn.BatchNorm1d(8, track_running_stats=False), "other log-probabilities in half of a batch"),
        (lambda: Sequence(8, 8), "other log-probabilities in half of a batch.*a recurrent layer"),
    ],
)
def test_a_row_that_depends_on_more_than_itself_is_refused(between: Any, message: str) -> None:
    with pytest.raises(pgrad.PolicyError, match=message):
        pgrad.train("CartPole-v1", policy=lambda: Alike(between()), **SHORT)


@pytest.mark.parametrize("between", [lambda: nn.Dropout(0.5), lambda: nn.BatchNorm1d(8), lambda: nn.LayerNorm(8)])
def test_layers_that_are_idle_or_fixed_in_evaluation_mode_train(between: Any) -> None:
    pgrad.train("CartPole-v1", policy=lambda: Alike(between()), **SHORT)


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_probabilities_are_not_taken_for_logits(temperature: float) -> None:
    with pytest.raises(
        pgrad.PolicyError, match=r"Says returns probabilities.*Return the logits.*Categorical\(probs=…\)"
    ):
        pgrad.train("CartPole-v1", policy=lambda: Says(2, nn.Softmax(dim=-1)), temperature=temperature, **SHORT)


@pytest.mark.parametrize(
    "function",
    [lambda x: torch.log_softmax(x, -1), lambda x: Categorical(probs=torch.softmax(x, -1)), torch.sigmoid, torch.relu],
    ids=["log-probabilities", "distribution", "sigmoid", "relu"],
)
def test_logits_are_defined_up_to_a_constant_and_may_be_positive(function: Any) -> None:
    pgrad.train("CartPole-v1", policy=lambda: Says(2, function), **SHORT)


def test_a_module_that_cannot_be_copied_is_explained() -> None:
    class Keeps(Says):
        def forward(self, obs: Tensor) -> Tensor:
            self.last = super().forward(obs)
            return self.last

    with pytest.raises(pgrad.PolicyError, match=r"Keeps or MLPModule cannot be copied: .* store tensor.detach\(\)"):
        pgrad.train("CartPole-v1", policy=lambda: Keeps(2), **SHORT)


def test_a_value_module_of_the_wrong_shape_is_explained() -> None:
    with pytest.raises(
        pgrad.PolicyError, match=r"the value that Linear returned must have shape \(2,\) or \(2, 1\), not"
    ):
        pgrad.train("CartPole-v1", policy=Says(2), value=nn.Linear(4, 2), **SHORT)


class Breaks(nn.Module):
    """A uniform policy until its weight has moved, as it does in the first step; then `broken`."""

    def __init__(self, broken: Any, healthy: Any = lambda logits: logits) -> None:
        super().__init__()
        self.layer, self.broken, self.healthy = nn.Linear(4, 2), broken, healthy
        nn.init.zeros_(self.layer.weight)

    def forward(self, obs: Tensor) -> Any:
        return (self.broken if bool(self.layer.weight.any()) else self.healthy)(self.layer(obs))


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (lambda logits: logits * torch.nan, "Breaks returned NaN or infinity"),
        (lambda logits: logits + torch.sqrt(0 * logits), "gradient is not finite"),  # zero, whose gradient is NaN
    ],
    ids=["output", "gradient"],
)
def test_numbers_that_stop_being_finite_end_the_run_with_the_last_good_parameters(broken: Any, message: str) -> None:
    with pytest.raises(pgrad.TrainingDiverged, match=rf"{message}.*\(seed 0, iteration 2\)") as caught:
        pgrad.train("CartPole-v1", policy=Breaks(broken), **SHORT)
    policy = caught.value.result.policies[0]
    assert np.isfinite(numbers(policy.module)).all()
    assert np.isfinite(policy.probabilities(np.zeros((2, 4)))).all()


def test_parameters_that_become_infinite_end_the_run() -> None:
    infinite: dict[str, Any] = {"learning_rate": 1e40, "optimizer": "sgd", "max_grad_norm": None}
    with pytest.raises(pgrad.TrainingDiverged, match="parameters infinite"):
        pgrad.train("CartPole-v1", policy=Says(2), **SHORT, **infinite)


def test_a_value_that_is_not_finite_is_the_values_fault() -> None:
    bad = Says(1, lambda value: value * torch.nan)
    with pytest.raises(pgrad.TrainingDiverged, match="the value network's gradient or parameters are not finite"):
        pgrad.train("CartPole-v1", policy=Says(2), value=bad, **SHORT)


def test_a_seed_that_cannot_be_played_leaves_the_others_their_evaluation() -> None:
    made: list[nn.Module] = []

    def second_is_bad() -> nn.Module:
        bad = len(made) == 1
        made.append(Says(2, lambda logits: logits * torch.nan if bad else logits))
        return made[-1]

    with pytest.raises(pgrad.TrainingDiverged, match=r"Says returned NaN or infinity.*seed 1") as caught:
        pgrad.train("CartPole-v1", policy=second_is_bad, seeds=3, **{**SHORT, "evaluation_episodes": 2})
    result = caught.value.result
    assert [seed.evaluation is None for seed in result.seeds] == [False, True, False]
    worst = (0, 2)[int(result.mean_returns.argmin())]
    assert f"(seed {worst})" in result.summary()
    assert "0 of 3" in result.summary()


def test_an_action_that_tanh_rounds_to_the_bound_is_explained() -> None:
    """The distribution has no finite log-probability for it; the last good policy is kept."""

    def saturated(mean: Tensor, std: Tensor) -> Any:
        return TransformedDistribution(own_normal(mean + 20.0, std), [TanhTransform()])

    with pytest.raises(pgrad.TrainingDiverged, match=r"log_prob\(\) of an action that it drew.*squash=True") as caught:
        pgrad.train(compiled_env("Reach", Reach()), policy=lambda: Reacher(saturated), **SHORT)
    assert len(caught.value.result.policies) == 1


def test_what_a_distribution_raises_names_its_method() -> None:
    class Refuses(Categorical):
        def log_prob(self, value: Tensor) -> Tensor:
            raise KeyError("no such action")

    class Lists(Categorical):
        def sample(self, sample_shape: Any = ()) -> Any:
            return super().sample(sample_shape).tolist()  # type: ignore[no-untyped-call]

    for kind, message in (
        (Refuses, r"Refuses.log_prob\(\) failed: KeyError: 'no such action'"),
        (Lists, r"Lists.sample\(\) must return a tensor, not \(a int, a int\)"),
    ):
        with pytest.raises(pgrad.PolicyError, match=message):
            pgrad.train("CartPole-v1", policy=lambda kind=kind: Says(2, lambda x: kind(logits=x)), **SHORT)
    unchecked = Breaks(
        lambda x: Categorical(logits=x * torch.nan, validate_args=False), lambda x: Categorical(logits=x)
    )
    with pytest.raises(pgrad.TrainingDiverged, match=r"Categorical.sample\(\) of parameters that are not finite"):
        pgrad.train("CartPole-v1", policy=unchecked, **SHORT)


def test_a_distribution_that_stops_being_one_ends_its_seed_alone() -> None:
    """PyTorch raises where it is made, before anyone sees its numbers."""

    def policy() -> nn.Module:
        return Breaks(lambda x: Categorical(logits=x * torch.nan), lambda x: Categorical(logits=x))

    with pytest.raises(pgrad.TrainingDiverged, match=r"Breaks made an invalid distribution.*seed 1") as caught:
        pgrad.train("CartPole-v1", policy=policy, seeds=2, **SHORT)
    for trained in caught.value.result.policies:
        assert np.isfinite(trained.probabilities(np.zeros((2, 4)))).all()


def test_a_compiled_policy_goes_on_as_a_module_and_back() -> None:
    start = pgrad.train("CartPole-v1", preset="none", **SHORT).policies[0]
    trained = pgrad.train("CartPole-v1", policy=to_module(start), **SHORT).policies[0]
    back = from_module(trained)
    np.testing.assert_allclose(back.probabilities(np.ones((3, 4))), trained.probabilities(np.ones((3, 4))), rtol=1e-5)
    assert (back.env, back.metadata["algorithm"]) == ("CartPole-v1", "actor-critic")
    assert np.abs(back.parameters - start.parameters).max() > 1e-3
