"""The networks that pgrad trains, for use from Python: a policy and a value function over multilayer perceptrons."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from pgrad.envs.make import AnyEnv, Env, make
from pgrad.errors import EnvError, InputError, nearest, require_number
from pgrad.kernels import heads
from pgrad.kernels.dense import ACTIVATIONS
from pgrad.kernels.mlp import INPUT_LIMIT, MLP, NOT_NORMALISED, forward, network, num_parameters
from pgrad.policies.distributions import (
    ACTION_DISTRIBUTIONS,
    BETA,
    GAUSSIAN,
    GSDE,
    STATE_DEPENDENT,
    STATE_INDEPENDENT,
    STDS,
    Distribution,
    bounds_of,
    checked_actions,
    distribution_of,
    gsde_log_std,
    num_extra,
    num_outputs,
    require_beta,
    require_bounds,
    require_noise_steps,
)
from pgrad.spaces import Box, Discrete, Space, actions_in_words

INITIALIZATION_STREAM = 0  # of a run's random numbers; training.build has the others

Floats = npt.NDArray[np.float64]
Parameters = npt.NDArray[np.float32]


def require_sizes(sizes: Any) -> None:
    """Raise InputError unless these are the units of a network's layers."""
    if not (isinstance(sizes, tuple) and len(sizes) > 1 and all(isinstance(n, int) and n > 0 for n in sizes)):
        raise InputError(f"sizes must be a tuple of units, as in (4, 64, 2), not {sizes!r:.80}")


@dataclass(frozen=True, eq=False, repr=False)
class MLPNetwork:
    """A multilayer perceptron."""

    parameters: Parameters  # [P], layer by layer: weight [outputs, inputs], then bias [outputs]
    sizes: tuple[int, ...]  # (inputs, hidden …, outputs)
    activation: str = "tanh"  # or "relu", between layers
    shift: Parameters = field(default_factory=NOT_NORMALISED.copy, kw_only=True)  # [inputs] become (x - shift) · scale
    scale: Parameters = field(default_factory=NOT_NORMALISED.copy, kw_only=True)  # or, if both are empty, stay

    def __post_init__(self) -> None:
        require_sizes(self.sizes)
        if not isinstance(self.parameters, np.ndarray):
            raise InputError(f"parameters must be a NumPy array, not {type(self.parameters).__name__}")
        if not isinstance(self.activation, str) or self.activation not in ACTIVATIONS:
            raise InputError(f"unknown activation {self.activation!r}: {nearest(self.activation, ACTIVATIONS)}")
        expected = num_parameters(self.sizes) + self.num_extra
        if self.parameters.shape != (expected,):
            raise InputError(
                f"a network of sizes {self.sizes} has {expected} parameters, not an array {self.parameters.shape}"
            )
        if self.shift.shape != self.scale.shape or self.shift.shape not in ((0,), self.sizes[:1]):
            raise InputError(
                f"shift and scale must have one number for each of {self.sizes[0]} inputs, or none, not "
                f"{self.shift.shape} and {self.scale.shape}"
            )

    def __repr__(self) -> str:
        sizes = "-".join(map(str, self.sizes))
        return f"<{type(self).__name__}: {sizes}, {self.activation}, {self.num_parameters} parameters>"

    @property
    def num_extra(self) -> int:
        """Parameters after those of the layers."""
        return 0

    @property
    def num_parameters(self) -> int:
        """P: weights, biases and extra parameters together."""
        return int(self.parameters.size)

    @property
    def layers(self) -> list[tuple[Parameters, Parameters]]:
        """Weight [outputs, inputs] and bias [outputs] of each layer, as views."""
        return split(self.parameters, self.sizes)

    @cached_property
    def network(self) -> MLP:
        """The network for compiled code."""
        return network(self.parameters, self.sizes, self.activation, self.shift, self.scale)

    def outputs(self, obs: npt.ArrayLike) -> Floats:
        """Return the last layer's units, in float64; [outputs] or [N, outputs]."""
        batch = as_batch(obs, self.sizes[0])
        outputs = forward(self.network, np.ascontiguousarray(batch.T), batch.shape[0]).T.astype(np.float64)
        return np.asarray(outputs[0] if np.ndim(obs) == 1 else outputs)


