"""One configuration: the same fields are Python arguments, command-line flags and TOML keys.

Every setting and every other argument is checked against one table, `ARGUMENTS`, and everything wrong with them is
reported in one ConfigError.
"""

import dataclasses
import math
import re
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypedDict

from pgrad.algorithms import ALGORITHMS, DEFAULT_ALGORITHM
from pgrad.envs.make import BACKENDS
from pgrad.errors import ConfigError, closest, collecting, nearest
from pgrad.estimators.spec import BASELINES, ESTIMATORS, STANDARDIZATIONS
from pgrad.kernels.dense import ACTIVATIONS
from pgrad.kernels.optimizers import OPTIMIZERS
from pgrad.policies.distributions import STATE_INDEPENDENT, STDS
from pgrad.vector import VECTORIZATIONS

MAX_SEEDS = 100_000
MIN_TRAJECTORIES = 200  # of the gradient microscope: ten in each of its 20 blocks


STEPS = ("gradient", "natural", "trust-region")


class Range(NamedTuple):
    """The values that a number may have."""

    holds: Callable[[float], bool]
    words: str  # "must be …"


COUNT = Range(lambda n: 1 <= n <= 10**15, "in 1 … 10¹⁵")
COUNT_OR_ZERO = Range(lambda n: 0 <= n <= 10**15, "in 0 … 10¹⁵")
SEED = Range(lambda n: 0 <= n < 2**63, "in 0 … 2⁶³ - 1")
UNIT = Range(lambda x: 0 <= x <= 1, "in [0, 1]")
POSITIVE = Range(lambda x: 0 < x < math.inf, "positive and finite")
NOT_NEGATIVE = Range(lambda x: 0 <= x < math.inf, "finite and not negative")
FINITE = Range(math.isfinite, "finite")
NORM = Range(lambda x: x > 0, "positive, or none")
TIMEOUT = Range(lambda x: 0 < x <= 1e6, "positive and at most 10⁶ (seconds), or none")  # the system's limit is 2³¹ ms


def _field(default: Any, help: str, valid: Range | Iterable[str] | None = None) -> Any:
    choices = () if valid is None or isinstance(valid, Range) else tuple(valid)
    metadata = {"help": help, "choices": choices, "range": valid if isinstance(valid, Range) else None}
    return dataclasses.field(default=default, metadata=metadata)


@dataclass(frozen=True)
class Config:
    """All settings of a training. Field by field: `pgrad train --help`."""

    env: str = _field("CartPole-v1", "environment id")
    algorithm: str = _field(DEFAULT_ALGORITHM, "preset that the other settings start from", ALGORITHMS)
    backend: str = _field("auto", "compiled port if there is one, or Gymnasium's own", BACKENDS)
    vectorization: str = _field("auto", "how Gymnasium environments are stepped together", VECTORIZATIONS)
    max_episode_steps: int | None = _field(None, "time limit; 'none' for the environment's own", COUNT)
    step_timeout: float | None = _field(
        60.0, "seconds after which a step of the environment counts as hung; 'none' for no limit", TIMEOUT
    )
    seeds: tuple[int, ...] = _field((0,), "random seeds: how many, a range like 0-9, or a list like 7,8,9", SEED)
    hidden: tuple[int, ...] = _field((64,), "units per hidden layer, like 64,64; 'none' for a linear policy", COUNT)
    activation: str = _field("tanh", "activation function of hidden layers", ACTIVATIONS)
    temperature: float = _field(1.0, "softmax temperature τ: π = softmax(logits / τ)", POSITIVE)
    std: str = _field(
        STATE_INDEPENDENT,
        "standard deviation of continuous actions: one learned parameter each, or a network output",
        STDS,
    )
    initial_std: float = _field(1.0, "initial standard deviation of continuous actions", POSITIVE)
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

    backend: str
    vectorization: str
    max_episode_steps: float | None
    step_timeout: float | None
    hidden: int | Sequence[int] | str
    activation: str
    temperature: float
    std: str
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
    checkpoint_every: float | None


@dataclass(frozen=True)
class TorchOptions:
    """What trains a PyTorch module; the arguments of pgrad.train."""

    policy: Any  # a torch.nn.Module, or a function without arguments that makes one
    value: Any = None  # likewise, or None
    optimizer: Callable[..., Any] | None = None  # None for the configuration's
    value_coef: float = 0.5
    device: str = "cpu"


