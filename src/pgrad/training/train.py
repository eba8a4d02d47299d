"""`train`: check the arguments, train every seed, evaluate the frozen policies; lose nothing whatever happens."""

import dataclasses
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Unpack

from pgrad.config.resolve import resolve
from pgrad.config.settings import FIELDS, Config, TorchOptions, TrainSettings, check_arguments
from pgrad.envs.make import AnyEnv, Env, make
from pgrad.errors import ConfigError, EnvError, TrainingDiverged, collecting
from pgrad.policies.distributions import BETA
from pgrad.spaces import Box, actions_in_words
from pgrad.system import available_cores, require_torch
from pgrad.training.loops import require_memory
from pgrad.training.result import Result
from pgrad.training.seeds import Progress, SeedPool

FOR_COMPILED = ("std", "initial_std", "checkpoint_every")  # settings that no PyTorch module reads
FOR_CONTINUOUS_ACTIONS = ("std", "initial_std", "squash", "action_distribution")


class Interrupted(KeyboardInterrupt):
    """Ctrl-C during training, carrying what there was by then."""

    def __init__(self, result: Result) -> None:
        super().__init__()
        self.result = result


def train(
    env: AnyEnv | None = None,
    *,
    algorithm: str | None = None,
    seeds: int | Sequence[int] | str | None = None,
    seed: int | None = None,
    config: Config | None = None,
    threads: int | None = None,
    evaluation_episodes: int = 100,
    progress: Progress | None = None,
    save: Callable[[Result], None] | None = None,
    policy: Any = None,
    value: Any = None,
    optimizer: str | Callable[..., Any] | None = None,
    value_coef: float | None = None,
    device: str | None = None,
    **settings: Unpack[TrainSettings],
) -> Result:
    """Train a policy for every seed, evaluate each final policy, and return them with their histories.

    env                  an id like "CartPole-v1", a file like "my_env.py:MyEnv", an environment, or a function that
                         makes one: whatever `pgrad.make` takes, or has returned. Leave it out only with a `config`,
                         which names one
    algorithm, settings  a preset and any of Config's fields over it; or a whole `config` instead
    seeds, seed          30 means seeds 0 to 29; or a list; or one
    threads              how many seeds train side by side (default: all cores); results do not depend on it
    evaluation_episodes  per seed, in Gymnasium's own environment with the frozen policy; 0 for none
    progress             called about ten times a second with a Snapshot (training.seeds)
    save                 called with what there is every half minute of training, and at its end before evaluation

    A PyTorch module as the policy (`pip install "pgrad[torch]"`), in place of the compiled one:

    policy               a torch.nn.Module that takes observations [N, ...] and returns logits, or mean and log σ, or a
                         torch.distributions.Distribution, or one of these with V(s) (pgrad.torch.module_output has the
                         details). It is not changed: each seed trains a copy, from the parameters it has. Or a function
                         without arguments that makes a module, which gives each seed an initialisation of its own
    value                likewise, for V(s); by default a multilayer perceptron of `value_hidden` units, where V is read
    optimizer            "adam" or "sgd"; or a class of torch.optim, which gets learning_rate (for a value module of
                         its own value_learning_rate); or a function from parameters to an optimiser
    value_coef           weight of V's mean squared error, where policy and value have parameters in common (default
                         0.5)
    device               "cpu" (default), "cuda", or "auto" for a GPU where there is one

    Modules are in evaluation mode while they train: dropout would make the policy that acts another one than the
    policy whose gradient is taken. Result.policies holds them as pgrad.torch.TorchPolicy.

    Raises ConfigError and EnvError before anything starts. A seed whose numbers stop being finite ends with its last
    good policy, the others go on, and TrainingDiverged is raised at the end. An environment that fails raises EnvError,
    Ctrl-C raises Interrupted, and what `progress` or `save` raises is passed on. Every exception raised after training
    has begun carries what there was by then as `.result`, and that has been given to `save`.
    """
    given: dict[str, Any] = dict(settings)
    if isinstance(optimizer, str):
        given["optimizer"], optimizer = optimizer, None
    torch_options = _torch_options(policy, value, optimizer, value_coef, device, given)
    asked = {"algorithm": algorithm, "seeds": seeds if seed is None else [seed], **given}
    problems = [] if seed is None or seeds is None else ["give either seed or seeds, not both"]
    chosen, numbers = _chosen(env, config, asked, problems, threads=threads, evaluation_episodes=evaluation_episodes)
    environment = env_of(chosen, chosen.env if env is None else env)
    if env is not None and not isinstance(env, str):
        chosen = dataclasses.replace(chosen, env=environment.id)
    require_memory(chosen, environment)
    pool = SeedPool(chosen, environment, numbers["threads"] or available_cores(), progress, torch_options)
    try:
        pool.wait(save)
        result = pool.result()
        if save is not None:
            save(result)
        if numbers["evaluation_episodes"]:
            result = pool.evaluated(result, numbers["evaluation_episodes"])
    except BaseException as error:
        pool.stop()
        result = pool.result()
        if save is not None and result.total_steps:
            with suppress(Exception):  # there is an error to raise already
                save(result)
        if isinstance(error, KeyboardInterrupt):
            raise Interrupted(result) from None
        error.result = result if result.seeds else None  # type: ignore[attr-defined]
        raise
    if failures := [seed_result.failure for seed_result in result.seeds if seed_result.failure]:
        diverged = TrainingDiverged("\n".join([*failures, "The last good policy was kept."]))
        diverged.result = result
        raise diverged
    return result