@dataclass(frozen=True, eq=False, repr=False)
class MLPValue(MLPNetwork):
    """V(s): an estimate of the policy's expected return from s on."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.sizes[-1] != 1:
            raise InputError(f"a value network has one output, not {self.sizes[-1]} (sizes {self.sizes})")

    def value(self, obs: npt.ArrayLike) -> Floats:
        """Return V(s) of one observation [O] or a batch [N, O]; a number or [N]."""
        return np.asarray(self.outputs(obs)[..., 0])


@dataclass(frozen=True, eq=False, repr=False)
class MLPPolicy(MLPNetwork):
    """π(a | s): softmax(outputs / τ) for discrete and multi-discrete actions, a Gaussian or Beta for continuous ones.

    Methods take one observation [O] or a batch [N, O] and return one result or N; `mask`, where a method takes one, has
    a boolean for each choice, [A] or [N, A]. A log σ that is no output of the network is the end of `parameters`: one
    for each continuous number or, with std "gsde", as kernels.gsde has them.
    """

    temperature: float = 1.0
    env: str | None = None  # the id of the environment that it was trained on
    metadata: dict[str, str] = field(default_factory=dict)  # how it was trained
    actions: Space = None  # type: ignore[assignment]  # Discrete, one a network output, where not given
    std: str = STATE_INDEPENDENT
    squash: bool = False  # continuous actions to their bounds by tanh, or clip
    action_distribution: str = GAUSSIAN  # or "beta", of continuous actions; both of its parameters are outputs
    noise_steps: int = 1  # for which acting in an episode holds the noise of "gsde"

    def __post_init__(self) -> None:
        require_sizes(self.sizes)
        require_number("temperature", self.temperature)
        if self.actions is None:
            object.__setattr__(self, "actions", Discrete(self.sizes[-1]))
        if self.std not in STDS:
            raise InputError(f"unknown std {self.std!r}: {nearest(self.std, STDS)}")
        if self.action_distribution not in ACTION_DISTRIBUTIONS:
            known = nearest(self.action_distribution, ACTION_DISTRIBUTIONS)
            raise InputError(f"unknown action_distribution {self.action_distribution!r}: {known}")
        if self.action_distribution == BETA:
            require_beta(self.actions, self.std, self.squash)
        require_noise_steps(self.noise_steps)
        wanted = num_outputs(self.actions, self.std)
        if self.sizes[-1] != wanted:
            raise InputError(
                f"{actions_in_words(self.actions)} need {wanted} outputs, not {self.sizes[-1]} (sizes {self.sizes})"
            )
        if not isinstance(self.actions, Box):
            object.__setattr__(self, "squash", False)
        elif self.squash:
            require_bounds(self.actions)
        super().__post_init__()
        if not (math.isfinite(self.temperature) and self.temperature > 0):
            raise InputError(f"temperature must be positive and finite, not {self.temperature}")

    def __repr__(self) -> str:
        return f"{super().__repr__()[:-1]}, {self.env}>"

    @classmethod
    def initial(
        cls, env: AnyEnv, hidden: int | Sequence[int] = 64, activation: str = "tanh", seed: int = 0
    ) -> "MLPPolicy":
        """Return an untrained policy for an environment: nearly uniform, continuous actions with σ = 1 half-width.

        env         whatever `pgrad.make` takes
        hidden      units of each hidden layer; () for a linear policy
        activation  "tanh" or "relu", between the layers
        seed        of the weights: `train` begins with the same, where its settings are these and no others

        Raises EnvError for no environment, InputError for an unknown activation or layers without units.
        """
        made = make(env)
        layers = [hidden] if isinstance(hidden, int) else list(hidden)
        if not all(isinstance(units, int) and units > 0 for units in layers):
            raise InputError(f"hidden layers need a number of units each, such as 64 or (64, 64), not {hidden!r}")
        sizes = (made.obs_size, *layers, num_outputs(made.actions, STATE_INDEPENDENT))
        rng = np.random.default_rng([seed, INITIALIZATION_STREAM])
        parameters = initial_policy(sizes, "orthogonal", made.actions, STATE_INDEPENDENT, 1.0, rng)
        return cls(parameters, sizes, activation, env=made.id, actions=made.actions)

    @property
    def num_extra(self) -> int:
        """How many log σ of continuous actions are parameters beside the layers: see distributions.num_extra."""
        return num_extra(self.actions, self.std, self.sizes[0])

    @property
    def log_std(self) -> Parameters | None:
        """The log σ that are no outputs of the network, [D] or [(O + 1) · D], as a view; None if there are none."""
        return self.parameters[self.parameters.size - self.num_extra :] if self.num_extra else None

    @cached_property
    def compiled(self) -> heads.Policy:
        """The policy for compiled code."""
        return heads.Policy(
            self.network,
            head_of(
                self.parameters[num_parameters(self.sizes) :],
                self.actions,
                self.std,
                self.squash,
                self.temperature,
                self.action_distribution,
                self.noise_steps,
            ),
        )

    def distribution(self, obs: npt.ArrayLike, mask: npt.ArrayLike | None = None) -> Distribution:
        """Return π(· | s) for every observation of a batch [N, O], or for one as a batch of one."""
        outputs = np.atleast_2d(self.outputs(obs))
        log_std: npt.NDArray[Any] | None = self.log_std
        if self.std == GSDE and log_std is not None:
            log_std = gsde_log_std(log_std, self.features(obs))
        return distribution_of(
            outputs, self.actions, self.temperature, log_std, self.squash, mask, self.action_distribution
        )

    def features(self, obs: npt.ArrayLike) -> Floats:
        """Return a batch of observations as the first layer sees them, normalised if inputs are; [N, O]."""
        batch = as_batch(obs, self.sizes[0]).astype(np.float64)
        return np.clip((batch - self.shift) * self.scale, -INPUT_LIMIT, INPUT_LIMIT) if self.shift.size else batch

    def logits(self, obs: npt.ArrayLike) -> Floats:
        """Return the action preferences, before the temperature; [A] or [N, A]. InputError for continuous actions."""
        if isinstance(self.actions, Box):
            raise InputError("a policy over continuous actions has no logits: see `distribution`")
        return self.outputs(obs)

    def probabilities(self, obs: npt.ArrayLike, mask: npt.ArrayLike | None = None) -> Floats:
        """Return π(· | s); [A] or [N, A]. InputError if actions are not Discrete."""
        if not isinstance(self.actions, Discrete):
            raise InputError("only Discrete actions have their probabilities in one row: see `distribution`")
        probabilities = self.distribution(obs, mask).probabilities()  # type: ignore[attr-defined]
        return np.asarray(probabilities[0] if np.ndim(obs) == 1 else probabilities)

    def log_prob(self, obs: npt.ArrayLike, action: npt.ArrayLike, mask: npt.ArrayLike | None = None) -> Floats:
        """Return log π(action | s); a number or [N]. The log density for continuous actions (see distributions)."""
        distribution = self.distribution(obs, mask)
        log_prob = distribution.log_prob(checked_actions(action, self.actions, 1 if np.ndim(obs) == 1 else len(obs)))  # type: ignore[arg-type]
        return np.asarray(log_prob[0] if np.ndim(obs) == 1 else log_prob)

    def entropy(self, obs: npt.ArrayLike, mask: npt.ArrayLike | None = None) -> Floats:
        """Return H(π(· | s)) in nats; a number or [N]."""
        entropy = self.distribution(obs, mask).entropy()
        return np.asarray(entropy[0] if np.ndim(obs) == 1 else entropy)

    def act(self, obs: npt.ArrayLike, rng: np.random.Generator | None = None, mask: npt.ArrayLike | None = None) -> Any:
        """Return an action sampled with `rng`, or without it the most probable action: a number, [D], [N] or [N, D]."""
        distribution = self.distribution(obs, mask)
        actions = distribution.mode() if rng is None else distribution.sample(rng)
        if np.ndim(obs) != 1:
            return actions
        return int(actions[0]) if isinstance(self.actions, Discrete) else actions[0]


def require_fit(policy: MLPPolicy, env: Env) -> None:
    """Raise EnvError if an environment's observations or actions are not those that the policy was made for."""
    if (env.obs_size, env.actions) != (policy.sizes[0], policy.actions):
        raise EnvError(
            f"'{env.id}' has {env.obs_size} observations and {actions_in_words(env.actions)}; "
            f"this policy was made for {policy.sizes[0]} and {actions_in_words(policy.actions)}"
        )