# What Stable-Baselines3, CleanRL, RLlib and Tianshou call our settings.
SYNONYMS = {
    "activation_fn": "activation",
    "advantage_normalization": "standardize",
    "alpha": "learning_rate",
    "anneal_lr": "learning_rate_schedule",
    "batch_size": "num_steps",
    "deterministic": "greedy",
    "clip_coef": "clip_epsilon",
    "clip_param": "clip_epsilon",
    "clip_range": "clip_epsilon",
    "clip_range_vf": "value_clip_epsilon",
    "discount_factor": "discount",
    "eps_clip": "clip_epsilon",
    "ent_coef": "entropy_coef",
    "entropy_coeff": "entropy_coef",
    "env_id": "env",
    "episode_per_collect": "episodes_per_iteration",
    "episodes": "episodes_per_iteration",
    "fcnet_activation": "activation",
    "fcnet_hiddens": "hidden",
    "gamma": "discount",
    "grad_clip": "max_grad_norm",
    "gradient_clip": "max_grad_norm",
    "gym_id": "env",
    "hidden_sizes": "hidden",
    "horizon": "max_episode_steps",
    "iterations": "num_iterations",
    "lambda": "gae_lambda",
    "lambda_": "gae_lambda",
    "log_std_init": "initial_std",
    "lr": "learning_rate",
    "lr_schedule": "learning_rate_schedule",
    "n_envs": "num_envs",
    "n_epochs": "num_epochs",
    "n_eval_episodes": "evaluation_episodes",
    "n_steps": "num_steps",
    "net_arch": "hidden",
    "norm_adv": "standardize",
    "norm_obs": "normalize_obs",
    "norm_reward": "normalize_rewards",
    "normalize_advantage": "standardize",
    "num_envs_per_env_runner": "num_envs",
    "num_sgd_iter": "num_epochs",
    "observation_filter": "normalize_obs",
    "optimizer_class": "optimizer",
    "repeat_per_collect": "num_epochs",
    "return_scaling": "normalize_rewards",
    "reward_normalization": "normalize_rewards",
    "rollout_fragment_length": "num_steps",
    "squash_output": "squash",
    "step_per_collect": "num_steps",
    "tau": "temperature",
    "timesteps": "total_steps",
    "total_timesteps": "total_steps",
    "train_batch_size": "num_steps",
    "training_num": "num_envs",
    "update_epochs": "num_epochs",
    "use_critic": "baseline",
    "use_gae": "estimator",
}
EXPLAINED = {
    **dict.fromkeys(
        ("vf_coef", "vf_loss_coeff", "value_coef"),
        "the value network is separate and has a value_learning_rate; value_coef is for a PyTorch module (policy=...)",
    ),
    **dict.fromkeys(
        ("minibatch_size", "sgd_minibatch_size"),
        "num_minibatches says into how many parts a batch is shuffled",
    ),
}

FIELDS = {field.name: field for field in dataclasses.fields(Config)}


def resolve(env: str | None = None, algorithm: str | None = None, *layers: Mapping[str, Any]) -> Config:
    """Return the Config of an algorithm's preset with one mapping after another laid over it.

    Values have the field's type or, as from the command line, are text. Python's `seeds=30` means seeds 0 to 29.
    Raises one ConfigError for everything that is wrong.
    """
    named = [{"env": env} if env is not None else {}, {"algorithm": algorithm} if algorithm is not None else {}]
    given: dict[str, Any] = {}
    problems = []
    for layer in [*layers, *named]:
        if "algorithm" in layer and "algorithm" in given and given["algorithm"] != layer["algorithm"]:
            problems.append(
                f"algorithm '{layer['algorithm']}' cannot be combined with settings made for algorithm "
                f"'{given['algorithm']}': remove one of the two"
            )
        given.update(layer)
    if "policy" in given:  # as runs.folder writes it
        problems.append(
            f"the policy is a PyTorch module, {given.pop('policy')}, whose code no configuration holds: train it with "
            "pgrad.train(..., policy=...)"
        )
    problems += [f"unknown setting '{name}': {nearest_setting(name, FIELDS)}" for name in given if name not in FIELDS]
    preset = ALGORITHMS.get(str(given.get("algorithm", DEFAULT_ALGORITHM)), {})
    chosen = {name: value for name, value in given.items() if name in FIELDS}
    config = None
    with collecting(problems):
        config = Config(**{**preset, **_without_alternatives(chosen)})
    if problems or config is None:
        raise ConfigError(problems)
    return config


