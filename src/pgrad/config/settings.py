"""Every setting, and every other argument that is checked; all that is wrong with them is one ConfigError."""

import dataclasses
import types
import typing
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

from pgrad.algorithms import ALGORITHMS, DEFAULT_ALGORITHM
from pgrad.config.rules import RULES
from pgrad.config.values import (
    COUNT,
    COUNT_OR_ZERO,
    FINITE,
    NORM,
    NOT_NEGATIVE,
    POSITIVE,
    SEED,
    TIMEOUT,
    UNIT,
    Argument,
    Range,
    boolean,
    distinct_seeds,
    integer,
    integers,
    number,
    plain,
    text,
)
from pgrad.envs.make import BACKENDS
from pgrad.errors import ConfigError, collecting, nearest
from pgrad.estimators.spec import BASELINES, ESTIMATORS, STANDARDIZATIONS
from pgrad.kernels.dense import ACTIVATIONS
from pgrad.kernels.optimizers import OPTIMIZERS
from pgrad.policies.distributions import ACTION_DISTRIBUTIONS, GAUSSIAN, STATE_INDEPENDENT, STDS
from pgrad.vector import VECTORIZATIONS

MIN_TRAJECTORIES = 200  # of the gradient microscope: ten in each of its 20 blocks
STEPS = ("gradient", "natural", "trust-region")


def _field(default: Any, help: str, valid: Range | Iterable[str] | None = None) -> Any:
    choices = () if valid is None or isinstance(valid, Range) else tuple(valid)
    metadata = {"help": help, "choices": choices, "range": valid if isinstance(valid, Range) else None}
    return dataclasses.field(default=default, metadata=metadata)