def head_of(
    log_std: Parameters,
    actions: Space,
    std: str,
    squash: bool,
    temperature: float,
    action_distribution: str = GAUSSIAN,
    noise_steps: int = 1,
) -> Any:
    """Return the head for compiled code; log_std are the parameters after the layers', of which it is a view."""
    if isinstance(actions, Discrete):
        return heads.CategoricalHead(1 / temperature)
    if isinstance(actions, Box):
        if action_distribution == BETA:
            return heads.BetaHead(bounds_of(actions))
        if std == GSDE:
            return heads.GSDEHead(log_std, bounds_of(actions), squash, noise_steps)
        return heads.GaussianHead(log_std, bounds_of(actions), squash)
    return heads.MultiCategoricalHead(1 / temperature, np.array(actions.counts, np.int64), (0,) * len(actions.counts))


def as_batch(obs: npt.ArrayLike, obs_size: int) -> npt.NDArray[np.float32]:
    """Return one observation [O] or a batch [N, O] as float32 [N, O]."""
    array = as_numbers(obs, obs_size)
    if array.ndim not in (1, 2) or array.shape[-1] != obs_size:
        raise InputError(
            f"observations must have shape ({obs_size},) or (N, {obs_size}) for this policy, not {array.shape}"
        )
    return array.reshape(-1, obs_size)


