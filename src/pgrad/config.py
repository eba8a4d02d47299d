"""One configuration: the same fields are Python arguments, command-line flags and TOML keys.

Every field is checked when a Config is made, and everything wrong with it is reported in one ConfigError.
"""

import dataclasses
import math
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pgrad.algorithms.presets import ALGORITHMS, DEFAULT_ALGORITHM
from pgrad.envs.make import BACKENDS
from pgrad.errors import ConfigError, closest, nearest
from pgrad.estimators.spec import BASELINES, ESTIMATORS, STANDARDIZATIONS
from pgrad.kernels.dense import ACTIVATIONS
from pgrad.kernels.optimizers import OPTIMIZERS
from pgrad.policies.distributions import STATE_INDEPENDENT, STDS
from pgrad.vector import VECTORIZATIONS

MAX_SEED = 2**63 - 1


def _field(default: Any, help: str, choices: Iterable[str] | None = None) -> Any:
    return dataclasses.field(default=default, metadata={"help": help, "choices": tuple(choices or ())})


@dataclass(frozen=True)
class Config:
    """How to train. Field by field: `pgrad train --help`."""

    env: str = _field("CartPole-v1", "environment id")
    algorithm: str = _field(DEFAULT_ALGORITHM, "preset that the other fields start from", ALGORITHMS)
    backend: str = _field("auto", "compiled twin if there is one, or Gymnasium's own", BACKENDS)
    vectorization: str = _field("auto", "how Gymnasium's environments are stepped together", VECTORIZATIONS)
    max_episode_steps: int | None = _field(None, "a time limit; 'none' for the environment's own")
    step_timeout: float | None = _field(60.0, "seconds after which a step of the environment hangs; 'none' for never")
    seeds: tuple[int, ...] = _field((0,), "random seeds: a number of them, or a list like 7,8,9")
    hidden: tuple[int, ...] = _field((64,), "units of each hidden layer, like 64,64; 'none' for a linear policy")
    activation: str = _field("tanh", "between layers", ACTIVATIONS)
    temperature: float = _field(1.0, "softmax temperature τ: π = softmax(logits / τ)")
    std: str = _field(STATE_INDEPENDENT, "of real actions: a parameter for each, or an output of the network", STDS)
    initial_std: float = _field(1.0, "of real actions, at the beginning")
    squash: bool = _field(False, "real actions: squash what is drawn to the bounds by tanh, instead of clipping it")
    normalize_obs: bool = _field(False, "subtract the running mean of observations, divide by their deviation")
    normalize_rewards: bool = _field(False, "divide rewards by the running deviation of the discounted return")
    initialization: str = _field(
        "orthogonal",
        "of the weights: orthogonal with a nearly uniform policy, or PyTorch's uniform",
        ("orthogonal", "uniform"),
    )
    estimator: str = _field("gae", "what multiplies the score", ESTIMATORS)
    baseline: str = _field("value", "what is subtracted from it", BASELINES)
    constant_baseline: float = _field(0.0, "the number that baseline 'constant' subtracts")
    standardize: str = _field(
        "batch", "subtract the mean and divide by the standard deviation, of the batch or an episode", STANDARDIZATIONS
    )
    discount: float = _field(0.99, "γ, in [0, 1]")
    gae_lambda: float = _field(0.95, "λ of the generalised advantage, in [0, 1]")
    discounting: str = _field("dropped", "the factor γ^t outside the return", ("exact", "dropped"))
    normalizer: str = _field("step", "average the sum over steps per episode or per step", ("episode", "step"))
    num_envs: int = _field(4, "environments side by side")
    num_steps: int | None = _field(32, "steps of each environment per iteration; or else episodes_per_iteration")
    episodes_per_iteration: int | None = _field(None, "whole episodes per iteration; or else num_steps")
    optimizer: str = _field("adam", "how to step along the gradient", OPTIMIZERS)
    learning_rate: float = _field(0.005, "of the policy")
    value_learning_rate: float = _field(0.02, "of the value network")
    learning_rate_schedule: str = _field(
        "linear", "constant, or linear to zero at the run's end", ("constant", "linear")
    )
    max_grad_norm: float | None = _field(0.5, "clip the gradient to this global norm; 'none' for no clipping")
    entropy_coef: float = _field(0.0, "weight of the policy's entropy (nats) in the objective")
    total_steps: int | None = _field(100_000, "stop after this many environment steps")
    num_iterations: int | None = _field(None, "stop after this many iterations")
    checkpoint_every: int | None = _field(
        10,
        "iterations between the parameters kept along the way, doubled to keep at most 128; 'none' for none",
    )

    def __post_init__(self) -> None:
        problems = []
        for name, field in FIELDS.items():
            try:
                value = convert(name, getattr(self, name))
            except ValueError as error:
                problems.append(f"{name} {error}")
                value = field.default  # so that the other fields can be checked
            object.__setattr__(self, name, value)
        if problems := problems + _problems(self):
            raise ConfigError(problems)


