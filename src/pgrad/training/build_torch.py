"""TorchLearners from a configuration and the user's modules."""

import inspect
from typing import Any

import numpy as np
import torch
from torch import nn

from pgrad.algorithms.normalization import new_normalization
from pgrad.algorithms.signal_to_noise import new_signal
from pgrad.config.settings import Config, TorchOptions
from pgrad.envs.make import Env
from pgrad.errors import ConfigError, PolicyError
from pgrad.estimators.spec import BASELINES, VALUE
from pgrad.kernels.random import fold_in
from pgrad.policies.distributions import GAUSSIAN
from pgrad.policies.mlp import INITIALIZATION_STREAM, MLPPolicy, MLPValue, initial_parameters
from pgrad.spaces import Discrete, actions_in_words
from pgrad.torch.actor import actor_of, head_for
from pgrad.torch.conversion import in_order, to_module
from pgrad.torch.devices import device_of, seeded
from pgrad.torch.learner import TorchLearner
from pgrad.torch.module_output import CustomDistribution, ModuleOutput
from pgrad.torch.optimizers import new_optimizer, trained_parameters
from pgrad.torch.policy import Inputs, TorchPolicy, TorchValue, copied, shape_of
from pgrad.training.build import MINIBATCH_STREAM, labels_of, settings_of, value_sizes

PROBE = 2  # observations of zeros to try modules with


def new_torch_learner(
    options: TorchOptions, config: Config, env: Env, seed: int, num_trajectories: int
) -> TorchLearner:
    """Return one seed's modules and optimisers; raise ConfigError or PolicyError if they do not fit."""
    device = device_of(options.device)
    normalization = new_normalization(
        env.obs_size if config.normalize_obs else 0, num_trajectories if config.normalize_rewards else 0
    )
    # Trying modules out samples too: lazy layers their first parameters, distributions an action.
    with seeded(_initialization_seed(seed), device):
        module, value = new_modules(options)
        trained_parameters("policy", module)
        policy = TorchPolicy(
            module.to(device).eval(),
            Inputs(shape_of(env), normalization.shift, normalization.scale, device),
            env.actions,
            config.temperature,
            config.squash,
            env.id,
            labels_of(config, seed=seed),
            config.action_distribution,
            config.std,
            config.noise_steps,
        )
        output = probe(policy, config, env)
        critic = new_critic(policy, value, output, config, env, seed)
    parameters, value_parameters = split_parameters(module, None if critic is None else critic.module)
    settings = settings_of(config)
    require_own_parameters(config, options, critic is None or bool(value_parameters))
    optimizer = new_optimizer(parameters, options.optimizer, settings, settings.learning_rate)
    return TorchLearner(
        settings,
        policy,
        critic,
        optimizer,
        new_optimizer(value_parameters, options.optimizer, settings, settings.value_learning_rate)
        if value_parameters
        else None,
        options.value_coef,
        normalization,
        actor_of(policy, optimizer),
        head_for(policy, output.distribution),
        new_signal(sum(parameter.numel() for parameter in parameters)),
        fold_in(seed, MINIBATCH_STREAM),
    )


def new_critic(
    policy: TorchPolicy, value: nn.Module | None, output: ModuleOutput, config: Config, env: Env, seed: int
) -> TorchValue | None:
    """Return V, tried out on zeros; None if the baseline does not read it."""
    module = value_module(value, output, config, env, seed)
    if BASELINES[config.baseline] != VALUE:
        return None
    critic = TorchValue(policy, None if module is None else module.to(policy.inputs.device).eval())
    with torch.no_grad():
        critic.estimate(policy.inputs.prepared(np.zeros((PROBE, env.obs_size), np.float32)))
    return critic


def split_parameters(policy: nn.Module, value: nn.Module | None) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Return the parameters of policy's and value's optimisers; all are the policy's if the modules share any."""
    parameters = compiled_order(policy, trained_parameters("policy", policy))
    if value is None:
        return parameters, []
    value_parameters = trained_parameters("value", value)
    if set(map(id, parameters)) & set(map(id, value_parameters)):
        return trained_parameters("policy", policy, value), []
    return parameters, value_parameters


def require_own_parameters(config: Config, options: TorchOptions, apart: bool) -> None:
    """Raise ConfigError where the settings step the policy or V alone, and they are not `apart`.

    Also where an optimiser is given that natural steps would not use.
    """
    problems = []
    alone = {f"step '{config.step}'": config.step != "gradient", "num_value_steps": config.num_value_steps > 1}
    for setting, needed in alone.items():
        if needed and not apart:
            problems.append(
                f"{setting} needs a value module that shares no parameters with the policy: give value=, or remove it"
            )
    if config.step != "gradient" and options.optimizer is not None:
        problems.append(f"step '{config.step}' takes no optimizer of yours: remove it")
    if problems:
        raise ConfigError(problems)