def _torch_options(
    policy: Any,
    value: Any,
    optimizer: Callable[..., Any] | None,
    value_coef: float | None,
    device: str | None,
    settings: dict[str, Any],
) -> TorchOptions | None:
    """Return the module options that train()'s arguments ask for, if any; one ConfigError for all that is wrong."""
    asked = {"value": value, "optimizer": optimizer, "value_coef": value_coef, "device": device}
    given = {name: argument for name, argument in asked.items() if argument is not None}
    if policy is None:
        if given:
            raise ConfigError(
                f"{name}={argument!r} is for a PyTorch module: pass one as policy=" for name, argument in given.items()
            )
        return None
    require_torch()
    from pgrad.torch.devices import device_of

    idle = [name for name in FOR_COMPILED if settings.get(name) is not None]
    problems = [f"{name} does not apply to a PyTorch policy; remove it" for name in idle]
    with collecting(problems):
        check_arguments(value_coef=value_coef)
    if optimizer is not None and not callable(optimizer):
        problems.append(f"optimizer must be a name, a class of torch.optim, or a function, not {optimizer!r}")
    options = TorchOptions(policy, **given)
    with collecting(problems):
        device_of(options.device)
    if problems:
        raise ConfigError(problems)
    return options


def _chosen(
    env: AnyEnv | None, config: Config | None, asked: dict[str, Any], problems: list[str], **numbers: Any
) -> tuple[Config, dict[str, Any]]:
    """Return the configuration and the numbers asked for, checked; one ConfigError for all that is wrong with them."""
    settings = {
        name: value for name, value in asked.items() if value is not None or name in TrainSettings.__annotations__
    }
    name = None if env is None else name_of(env)
    if env is None and config is None:
        problems.append('no environment: say which, as in pgrad.train("CartPole-v1")')
    if config is not None and settings:
        problems.append("give either a whole config or settings, not both")
    if config is not None and name not in (None, config.env):
        problems.append(f"env is '{name}', but the config's is '{config.env}'")
    with collecting(problems):
        numbers = check_arguments(**numbers)
    with collecting(problems):
        algorithm = settings.pop("algorithm", None)
        config = config or resolve(name, algorithm, settings)
    if problems or config is None:
        raise ConfigError(problems)
    return config, numbers


def name_of(env: AnyEnv) -> str:
    """Return what a configuration calls an environment."""
    if isinstance(env, str | Env):
        return env if isinstance(env, str) else env.id
    named = getattr(getattr(env, "spec", None), "id", None)  # a wrapper's class has a property there, without an id
    return str(named or getattr(env, "__name__", type(env).__name__))


def env_of(config: Config, env: AnyEnv) -> Env:
    """Return the environment as the configuration wants it.

    Raises EnvError if it cannot be trained on, ConfigError if settings are for other actions than it has.
    """
    asked = config.backend == "auto" and config.vectorization != "auto"
    made = make(env, "gymnasium" if asked else config.backend, config.max_episode_steps)
    if made.max_episode_steps is None and config.episodes_per_iteration is not None:
        raise EnvError(
            f"'{made.id}' has no time limit, so that whole episodes may never end: set max_episode_steps, or "
            "num_steps in place of episodes_per_iteration"
        )
    if not isinstance(made.actions, Box):
        idle = [name for name in FOR_CONTINUOUS_ACTIONS if getattr(config, name) != FIELDS[name].default]
        if idle:
            has = actions_in_words(made.actions)
            raise ConfigError(
                f"{name} is for continuous actions, and '{made.id}' has {has}: remove it" for name in idle
            )
    elif config.action_distribution == BETA and not made.actions.bounded:
        has = actions_in_words(made.actions)
        raise ConfigError(
            [f"action_distribution 'beta' needs finite bounds, and '{made.id}' has {has}: use 'gaussian'"]
        )
    return made