@dataclass(frozen=True)
class Config:
    """All settings of a training. Field by field: `pgrad train --help`.

    `preset` is a record of where settings came from: training.prepare.prepare takes presets, a Config states all.
    """

    env: str = _field("CartPole-v1", "environment id")
    algorithm: str = _field(
        DEFAULT_ALGORITHM, "rung of the ladder, whose own settings the others start from", ALGORITHMS
    )
    preset: str = _field(
        "none",
        "tuned settings below the others: 'auto' for the environment's or the general ones, 'none', a name, a file",
    )
    backend: str = _field("auto", "compiled port if there is one, or Gymnasium's own", BACKENDS)
    vectorization: str = _field("auto", "how Gymnasium environments are stepped together", VECTORIZATIONS)
    max_episode_steps: int | None = _field(None, "time limit; 'none' for the environment's own", COUNT)
    step_timeout: float | None = _field(
        60.0, "seconds after which a step of the environment counts as hung; 'none' for no limit", TIMEOUT
    )
    restart_failed_envs: int = _field(
        0, "times that each seed goes on with a fresh environment where one of Gymnasium's fails", COUNT_OR_ZERO
    )
    seeds: tuple[int, ...] = _field((0,), "random seeds: how many, a range like 0-9, or a list like 7,8,9", SEED)
    hidden: tuple[int, ...] = _field((64,), "units per hidden layer, like 64,64; 'none' for a linear policy", COUNT)
    value_hidden: tuple[int, ...] | None = _field(
        None, "likewise of the value network; 'none' for as many as the policy's, '' for a linear one", COUNT
    )
    activation: str = _field("tanh", "activation function of hidden layers", ACTIVATIONS)
    temperature: float = _field(1.0, "softmax temperature τ: π = softmax(logits / τ)", POSITIVE)
    action_distribution: str = _field(
        GAUSSIAN, "distribution of continuous actions; beta needs finite bounds", ACTION_DISTRIBUTIONS
    )
    std: str = _field(
        STATE_INDEPENDENT,
        "standard deviation of continuous actions: one learned parameter each, a network output, or gsde: noise that "
        "is linear in the observation",
        STDS,
    )
    noise_steps: int = _field(1, "steps for which std gsde holds its noise; more than 1 biases the gradient", COUNT)
    initial_std: float = _field(
        1.0, "initial standard deviation of continuous actions, in half-widths of their bounds", POSITIVE
    )
    squash: bool = _field(False, "squash continuous actions into their bounds by tanh instead of clipping them")
    normalize_obs: bool = _field(False, "standardize observations by their running mean and standard deviation")
    normalize_rewards: bool = _field(False, "divide rewards by the running standard deviation of the discounted return")
    initialization: str = _field(
        "orthogonal",
        "initial weights: orthogonal with a nearly uniform policy, or PyTorch's uniform",
        ("orthogonal", "uniform"),
    )
    estimator: str = _field("gae", "Ψ, which multiplies the score ∇ log π", ESTIMATORS)
    baseline: str = _field("value", "baseline subtracted from the return", BASELINES)
    constant_baseline: float = _field(0.0, "value of baseline 'constant'", FINITE)
    standardize: str = _field(
        "batch", "standardize Ψ over the batch, each minibatch, per episode, or not at all", STANDARDIZATIONS
    )
    discount: float = _field(0.99, "γ, in [0, 1]", UNIT)
    gae_lambda: float = _field(0.95, "λ of generalized advantage estimation, in [0, 1]", UNIT)
    discounting: str = _field("dropped", "keep the factor γ^t outside the return, or drop it", ("exact", "dropped"))
    normalizer: str = _field("step", "average the sum over steps per episode or per step", ("episode", "step"))
    num_envs: int = _field(4, "environments stepped side by side", COUNT)
    num_steps: int | None = _field(32, "steps per environment and iteration, unless episodes_per_iteration", COUNT)
    episodes_per_iteration: int | None = _field(None, "whole episodes per iteration, instead of num_steps", COUNT)
    num_epochs: int = _field(1, "times that a batch is used; more than once needs clip_epsilon or target_kl", COUNT)
    num_minibatches: int = _field(1, "parts into which a batch is shuffled, with a gradient step each", COUNT)
    clip_epsilon: float | None = _field(
        None, "clip the ratio of new to old probabilities to 1 ± this; 'none' for no clipping", NORM
    )
    clip_schedule: str = _field(
        "constant", "keep clip_epsilon constant, or decay it linearly to zero", ("constant", "linear")
    )
    target_kl: float | None = _field(
        None, "end an iteration's epochs when the policy has moved this far (nats); 'none' for never", NORM
    )
    value_clip_epsilon: float | None = _field(
        None, "clip each iteration's change of V to ± this, in scaled rewards; 'none' for no clipping", NORM
    )
    step: str = _field(
        "gradient", "along the gradient by the optimizer, along the natural gradient, or that in a trust region", STEPS
    )
    max_kl: float | None = _field(None, "mean KL divergence (nats) of a natural or trust-region step", NORM)
    damping: float = _field(0.01, "added to the Fisher matrix's diagonal for natural steps", NOT_NEGATIVE)
    cg_iterations: int = _field(10, "conjugate gradient iterations of a natural step", COUNT)
    optimizer: str = _field("adam", "optimizer of policy and value network", OPTIMIZERS)
    learning_rate: float | None = _field(0.005, "learning rate of the policy; 'none' for natural steps", POSITIVE)
    value_learning_rate: float = _field(0.02, "learning rate of the value network", POSITIVE)
    num_value_steps: int = _field(1, "steps of the value network for each of the policy", COUNT)
    learning_rate_schedule: str = _field(
        "linear", "keep learning rates constant, or decay them linearly to zero", ("constant", "linear")
    )
    max_grad_norm: float | None = _field(0.5, "clip the gradient to this global norm; 'none' for no clipping", NORM)
    entropy_coef: float = _field(0.0, "weight of the policy's entropy (nats) in the objective", NOT_NEGATIVE)
    total_steps: int | None = _field(100_000, "stop after this many environment steps", COUNT)
    num_iterations: int | None = _field(None, "stop after this many iterations", COUNT)
    stop_at_return: float | None = _field(
        None, "stop a seed once its last 20 training episodes have this mean return; 'none' for never", FINITE
    )
    checkpoint_every: int | None = _field(
        10,
        "iterations between checkpoints of the parameters, doubled to keep at most 128; 'none' for no checkpoints",
        COUNT,
    )

    def __post_init__(self) -> None:
        problems: list[str] = []
        for name, field in FIELDS.items():
            value = getattr(self, name)
            if field.default is not None:
                object.__setattr__(self, name, field.default)  # if it is wrong, so that the rules can be checked
            with collecting(problems):
                object.__setattr__(self, name, checked(name, value))
        problems += [message.format(**vars(self)) for broken, message in RULES if broken(self)]
        if problems:
            raise ConfigError(problems)


