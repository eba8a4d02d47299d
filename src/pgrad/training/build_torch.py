"""From a configuration and the user's modules to what learns with them."""

import inspect
from typing import Any

import numpy as np
import torch
from torch import nn

from pgrad.algorithms.normalization import new_normalization
from pgrad.config import Config, TorchOptions
from pgrad.envs.make import Env
from pgrad.errors import ConfigError, PolicyError
from pgrad.estimators.spec import BASELINES, VALUE
from pgrad.policies.mlp import MLPPolicy, MLPValue, initial_parameters
from pgrad.spaces import Discrete, actions_in_words
from pgrad.torch.actor import actor_of
from pgrad.torch.conversion import in_order, to_module
from pgrad.torch.devices import device_of, seeded
from pgrad.torch.learner import TorchLearner
from pgrad.torch.module_output import CustomDistribution, ModuleOutput
from pgrad.torch.optimizers import new_optimizer, trained_parameters
from pgrad.torch.policy import Inputs, TorchPolicy, TorchValue, copied, shape_of
from pgrad.training.build import INITIALIZATION_STREAM, labels_of, settings_of

PROBE = 2  # observations of zeros that tell what a module returns


def new_torch_learner(
    modules: TorchOptions, config: Config, env: Env, seed: int, num_trajectories: int
) -> TorchLearner:
    """One seed's own modules and optimisers; raises ConfigError and PolicyError where they do not fit."""
    device = device_of(modules.device)
    normalization = new_normalization(
        env.obs_size if config.normalize_obs else 0, num_trajectories if config.normalize_rewards else 0
    )
    # Trying them out draws as well: lazy layers their first parameters, distributions a sample.
    with seeded(_initialization_seed(seed), device):
        module, value = made(modules)
        trained_parameters("policy", module)
        policy = TorchPolicy(
            module.to(device).eval(),
            Inputs(shape_of(env), normalization.shift, normalization.scale, device),
            env.actions,
            config.temperature,
            config.squash,
            env.id,
            labels_of(config, seed=seed),
        )
        critic = critic_of(policy, value, config, env, seed)
    parameters, own = divided(module, None if critic is None else critic.module)
    settings = settings_of(config)
    optimizer = new_optimizer(parameters, modules.optimizer, settings, settings.learning_rate)
    return TorchLearner(
        settings,
        policy,
        critic,
        optimizer,
        new_optimizer(own, modules.optimizer, settings, settings.value_learning_rate) if own else None,
        modules.value_coef,
        normalization,
        actor_of(policy, optimizer),
    )


def critic_of(policy: TorchPolicy, value: nn.Module | None, config: Config, env: Env, seed: int) -> TorchValue | None:
    """What estimates V, tried out; None where nothing reads it."""
    module = chosen_value(value, probed(policy, config, env), config, env, seed)
    if BASELINES[config.baseline] != VALUE:
        return None
    critic = TorchValue(policy, None if module is None else module.to(policy.inputs.device).eval())
    with torch.no_grad():
        critic.estimate(policy.inputs.prepared(np.zeros((PROBE, env.obs_size), np.float32)))
    return critic


def divided(policy: nn.Module, value: nn.Module | None) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """The parameters of the policy's optimiser and of the value's own; if they share any, all are the first's."""
    parameters = compiled_order(policy, trained_parameters("policy", policy))
    if value is None:
        return parameters, []
    own = trained_parameters("value", value)
    if set(map(id, parameters)) & set(map(id, own)):
        return trained_parameters("policy", policy, value), []
    return parameters, own


def compiled_order(module: nn.Module, parameters: list[nn.Parameter]) -> list[nn.Parameter]:
    """The parameters in the order of a compiled network, if the module is one and all of it is trained."""
    try:
        ordered = in_order(module)
    except PolicyError:
        return parameters
    # Sorted lists, no sets: a layer that comes twice has its parameters twice in `ordered`.
    return ordered if sorted(map(id, ordered)) == sorted(map(id, parameters)) else parameters


def made(modules: TorchOptions) -> tuple[nn.Module, nn.Module | None]:
    """This seed's own modules: copies of those given, or of what functions make, which may be the same every time.

    They are copied together, so that what they share stays shared.
    """
    policy = _module("policy", modules.policy)
    own, value = copied(policy, None if modules.value is None else _module("value", modules.value))
    return own, value