def nearest_setting(name: str, known: Iterable[str], command: str = "pgrad train") -> str:
    """Hint at the setting or flag that was meant: by another library's name for it, or by its spelling."""
    by_plain = {plain(candidate): candidate for candidate in known}
    if explained := EXPLAINED.get(plain(name)):
        return explained
    synonym = SYNONYMS.get(plain(name))
    meant = synonym if synonym in by_plain else closest(plain(name), by_plain)
    return f"did you mean '{by_plain[meant]}'?" if meant else f"`{command} --help` lists them"


def _without_alternatives(chosen: dict[str, Any]) -> dict[str, Any]:
    """Clear the preset's other way to fill a batch, or to end a run, where one is chosen."""
    cleared = dict(chosen)
    for one, other in (("num_steps", "episodes_per_iteration"), ("total_steps", "num_iterations")):
        for mine, theirs in ((one, other), (other, one)):
            if mine in chosen and theirs not in chosen and not (chosen[mine] is None or chosen[mine] == "none"):
                cleared[theirs] = None
    return cleared


class Argument(NamedTuple):
    """What an argument may be."""

    convert: Callable[[Any], Any]  # from Python, TOML or text; ValueError says what it must be
    range: Range | None = None  # of each number
    choices: tuple[str, ...] = ()
    optional: bool = False  # None, or as text 'none', passes


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


def plain(name: str) -> str:
    """Return the Python name of a flag or argument: `--max-episode-steps` is `max_episode_steps`."""
    return name.lstrip("-").replace("-", "_")


def integer(value: Any) -> int:
    """Convert an integer, a float without fraction, or text like 1000 or 1e3; raise ValueError for anything else."""
    try:
        number = float(value) if isinstance(value, str) else value
        if not isinstance(value, bool) and number == int(number):
            return int(value) if isinstance(value, str) and value.lstrip("+-").isdigit() else int(number)
    except (TypeError, ValueError, OverflowError):
        pass
    raise ValueError(f"must be an integer, not {value!r}")


def number(value: Any) -> float:
    """Convert a number or its text; raise ValueError for anything else."""
    try:
        if not isinstance(value, bool):
            return float(value)
    except (TypeError, ValueError, OverflowError):
        pass
    raise ValueError(f"must be a number, not {value!r}")