def compiled_order(module: nn.Module, parameters: list[nn.Parameter]) -> list[nn.Parameter]:
    """Return the parameters, in the order of a compiled network if the module is a perceptron trained as a whole."""
    try:
        ordered = in_order(module)
    except PolicyError:
        return parameters
    # Sorted lists, not sets: a layer used twice has its parameters twice in `ordered`.
    return ordered if sorted(map(id, ordered)) == sorted(map(id, parameters)) else parameters


def new_modules(options: TorchOptions) -> tuple[nn.Module, nn.Module | None]:
    """Return copies of the policy and value modules that were given, or that the given functions make.

    A function may return the same module every time, so its modules are copied too; together, to keep what they share.
    """
    policy, value = copied(
        _module("policy", options.policy), None if options.value is None else _module("value", options.value)
    )
    return policy, value


def _module(role: str, given: Any) -> nn.Module:
    module = given
    if not isinstance(given, nn.Module) and callable(given):
        require_no_arguments(role, given)
        try:
            module = given()
        except Exception as error:
            name = getattr(given, "__name__", type(given).__name__)
            raise ConfigError([f"{role}: {name}() raised {type(error).__name__}: {error}"]) from error
    if not isinstance(module, nn.Module):
        hint = ""
        if isinstance(module, MLPPolicy | MLPValue):
            hint = ": convert it with pgrad.torch.to_module"
        elif isinstance(module, TorchPolicy | TorchValue) and module.module is not None:
            hint = ": pass its .module"
        raise ConfigError(
            [f"{role} must be a torch.nn.Module, or a function without arguments that makes one, not {module!r}{hint}"]
        )
    return module


def require_no_arguments(role: str, function: Any) -> None:
    """Raise ConfigError if a function or class cannot be called without arguments."""
    try:
        signature = inspect.signature(function)
    except ValueError:  # some that are written in C have no signature
        return
    try:
        signature.bind()
    except TypeError as error:
        name = getattr(function, "__name__", repr(function))
        raise ConfigError(
            [f"{role} is called without arguments, but {name} needs some: write lambda: {name}(...)"]
        ) from error


def probe(policy: TorchPolicy, config: Config, env: Env) -> ModuleOutput:
    """Return the policy's output for observations of zeros; raise PolicyError if it does not fit the settings."""
    with torch.no_grad():
        output = policy.forward(policy.inputs.prepared(np.zeros((PROBE, env.obs_size), np.float32)))
    if isinstance(output.distribution, CustomDistribution):
        require_settings_fit(output.distribution, config, env)
    return output


def require_settings_fit(custom: CustomDistribution, config: Config, env: Env) -> None:
    """Raise PolicyError if a module's own distribution does not fit the settings and the environment's actions."""
    kind = type(custom.distribution).__name__
    if config.squash:
        raise PolicyError(f"squash needs a module that returns (mean, log_std), not a distribution ({kind}): remove it")
    if config.action_distribution != GAUSSIAN:
        raise PolicyError(
            f"action_distribution needs a module that returns (a, b), not a distribution ({kind}): remove it"
        )
    if config.temperature != 1.0:
        raise PolicyError(f"temperature needs a module that returns logits, not a distribution ({kind}): remove it")
    if env.has_mask:
        raise PolicyError(f"'{env.id}' forbids some actions: its policy must return logits, not a {kind}")
    sample = custom.call("sample")
    if isinstance(env.actions, Discrete) and custom.distribution.has_enumerate_support:
        choices = len(custom.distribution.enumerate_support(expand=False))
        if choices != env.actions.n:
            raise PolicyError(f"{kind} has {choices} choices, but '{env.id}' has {actions_in_words(env.actions)}")
    entropy = custom.log_prob_and_entropy(sample, None, True)[1]
    if config.entropy_coef and bool(entropy.isnan().any()):
        raise PolicyError(f"entropy_coef needs an entropy, which {kind} does not implement: set entropy_coef to 0")


def value_module(
    value: nn.Module | None, output: ModuleOutput, config: Config, env: Env, seed: int
) -> nn.Module | None:
    """Return the value module, given or default; None if the policy returns V itself or nothing reads it."""
    reads = BASELINES[config.baseline] == VALUE
    if value is not None and not reads:
        raise ConfigError([f"value is only read by baseline 'value', not by '{config.baseline}': remove it"])
    if value is not None and output.value is not None:
        raise ConfigError(["the policy returns a value itself: remove value, or let the policy return no value"])
    if value is not None or output.value is not None or not reads:
        return value
    if len(shape_of(env)) > 1:
        raise ConfigError(
            [
                f"baseline 'value' needs a value module for observations of shape {shape_of(env)}: give value=, or let "
                "the policy return (logits, value) as ConvPolicy does, or use algorithm 'reinforce'"
            ]
        )
    sizes, rng = value_sizes(config, env), np.random.default_rng([seed, INITIALIZATION_STREAM, 1])
    return to_module(MLPValue(initial_parameters(sizes, config.initialization, 1.0, rng), sizes, config.activation))


def _initialization_seed(seed: int) -> int:
    """Return a 64-bit seed for PyTorch's generator from this run's initialisation stream."""
    return int(np.random.default_rng([seed, INITIALIZATION_STREAM]).integers(2**63))