def _module(role: str, given: Any) -> nn.Module:
    own = given
    if not isinstance(given, nn.Module) and callable(given):
        require_no_arguments(role, given)
        try:
            own = given()
        except Exception as error:
            name = getattr(given, "__name__", type(given).__name__)
            raise ConfigError([f"{role}: {name}() raised {type(error).__name__}: {error}"]) from error
    if not isinstance(own, nn.Module):
        hint = ""
        if isinstance(own, MLPPolicy | MLPValue):
            hint = ": pgrad.torch.to_module makes one of it"
        elif isinstance(own, TorchPolicy | TorchValue) and own.module is not None:
            hint = ": give its module, which is .module"
        raise ConfigError(
            [f"{role} must be a torch.nn.Module, or a function without arguments that makes one, not {own!r}{hint}"]
        )
    return own


def require_no_arguments(role: str, function: Any) -> None:
    """Raise ConfigError where a function, or a class, cannot be called without arguments."""
    try:
        signature = inspect.signature(function)
    except ValueError:  # nothing is known of some that are written in C
        return
    try:
        signature.bind()
    except TypeError as error:
        name = getattr(function, "__name__", repr(function))
        raise ConfigError(
            [f"{role} must be made without arguments, and {name} has to be given some: write lambda: {name}(...)"]
        ) from error


def probed(policy: TorchPolicy, config: Config, env: Env) -> ModuleOutput:
    """What the policy says of observations of zeros; raises PolicyError where it does not fit the settings."""
    with torch.no_grad():
        output = policy.forward(policy.inputs.prepared(np.zeros((PROBE, env.obs_size), np.float32)))
    if isinstance(output.distribution, CustomDistribution):
        kind = type(output.distribution.distribution).__name__
        if config.squash:
            raise PolicyError(
                f"squash is for modules that return (mean, log_std), not a {kind}: return these, or leave it out"
            )
        if config.temperature != 1.0:
            raise PolicyError(f"temperature is for modules that return logits, not a {kind}")
        if env.has_mask:
            raise PolicyError(f"'{env.id}' forbids some actions: its policy must return logits, not a {kind}")
        sample = output.distribution.call("sample")
        if isinstance(env.actions, Discrete) and output.distribution.distribution.has_enumerate_support:
            choices = len(output.distribution.distribution.enumerate_support(expand=False))
            if choices != env.actions.n:
                raise PolicyError(f"{kind} has {choices} choices, and '{env.id}' {actions_in_words(env.actions)}")
        entropy = output.distribution.log_prob_and_entropy(sample, None, True)[1]
        if config.entropy_coef and bool(entropy.isnan().any()):
            raise PolicyError(f"entropy_coef {config.entropy_coef} needs an entropy, and {kind} has none: set it to 0")
    return output


def chosen_value(
    value: nn.Module | None, output: ModuleOutput, config: Config, env: Env, seed: int
) -> nn.Module | None:
    """The value module, given or by default; None where the policy says V itself, or nothing reads it."""
    reads = BASELINES[config.baseline] == VALUE
    if value is not None and not reads:
        raise ConfigError([f"value is read by baseline 'value' only, not by '{config.baseline}'"])
    if value is not None and output.value is not None:
        raise ConfigError(["the policy returns a value itself: give either that or value, not both"])
    if value is not None or output.value is not None or not reads:
        return value
    if len(shape_of(env)) > 1:
        raise ConfigError(
            [
                f"baseline 'value' needs a value module for observations of shape {shape_of(env)}: give value=, or let "
                "the policy return (logits, value) as ConvPolicy does, or use algorithm 'reinforce'"
            ]
        )
    sizes, rng = (env.obs_size, *config.hidden, 1), np.random.default_rng([seed, INITIALIZATION_STREAM, 1])
    return to_module(MLPValue(initial_parameters(sizes, config.initialization, 1.0, rng), sizes, config.activation))


def _initialization_seed(seed: int) -> int:
    """Of PyTorch's own random numbers, 64 bits of this seed's stream."""
    return int(np.random.default_rng([seed, INITIALIZATION_STREAM]).integers(2**63))