def as_numbers(obs: npt.ArrayLike, obs_size: int) -> npt.NDArray[np.float32]:
    """Return observations as an array of any shape; raise InputError if they are not numbers."""
    try:
        return np.asarray(obs, dtype=np.float32)
    except (TypeError, ValueError, OverflowError):
        raise InputError(
            f"observations must be numbers, [{obs_size}] or [N, {obs_size}], not {obs!r:.80}: of a Dict or Tuple "
            "space, gymnasium.spaces.flatten(space, obs) puts them in the policy's order"
        ) from None


def split(
    parameters: npt.NDArray[np.float32], sizes: tuple[int, ...]
) -> list[tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]]:
    """Return the weight [outputs, inputs] and bias [outputs] of each layer of flat parameters [P], as views."""
    layers, offset = [], 0
    for inputs, outputs in itertools.pairwise(sizes):
        bias = offset + outputs * inputs
        layers.append((parameters[offset:bias].reshape(outputs, inputs), parameters[bias : bias + outputs]))
        offset = bias + outputs
    return layers


def initial_policy(
    sizes: tuple[int, ...], initialization: str, actions: Space, std: str, initial_std: float, rng: np.random.Generator
) -> Parameters:
    """Return random parameters [P] of a policy that is nearly the same in all states, with σ = initial_std.

    For that, orthogonal weights of its last layer, those of logits, means and log σ alike, are times 0.01 (Andrychowicz
    et al. 2021, section 3.2). With std "gsde", σ is initial_std where every observation is ± 1.
    """
    parameters = initial_parameters(sizes, initialization, 0.01, rng)
    if isinstance(actions, Box) and std == STATE_DEPENDENT:
        split(parameters, sizes)[-1][1][actions.flat_size :] = math.log(initial_std)
    each = initial_std / math.sqrt(sizes[0] + 1) if std == GSDE else initial_std
    return np.concatenate([parameters, np.full(num_extra(actions, std, sizes[0]), math.log(each), np.float32)])


def initial_parameters(
    sizes: tuple[int, ...], initialization: str, output_gain: float, rng: np.random.Generator
) -> npt.NDArray[np.float32]:
    """Return random parameters [P].

    `uniform`: weights and biases uniform within ±1/√inputs, as in `torch.nn.Linear`. `orthogonal`: orthogonal weights
    times √2, in the last layer times `output_gain`, and zero biases (Saxe, McClelland and Ganguli 2014).
    """
    parameters = np.zeros(num_parameters(sizes), np.float32)
    layers = split(parameters, sizes)
    for k, (weight, bias) in enumerate(layers):
        if initialization == "uniform":
            bound = 1.0 / np.sqrt(weight.shape[1])
            weight[:], bias[:] = rng.uniform(-bound, bound, weight.shape), rng.uniform(-bound, bound, bias.shape)
        else:
            weight[:] = orthogonal(weight.shape, rng) * (output_gain if k == len(layers) - 1 else np.sqrt(2.0))
    return parameters


def orthogonal(shape: tuple[int, int], rng: np.random.Generator) -> Floats:
    """Return a random matrix with orthonormal rows or columns, whichever are fewer, uniformly distributed (Haar)."""
    rows, columns = shape
    q, r = np.linalg.qr(rng.standard_normal((max(rows, columns), min(rows, columns))))
    q = q * np.sign(np.diag(r))
    return q if rows >= columns else q.T