SYNONYMS = {
    "gamma": "discount",
    "lambda": "gae_lambda",
    "lr": "learning_rate",
    "alpha": "learning_rate",
    "tau": "temperature",
    "hidden_sizes": "hidden",
    "episodes": "episodes_per_iteration",
    "batch_size": "num_steps",
    "timesteps": "total_steps",
    "total_timesteps": "total_steps",
    "iterations": "num_iterations",
    "ent_coef": "entropy_coef",
    "gradient_clip": "max_grad_norm",
}

FIELDS = {field.name: field for field in dataclasses.fields(Config)}
TYPES: dict[str, Any] = typing.get_type_hints(Config)


def resolve(env: str | None = None, algorithm: str | None = None, *layers: Mapping[str, Any]) -> Config:
    """A Config from an algorithm's preset and, over it, one mapping after another; raises one ConfigError for all.

    Values may be of the field's type or, as from the command line, text. Python's `seeds=30` means seeds 0 to 29.
    """
    named = [{"env": env} if env is not None else {}, {"algorithm": algorithm} if algorithm is not None else {}]
    given: dict[str, Any] = {}
    problems = []
    for layer in [*layers, *named]:
        if "algorithm" in layer and given.get("algorithm", layer["algorithm"]) != layer["algorithm"]:
            problems.append(
                f"algorithm '{layer['algorithm']}' would be laid under settings made for '{given['algorithm']}': "
                "remove one of the two"
            )
        given.update(layer)
    if "policy" in given:  # as runs.folder writes it
        problems.append(
            f"the policy is a PyTorch module, {given.pop('policy')}, whose code no configuration holds: train it by "
            "pgrad.train(..., policy=...)"
        )
    problems += [f"unknown setting '{name}': {nearest_setting(name, FIELDS)}" for name in given if name not in FIELDS]
    preset = ALGORITHMS.get(str(given.get("algorithm", DEFAULT_ALGORITHM)), {})
    chosen = {name: value for name, value in given.items() if name in FIELDS}
    try:
        config = Config(**{**preset, **_other_rollout_cleared(chosen)})
    except ConfigError as error:
        raise ConfigError([*problems, *error.problems]) from None
    if problems:
        raise ConfigError(problems)
    return config


def nearest_setting(name: str, known: Iterable[str], command: str = "pgrad train") -> str:
    """A hint at the setting or flag that was meant, by its spelling or by another name for the same thing."""
    plain = name.lstrip("-").replace("-", "_")
    by_plain = {candidate.lstrip("-").replace("-", "_"): candidate for candidate in known}
    if (meant := SYNONYMS.get(plain)) in by_plain:
        return f"did you mean '{by_plain[str(meant)]}'?"
    meant = closest(plain, by_plain)
    return f"did you mean '{by_plain[meant]}'?" if meant else f"`{command} --help` lists them"


def _other_rollout_cleared(chosen: dict[str, Any]) -> dict[str, Any]:
    """Choosing one way to fill a batch, or to end a run, puts the preset's other way aside."""
    cleared = dict(chosen)
    for one, other in (("num_steps", "episodes_per_iteration"), ("total_steps", "num_iterations")):
        for mine, theirs in ((one, other), (other, one)):
            if mine in chosen and theirs not in chosen and chosen[mine] not in (None, "none"):
                cleared[theirs] = None
    return cleared


def convert(name: str, value: Any) -> Any:
    """`value` as field `name` wants it, from text or from a Python or TOML value; ValueError says what it must be."""
    wanted = TYPES[name]
    if isinstance(wanted, types.UnionType):
        if value is None or value == "none":
            return None
        wanted = next(option for option in typing.get_args(wanted) if option is not type(None))
    if name == "seeds":
        return _seeds(value)
    return _CONVERTERS[typing.get_origin(wanted) or wanted](value)


def integer(value: Any) -> int:
    """A whole number from one, from a float without fraction, or from text like 1000 or 1e3; ValueError otherwise."""
    try:
        number = float(value) if isinstance(value, str) else value
        if not isinstance(value, bool) and number == int(number):
            return int(value) if isinstance(value, str) and value.lstrip("+-").isdigit() else int(number)
    except (TypeError, ValueError, OverflowError):
        pass
    raise ValueError(f"must be a whole number, not {value!r}")


def number(value: Any) -> float:
    """A number from one or from text; ValueError otherwise."""
    try:
        if not isinstance(value, bool):
            return float(value)
    except (TypeError, ValueError):
        pass
    raise ValueError(f"must be a number, not {value!r}")


def truth(value: Any) -> bool:
    """True or false from one or from text; ValueError otherwise."""
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
    elif not isinstance(value, Sequence):
        value = [value]
    try:
        return tuple(integer(item) for item in value)
    except ValueError as error:
        raise ValueError(str(error).replace("a whole number", "whole numbers")) from None