class TrainSettings(TypedDict, total=False):
    """Config's fields as keyword arguments of pgrad.train, but for those that it names itself.

    The types are of what may be written: 1e6 is an integer too, and text is read as on the command line.
    """

    preset: str
    backend: str
    vectorization: str
    max_episode_steps: float | None
    step_timeout: float | None
    restart_failed_envs: float
    hidden: int | Sequence[int] | str
    value_hidden: int | Sequence[int] | str | None
    activation: str
    temperature: float
    action_distribution: str
    std: str
    noise_steps: float
    initial_std: float
    squash: bool
    normalize_obs: bool
    normalize_rewards: bool
    initialization: str
    estimator: str
    baseline: str
    constant_baseline: float
    standardize: str
    discount: float
    gae_lambda: float
    discounting: str
    normalizer: str
    num_envs: float
    num_steps: float | None
    episodes_per_iteration: float | None
    num_epochs: float
    num_minibatches: float
    clip_epsilon: float | None
    clip_schedule: str
    target_kl: float | None
    value_clip_epsilon: float | None
    step: str
    max_kl: float | None
    damping: float
    cg_iterations: float
    learning_rate: float | None
    value_learning_rate: float
    num_value_steps: float
    learning_rate_schedule: str
    max_grad_norm: float | None
    entropy_coef: float
    total_steps: float | None
    num_iterations: float | None
    stop_at_return: float | None
    checkpoint_every: float | None


@dataclass(frozen=True)
class TorchOptions:
    """What trains a PyTorch module; the arguments of pgrad.train."""

    policy: Any  # a torch.nn.Module, or a function without arguments that makes one
    value: Any = None  # likewise, or None
    optimizer: Callable[..., Any] | None = None  # None for the configuration's
    value_coef: float = 0.5
    device: str = "cpu"


FIELDS = {field.name: field for field in dataclasses.fields(Config)}


_CONVERTERS: dict[Any, Callable[[Any], Any]] = {
    bool: boolean,
    int: integer,
    float: number,
    str: text,
    tuple: integers,
}


def _argument(name: str, annotation: Any) -> Argument:
    """Return what a field of Config may be, by its annotation and metadata."""
    optional = isinstance(annotation, types.UnionType)
    wanted = typing.get_args(annotation)[0] if optional else annotation
    convert = distinct_seeds if name == "seeds" else _CONVERTERS[typing.get_origin(wanted) or wanted]
    metadata = FIELDS[name].metadata
    return Argument(convert, metadata["range"], metadata["choices"], optional)


ARGUMENTS: dict[str, Argument] = {
    **{name: _argument(name, annotation) for name, annotation in typing.get_type_hints(Config).items()},
    "seed": Argument(integer, SEED),
    "evaluation_seed": Argument(integer, SEED),
    "diagnosis_seed": Argument(integer, SEED),
    "threads": Argument(integer, COUNT, optional=True),
    "episodes": Argument(integer, COUNT),
    "iteration": Argument(integer, COUNT_OR_ZERO, optional=True),
    "trials": Argument(integer, COUNT),
    "steps": Argument(integer, COUNT, optional=True),
    "search_seed": Argument(integer, SEED),
    "processes": Argument(integer, COUNT, optional=True),
    "evaluation_episodes": Argument(integer, COUNT_OR_ZERO),
    "save_every": Argument(number, TIMEOUT, optional=True),
    "evaluate_every": Argument(integer, COUNT, optional=True),
    "trajectories": Argument(
        integer, Range(lambda n: n >= MIN_TRAJECTORIES, f"at least {MIN_TRAJECTORIES}"), optional=True
    ),
    "port": Argument(integer, Range(lambda n: 0 <= n < 65_536, "in 0 … 65535")),
    "value_coef": Argument(number, POSITIVE, optional=True),
    "greedy": Argument(boolean),
    "trust": Argument(boolean),
}


def check_arguments(**given: Any) -> dict[str, Any]:
    """Return the arguments given, converted and checked against ARGUMENTS, by their Python names.

    Python arguments and flags alike: `check_arguments(seed=0, episodes=1e2)` returns `{"seed": 0, "episodes": 100}`,
    and so does `check_arguments(**{"--seed": "0", "--episodes": "1e2"})`. Messages name an argument as it was given.
    Raises one ConfigError with a problem for each argument that is wrong; `errors.collecting` adds these to others.
    """
    problems: list[str] = []
    values = {}
    for name, value in given.items():
        with collecting(problems):
            values[plain(name)] = checked(name, value)
    if problems:
        raise ConfigError(problems)
    return values


def checked(name: str, value: Any) -> Any:
    """Return an argument's value converted to its type; raise ConfigError if it cannot be, or is out of range."""
    argument = ARGUMENTS[plain(name)]
    if argument.optional and (value is None or (isinstance(value, str) and value == "none")):
        return None
    try:
        converted = argument.convert(value)
    except ValueError as error:
        raise ConfigError([f"{name} {error}"]) from None
    if argument.choices and converted not in argument.choices:
        raise ConfigError([f"unknown {name} '{converted}': {nearest(converted, argument.choices)}"])
    for item in converted if isinstance(converted, tuple) else (converted,):
        if argument.range is not None and not argument.range.holds(item):
            raise ConfigError([f"{name} must be {argument.range.words}, not {item}"])
    return converted