def boolean(value: Any) -> bool:
    """Convert a boolean or its text; raise ValueError for anything else."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    raise ValueError(f"must be true or false, not {value!r}")


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    raise ValueError(f"must be text, not {value!r}")


def _integers(value: Any) -> tuple[int, ...]:
    if isinstance(value, str):
        value = [] if value in ("", "none") else value.split(",")
    elif not isinstance(value, Iterable):
        value = [value]
    return tuple(map(integer, value))


def _seeds(value: Any) -> tuple[int, ...]:
    """Convert a number of seeds (30 means seeds 0 to 29), a list, or text like 0-4,10 to the seeds meant."""
    if isinstance(value, str) and re.search(r",|\d-", value):
        value = value.removesuffix(",").split(",")
    if isinstance(value, Iterable) and not isinstance(value, str):
        seeds = tuple(seed for item in value for seed in _seed_range(item))
    elif (count := integer(value)) < 1:
        raise ValueError(f"must be a positive number of seeds, a range like 0-9, or a list, not {value!r}")
    elif count > MAX_SEEDS:
        raise ValueError(f"must be at most {MAX_SEEDS:,}, not {count:,}; for one seed of that number use seed={count}")
    else:
        seeds = tuple(range(count))
    if not seeds:
        raise ValueError("must name at least one seed")
    if len(set(seeds)) < len(seeds):
        raise ValueError(f"must differ from each other: {', '.join(map(str, seeds[:20]))}")
    return seeds


def _seed_range(item: Any) -> Sequence[int]:
    """Return the seeds from first to last of text like 0-4, or the one seed."""
    if not (isinstance(item, str) and (ends := re.fullmatch(r"\s*(\d+)-(\d+)\s*", item))):
        return [integer(item)]
    seeds = range(int(ends[1]), int(ends[2]) + 1)
    if not 0 < int(ends[2]) + 1 - int(ends[1]) <= MAX_SEEDS:
        raise ValueError(f"must be ranges like 0-9 of at most {MAX_SEEDS:,}, not {item!r}")
    return seeds


_CONVERTERS: dict[Any, Callable[[Any], Any]] = {
    bool: boolean,
    int: integer,
    float: number,
    str: _text,
    tuple: _integers,
}


def _argument(name: str, annotation: Any) -> Argument:
    """Return what a field of Config may be, by its annotation and metadata."""
    optional = isinstance(annotation, types.UnionType)
    wanted = typing.get_args(annotation)[0] if optional else annotation
    convert = _seeds if name == "seeds" else _CONVERTERS[typing.get_origin(wanted) or wanted]
    metadata = FIELDS[name].metadata
    return Argument(convert, metadata["range"], metadata["choices"], optional)


ARGUMENTS: dict[str, Argument] = {
    **{name: _argument(name, annotation) for name, annotation in typing.get_type_hints(Config).items()},
    "seed": Argument(integer, SEED),
    "evaluation_seed": Argument(integer, SEED),
    "diagnosis_seed": Argument(integer, SEED),
    "threads": Argument(integer, COUNT, optional=True),
    "episodes": Argument(integer, COUNT),
    "evaluation_episodes": Argument(integer, COUNT_OR_ZERO),
    "trajectories": Argument(
        integer, Range(lambda n: n >= MIN_TRAJECTORIES, f"at least {MIN_TRAJECTORIES}"), optional=True
    ),
    "value_coef": Argument(number, POSITIVE, optional=True),
    "greedy": Argument(boolean),
    "trust": Argument(boolean),
}

_WITHOUT_V = frozenset(BASELINES) - {"value"}
_FOR_EPOCHS = ("clip_epsilon", "target_kl", "value_clip_epsilon")
_IDLE_BASELINES = {
    "batch": ("constant", "mean"),
    "minibatch": ("constant", "mean"),
    "episode": ("constant", "mean", "leave-one-out", "optimal"),
}


def _one_step(c: Config) -> bool:
    """Return whether an iteration takes a single gradient step."""
    return c.num_epochs == 1 and c.num_minibatches == 1


def _least_samples(c: Config) -> int:
    """Return how many samples an iteration has for sure, with at least one in each of its episodes."""
    episodes = c.episodes_per_iteration
    return episodes if isinstance(episodes, int) else c.num_envs * (c.num_steps or 1)  # it is text where it is wrong


# What settings must not be together: when, and why.
RULES: tuple[tuple[Callable[[Config], bool], str], ...] = (
    (
        lambda c: (c.num_steps is None) == (c.episodes_per_iteration is None),
        "exactly one of num_steps and episodes_per_iteration must be set",
    ),
    (
        lambda c: c.total_steps is None and c.num_iterations is None,
        "total_steps or num_iterations must be set, or training would never end",
    ),
    (
        lambda c: c.episodes_per_iteration is None and c.baseline in _WITHOUT_V,
        "baseline '{baseline}' cannot value a trajectory cut by num_steps: use baseline 'value', or whole episodes "
        "with episodes_per_iteration, as algorithm 'reinforce' does",
    ),
    (
        lambda c: c.episodes_per_iteration is None and c.estimator == "total-return",
        "estimator 'total-return' needs whole episodes: set episodes_per_iteration instead of num_steps",
    ),
    (
        lambda c: c.episodes_per_iteration is None and c.normalizer == "episode",
        "normalizer 'episode' needs whole episodes: set episodes_per_iteration instead of num_steps",
    ),
    (
        lambda c: c.episodes_per_iteration is None and c.standardize == "episode",
        "standardize 'episode' needs whole episodes: set episodes_per_iteration instead of num_steps",
    ),
    (
        lambda c: c.estimator == "total-return" and c.standardize == "episode",
        "standardize 'episode' turns estimator 'total-return', one number per episode, into zeros: use 'batch'",
    ),
    (
        lambda c: c.backend == "compiled" and c.vectorization != "auto",
        "vectorization '{vectorization}' is for Gymnasium environments: remove it, or backend 'compiled'",
    ),
    (
        lambda c: c.baseline in _IDLE_BASELINES.get(c.standardize, ()),
        "baseline '{baseline}' has no effect where standardize '{standardize}' subtracts the mean: use standardize "
        "'none', or baseline 'none'",
    ),
    (
        lambda c: c.constant_baseline != 0 and c.baseline != "constant",
        "constant_baseline is for baseline 'constant' only, not for '{baseline}': remove it",
    ),
    (
        lambda c: c.estimator == "gae" and c.baseline in _WITHOUT_V,
        "estimator 'gae' needs baseline 'value', not '{baseline}': use estimator 'reward-to-go', as algorithm "
        "'reinforce' does",
    ),
    *(
        (
            lambda c, name=name: _one_step(c) and getattr(c, name) is not None,
            f"{name} limits how far several gradient steps go, and an iteration has one: set num_epochs or "
            "num_minibatches, as algorithm 'ppo' does, or remove it",
        )
        for name in _FOR_EPOCHS
    ),
    (
        lambda c: c.step == "gradient" and c.learning_rate is None,
        "step 'gradient' needs a learning_rate",
    ),
    (
        lambda c: c.step == "gradient" and c.max_kl is not None,
        "max_kl is the length of natural steps: remove it, or set step 'natural' or 'trust-region'",
    ),
    (
        lambda c: c.step != "gradient" and c.learning_rate is not None,
        "step '{step}' has no learning_rate, since max_kl says how far it goes: set learning_rate 'none'",
    ),
    (lambda c: c.step != "gradient" and c.max_kl is None, "step '{step}' needs max_kl, how far it goes, such as 0.01"),
    (
        lambda c: c.step != "gradient" and not _one_step(c),
        "step '{step}' uses all of a batch once: set num_epochs and num_minibatches to 1",
    ),
    (
        lambda c: c.num_value_steps > 1 and c.baseline in _WITHOUT_V,
        "num_value_steps needs baseline 'value', not '{baseline}': remove it",
    ),
    (
        lambda c: c.step == "trust-region" and c.entropy_coef > 0,
        "step 'trust-region' accepts what does not lower the surrogate, which has no entropy: set entropy_coef to 0",
    ),
    (
        lambda c: c.num_epochs > 1 and c.clip_epsilon is None and c.target_kl is None,
        "num_epochs {num_epochs} needs clip_epsilon or target_kl, or the policy moves away from the one that acted",
    ),
    (
        lambda c: c.num_minibatches > max(1, _least_samples(c)),
        "num_minibatches {num_minibatches} is more than an iteration has for sure: at most num_envs x num_steps, or "
        "episodes_per_iteration",
    ),
    (
        lambda c: c.clip_schedule == "linear" and c.clip_epsilon is None,
        "clip_schedule 'linear' needs a clip_epsilon to decay: set it, or remove the schedule",
    ),
    (
        lambda c: c.value_clip_epsilon is not None and c.baseline in _WITHOUT_V,
        "value_clip_epsilon needs baseline 'value', not '{baseline}': remove it",
    ),
    (
        lambda c: c.standardize == "minibatch" and _one_step(c),
        "standardize 'minibatch' needs several gradient steps an iteration: use 'batch', or set num_minibatches",
    ),
    (
        lambda c: c.standardize == "minibatch" and (c.normalizer == "episode" or c.discounting == "exact"),
        "standardize 'minibatch' takes all samples alike: use normalizer 'step' and discounting 'dropped'",
    ),
    (
        lambda c: c.baseline in ("leave-one-out", "optimal") and c.episodes_per_iteration == 1,
        "baseline '{baseline}' needs at least two episodes per iteration",
    ),
)


def to_toml(config: Config) -> str:
    """Return the configuration as TOML, which `pgrad train --config` reads back to an equal one."""
    lines = []
    for name, field in FIELDS.items():
        lines.append(f"{name} = {_toml_value(getattr(config, name))}  # {field.metadata['help']}")
    return "\n".join(lines) + "\n"


def _toml_value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if value is None:
        return '"none"'
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    if isinstance(value, tuple):
        return f"[{', '.join(map(str, value))}]"
    return repr(value)