def _seeds(value: Any) -> tuple[int, ...]:
    """A whole number n means seeds 0 to n - 1; a list, or text with a comma, means those seeds."""
    if isinstance(value, str) and "," in value:
        return _integers(value.rstrip(","))
    if isinstance(value, Sequence) and not isinstance(value, str):
        return _integers(value)
    count = integer(value)
    if count < 1:
        raise ValueError(f"must be a positive number of seeds, or a list of them, not {value!r}")
    if count > 100_000:
        raise ValueError(f"must be at most 100,000 seeds, not {count:,}; for one seed of that number use seed={count}")
    return tuple(range(count))


_CONVERTERS: dict[Any, Callable[[Any], Any]] = {
    bool: truth,
    int: integer,
    float: number,
    str: _text,
    tuple: _integers,
}


def _problems(config: Config) -> list[str]:
    """Everything that is wrong with a configuration whose fields have the right types."""
    found = []

    def require(condition: bool, problem: str) -> None:
        if not condition:
            found.append(problem)

    for name, field in FIELDS.items():
        value, choices = getattr(config, name), field.metadata["choices"]
        if choices and value not in choices:
            found.append(f"unknown {name} '{value}': {nearest(str(value), choices)}")
    for name in ("learning_rate", "value_learning_rate", "temperature", "initial_std"):
        value = getattr(config, name)
        require(math.isfinite(value) and value > 0, f"{name} must be positive and finite, not {value}")
    for name in ("discount", "gae_lambda"):
        value = getattr(config, name)
        require(0 <= value <= 1, f"{name} must be in [0, 1], not {value}")
    for name in (
        "num_envs",
        "num_steps",
        "episodes_per_iteration",
        "total_steps",
        "num_iterations",
        "checkpoint_every",
        "max_episode_steps",
        "step_timeout",
    ):
        value = getattr(config, name)
        require(value is None or value > 0, f"{name} must be positive, not {value}")
    require(all(units > 0 for units in config.hidden), f"hidden layers must have positive sizes, not {config.hidden}")
    require(len(config.seeds) > 0, "seeds must name at least one seed")
    for seed in config.seeds:
        require(0 <= seed <= MAX_SEED, f"seeds must be in 0 … 2⁶³ - 1, not {seed}")
    require(len(set(config.seeds)) == len(config.seeds), f"seeds must differ from each other: {config.seeds}")
    require(
        config.max_grad_norm is None or config.max_grad_norm > 0,
        f"max_grad_norm must be positive, or none, not {config.max_grad_norm}",
    )
    require(
        math.isfinite(config.entropy_coef) and config.entropy_coef >= 0,
        f"entropy_coef must be finite and not negative, not {config.entropy_coef}",
    )
    require(
        (config.num_steps is None) != (config.episodes_per_iteration is None),
        "exactly one of num_steps and episodes_per_iteration must be set",
    )
    require(
        config.total_steps is not None or config.num_iterations is not None,
        "total_steps or num_iterations must be set, or training would never end",
    )
    whole = config.episodes_per_iteration is not None
    require(
        whole or config.baseline == "value" or config.baseline not in BASELINES,
        f"baseline '{config.baseline}' cannot value a trajectory cut by num_steps: use baseline 'value', or whole "
        "episodes with episodes_per_iteration, as algorithm 'reinforce' has them",
    )
    require(
        whole or config.estimator != "total-return",
        "estimator 'total-return' needs whole episodes: set episodes_per_iteration instead of num_steps",
    )
    require(
        whole or config.normalizer == "step",
        "normalizer 'episode' needs whole episodes: set episodes_per_iteration instead of num_steps",
    )
    require(
        whole or config.standardize != "episode",
        "standardize 'episode' needs whole episodes: set episodes_per_iteration instead of num_steps",
    )
    require(
        config.estimator != "total-return" or config.standardize != "episode",
        "standardize 'episode' leaves nothing of estimator 'total-return', which is one number an episode",
    )
    require(
        config.backend != "compiled" or config.vectorization == "auto",
        f"vectorization '{config.vectorization}' is for Gymnasium's environments: leave it out with backend 'compiled'",
    )
    idle = {"batch": ("constant", "mean"), "episode": ("constant", "mean", "leave-one-out", "optimal")}
    require(
        config.baseline not in idle.get(config.standardize, ()),
        f"baseline '{config.baseline}' changes nothing where standardize '{config.standardize}' subtracts the mean "
        "anyhow: use standardize 'none', or baseline 'none'",
    )
    constant = config.constant_baseline
    require(math.isfinite(constant), f"constant_baseline must be finite, not {constant}")
    require(
        constant == 0 or config.baseline == "constant",
        f"constant_baseline is read by baseline 'constant' only, not by '{config.baseline}'",
    )
    require(
        config.estimator != "gae" or config.baseline == "value" or config.baseline not in BASELINES,
        f"estimator 'gae' needs baseline 'value', not '{config.baseline}': use estimator 'reward-to-go', as algorithm "
        "'reinforce' does",
    )
    require(
        config.baseline not in ("leave-one-out", "optimal") or config.episodes_per_iteration != 1,
        f"baseline '{config.baseline}' needs at least two episodes per iteration",
    )
    return found


def to_toml(config: Config) -> str:
    """The configuration as TOML, which `pgrad train --config` reads back to an equal one."""
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
