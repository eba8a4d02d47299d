"""`train`: check the arguments, train every seed, evaluate the frozen policies; lose nothing whatever happens."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Unpack

from pgrad.config.settings import Config, TorchOptions, TrainSettings, check_arguments
from pgrad.envs.make import AnyEnv, Env
from pgrad.errors import ConfigError, EnvError, Stopped, TrainingDiverged, collecting
from pgrad.policies.distributions import GSDE
from pgrad.presets.choose import AUTO
from pgrad.presets.preset import NONE
from pgrad.system import available_cores, require_torch
from pgrad.training.callbacks import Callbacks, OnIteration
from pgrad.training.console import shown_to_people
from pgrad.training.loops import Past, require_memory
from pgrad.training.prepare import env_of, name_of, prepare
from pgrad.training.result import Result
from pgrad.training.seeds import Progress, SeedPool

SAVE_EVERY = 60.0  # seconds: a process that dies, with a simulator or the machine, loses no more than this
FOR_COMPILED = ("std", "initial_std", "checkpoint_every")  # settings that no PyTorch module reads, but for std GSDE


class Interrupted(Stopped):
    """Ctrl-C or another signal during training, carrying what there was by then."""

    def __init__(self, result: Result, cause: KeyboardInterrupt) -> None:
        super().__init__(*([cause.exit_code] if isinstance(cause, Stopped) else []))
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
    progress: Progress | bool | None = None,
    save: Callable[[Result], None] | None = None,
    save_every: float | None = SAVE_EVERY,
    past: Mapping[int, Past] | None = None,
    on_iteration: OnIteration | None = None,
    evaluate_every: float | None = None,
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
    algorithm, settings  an algorithm and any of Config's fields; or a whole `config` instead. What is not given is as
                         in the environment's tuned preset (`preset="auto"`), or for an environment or an algorithm
                         without one as docs/tuning.md says; `preset="none"` takes the algorithm's own settings
    seeds, seed          30 means seeds 0 to 29; or a list; or one
    threads              for seeds side by side, and for the work of few seeds (default: all cores); no result depends
                         on it
    evaluation_episodes  per seed, in Gymnasium's own environment with the frozen policy; 0 for none
    progress             True shows it on standard error, as `pgrad train` does; a function is called about ten times a
                         second with a Snapshot (training.seeds); False shows nothing. By default a terminal or a
                         notebook is told of a compilation that takes long
    save                 called with what there is every `save_every` seconds of training, and at its end before
                         evaluation; pgrad.save writes what it is given
    save_every           seconds (default 60); None for the end alone
    past                 what seeds go on from, by their numbers: pgrad.resume reads it from a run
    on_iteration         called after every iteration of every seed with an Iteration (training.callbacks): its metrics,
                         the policy, a way to stop. It is called in this thread, one call at a time, and the seed waits
                         for it; what is trained is the same bits as without (docs/callbacks.md)
    evaluate_every       environment steps after which the frozen policy plays 20 episodes in Gymnasium's own
                         environment: SeedResult.evaluations

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

    A module takes no tuned preset unless one is named: they are tuned for the compiled policy's networks.
    Modules are in evaluation mode while they train: dropout would make the policy that acts another one than the
    policy whose gradient is taken. Result.policies holds them as pgrad.torch.TorchPolicy.

    Raises ConfigError and EnvError before anything starts. A seed whose numbers stop being finite ends with its last
    good policy, the others go on, and TrainingDiverged is raised at the end. An environment that fails raises EnvError,
    Ctrl-C finishes the iteration and raises Interrupted, and what `progress`, `save` or `on_iteration` raises is passed
    on. Every exception raised after training has begun carries what there was by then as `.result`, and that has been
    given to `save`.
    """
    given: dict[str, Any] = dict(settings)
    if isinstance(optimizer, str):
        given["optimizer"], optimizer = optimizer, None
    torch_options = _torch_options(policy, value, optimizer, value_coef, device, given)
    asked = {"algorithm": algorithm, "seeds": seeds if seed is None else [seed]}
    given.update({name: value for name, value in asked.items() if value is not None})
    problems = [] if seed is None or seeds is None else ["give either seed or seeds, not both"]
    preset = AUTO if policy is None else NONE
    numbers: dict[str, Any] = {}
    with collecting(problems):
        numbers = check_arguments(
            threads=threads,
            evaluation_episodes=evaluation_episodes,
            save_every=save_every,
            evaluate_every=evaluate_every,
        )
    if on_iteration is not None and not callable(on_iteration):
        problems.append(f"on_iteration must be a function of an iteration, not {on_iteration!r:.80}")
    chosen, environment = _chosen(env, config, given, preset, problems)
    if env is not None and not isinstance(env, str):
        chosen = dataclasses.replace(chosen, env=environment.id)
    require_memory(chosen, environment)
    past = past or {}
    callbacks = Callbacks(chosen, environment, past, numbers["evaluate_every"], on_iteration)
    with shown_to_people(progress) as report:
        cores = numbers["threads"] or available_cores()
        pool = SeedPool(chosen, environment, cores, report, torch_options, past, callbacks)
        try:
            pool.wait(save, numbers["save_every"])
            result = pool.result()
            if save is not None:
                save(result)
            if numbers["evaluation_episodes"]:
                result = pool.evaluated(result, numbers["evaluation_episodes"])
        except BaseException as error:
            with suppress(KeyboardInterrupt):  # a second one ends the waiting
                pool.stop(patiently=isinstance(error, KeyboardInterrupt))
            result = pool.result()
            if save is not None and result.total_steps:
                with suppress(Exception):  # there is an error to raise already
                    save(result)
            if isinstance(error, KeyboardInterrupt):
                raise Interrupted(result, error) from None
            error.result = result if result.seeds else None  # type: ignore[attr-defined]
            raise
    if failures := result.failures():
        diverged = TrainingDiverged("\n".join([*map(str, failures), "The last good policy was kept."]))
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

    idle = [name for name in FOR_COMPILED if settings.get(name) not in (None, GSDE)]
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
    env: AnyEnv | None, config: Config | None, given: dict[str, Any], preset: str, problems: list[str]
) -> tuple[Config, Env]:
    """Return the configuration and the environment asked for; one ConfigError for all that is wrong with them."""
    if env is None and config is None:
        problems.append('no environment: say which, as in pgrad.train("CartPole-v1")')
    if config is not None and given:
        problems.append("give either a whole config or settings, not both")
    if config is not None and env is not None and name_of(env) != config.env:
        problems.append(f"env is '{name_of(env)}', but the config's is '{config.env}'")
    made: Env | None = None
    try:
        with collecting(problems):
            if config is not None:
                made = env_of(config, config.env if env is None else env)
            elif env is not None:
                config, made, _ = prepare(env, given, preset=preset)
    except EnvError as error:
        if not problems:
            raise
        problems += str(error).splitlines()
    if problems or config is None or made is None:
        raise ConfigError(problems)
    return config, made
