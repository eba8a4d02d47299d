"""The outputs that a policy module may return: logits, mean and log σ, or a torch.distributions.Distribution.

    discrete actions     logits [N, Σ counts]                       or a Distribution
    continuous actions   (mean [N, D], log_std [N, D] or [D])       or a Distribution
    std "gsde"                   (mean [N, D], log_std [O + 1, D]), weights of the observation and 1 (kernels.gsde)
    action_distribution "beta"   (a [N, D], b [N, D]), of which α = 1 + softplus(a) and β = 1 + softplus(b)

Each may come with V(s): (one of these, value), value [N] or [N, 1]; (mean, log_std, value) works too. They mean what
they mean for compiled policies (kernels.heads): logits are divided by the temperature, a log_std [N, D] is clamped to
[-5, 2], and continuous actions are clipped or squashed to the bounds. (mean, log_std) are in units of the bounds, the
action being middle + half-width · u with u ~ N(mean, σ²); a Distribution is over the actions themselves.
"""

import math
from contextlib import suppress
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.distributions import Distribution, kl_divergence
from torch.nn.functional import softplus

from pgrad.errors import PolicyError
from pgrad.kernels.gaussian import HALF_LOG_TWO_PI, HALF_LOG_TWO_PI_E, LOG_STD_HIGH, LOG_STD_LOW
from pgrad.kernels.softmax import FORBIDDEN
from pgrad.policies.distributions import BETA, GAUSSIAN, GSDE
from pgrad.rollouts.actions import OutputsNotFinite
from pgrad.spaces import Box, Space
from pgrad.torch.devices import seeded


class Logits(NamedTuple):
    """softmax(logits / τ); for multi-discrete actions one softmax for each part, side by side."""

    logits: Tensor  # [N, Σ counts]
    counts: tuple[int, ...]
    inverse_temperature: float

    def parts(self, mask: Tensor | None) -> tuple[Tensor, ...]:
        """Return log π of every choice, [N, count] for each part; a forbidden choice has π = 0."""
        logits = self.logits * self.inverse_temperature if self.inverse_temperature != 1 else self.logits
        if mask is not None:
            logits = logits.masked_fill(~mask, FORBIDDEN)
        whole = (logits,) if len(self.counts) == 1 else torch.split(logits, list(self.counts), dim=-1)
        return tuple(torch.log_softmax(part, dim=-1) for part in whole)

    def log_prob_and_entropy(self, action: Tensor, mask: Tensor | None, bonus: bool) -> tuple[Tensor, Tensor]:
        """Return log π(action) and H(π) in nats, [N] each; action [N] or [N, D]. H has a gradient only with `bonus`."""
        parts = self.parts(mask)
        columns = action.reshape(action.shape[0], len(parts), 1).unbind(1)
        log_probs = [part.gather(-1, chosen).squeeze(-1) for part, chosen in zip(parts, columns, strict=True)]
        known = parts if bonus else tuple(part.detach() for part in parts)
        return _sum(log_probs), _sum([-torch.linalg.vecdot(part.exp(), part) for part in known])

    def divergence(self, old: "Logits", mask: Tensor | None) -> Tensor:
        """Return KL(old ‖ self) in nats, [N]."""
        pairs = zip(old.parts(mask), self.parts(mask), strict=True)
        return _sum([(before.exp() * (before - now)).sum(dim=-1) for before, now in pairs])


class Gaussian(NamedTuple):
    """u ~ N(mean, σ²), in units of the bounds; the environment gets middle + half-width · u, clipped or squashed."""

    mean: Tensor  # [N, D]
    log_std: Tensor  # [D], or [N, D] clamped
    squash: bool

    def log_prob_and_entropy(self, action: Tensor, mask: Tensor | None, bonus: bool) -> tuple[Tensor, Tensor]:
        """Return log N(u) and H in nats, [N] each, for u [N, D].

        With squash, H is the entropy of tanh u, estimated at the sampled u; its gradient is reparameterised, through
        mean + σ z (see kernels.gaussian).
        """
        z = (action - self.mean) * (-self.log_std).exp()
        log_prob = (-0.5 * z * z - self.log_std - HALF_LOG_TWO_PI).sum(dim=-1)
        if not bonus:
            return log_prob, self._replace(mean=self.mean.detach(), log_std=self.log_std.detach()).entropy(z.detach())
        return log_prob, self.entropy(z.detach())

    def entropy(self, z: Tensor) -> Tensor:
        """Return H in nats, [N]; with squash, its estimate at u = mean + σ z."""
        entropy = (self.log_std + HALF_LOG_TWO_PI_E).expand_as(self.mean).sum(dim=-1)
        if self.squash:
            drawn = self.mean + self.log_std.exp() * z
            entropy = entropy + (2 * (math.log(2) - drawn - softplus(-2 * drawn))).sum(dim=-1)
        return entropy

    def divergence(self, old: "Gaussian", mask: Tensor | None) -> Tensor:
        """Return KL(old ‖ self) in nats, [N]; the same for u and for what is made of it."""
        wider = old.log_std - self.log_std
        z = (old.mean - self.mean) * (-self.log_std).exp()
        return (0.5 * ((2 * wider).exp() + z * z - 1) - wider).sum(dim=-1)


class LinearNoise(NamedTuple):
    """A Gaussian with the noise Σ_i φ_i W_id, W_id ~ N(0, σ_id²), of features φ = (observation, 1)."""

    features: Tensor  # [N, O]
    log_weight_std: Tensor  # [O + 1, D] log σ_id
    gaussian: Gaussian  # of u

    def log_prob_and_entropy(self, action: Tensor, mask: Tensor | None, bonus: bool) -> tuple[Tensor, Tensor]:
        """Return the Gaussian's."""
        return self.gaussian.log_prob_and_entropy(action, mask, bonus)

    def divergence(self, old: "LinearNoise", mask: Tensor | None) -> Tensor:
        """Return the Gaussians'."""
        return self.gaussian.divergence(old.gaussian, mask)


class Beta(NamedTuple):
    """x = (1 + tanh u) / 2 ~ Beta(1 + softplus(a), 1 + softplus(b)); the environment gets low + (high - low) x."""

    a: Tensor  # [N, D]
    b: Tensor  # [N, D]

    def beta(self) -> torch.distributions.Beta:
        """Return the distribution of x."""
        return torch.distributions.Beta(1 + softplus(self.a), 1 + softplus(self.b), validate_args=False)

    def log_prob_and_entropy(self, action: Tensor, mask: Tensor | None, bonus: bool) -> tuple[Tensor, Tensor]:
        """Return log-density and entropy of tanh u in nats, [N] each, for u [N, D] (see kernels.beta)."""
        beta, log_two = self.beta(), math.log(2)
        alpha, other, log_x, log_rest = (
            beta.concentration1,
            beta.concentration0,
            -softplus(-2 * action),
            -softplus(2 * action),
        )
        log_norm = torch.lgamma(alpha) + torch.lgamma(other) - torch.lgamma(alpha + other)
        log_prob = ((alpha - 1) * log_x + (other - 1) * log_rest - log_norm - log_two).sum(dim=-1)
        entropy = (beta.entropy() + log_two).sum(dim=-1)  # type: ignore[no-untyped-call]
        return log_prob, entropy if bonus else entropy.detach()

    def divergence(self, old: "Beta", mask: Tensor | None) -> Tensor:
        """Return KL(old ‖ self) in nats, [N]."""
        return kl_divergence(old.beta(), self.beta()).sum(dim=-1)


class CustomDistribution(NamedTuple):
    """A torch distribution that the module returned."""

    distribution: Distribution

    def log_prob_and_entropy(self, action: Tensor, mask: Tensor | None, bonus: bool) -> tuple[Tensor, Tensor]:
        """Return its log_prob and entropy, [N] each; NaN for an entropy it does not implement. Raises PolicyError."""
        name, wanted = type(self.distribution).__name__, (action.shape[0],)
        if mask is not None:
            raise PolicyError(NEEDS_LOGITS.format(kind=name))
        with seeded(0, action.device):  # for its type: Bernoulli expects 0.0 and 1.0, for instance
            like = self.call("sample")
        log_prob = self.call("log_prob", action.to(like))
        if log_prob.shape != wanted:
            hint = ": wrap it in torch.distributions.Independent(…, 1)" if log_prob.dim() == 2 else ""
            raise PolicyError(
                f"{name}.log_prob of actions {tuple(action.shape)} has shape {tuple(log_prob.shape)}, not {wanted}"
                f"{hint}"
            )
        try:
            entropy = self.call("entropy")
        except NotImplementedError:
            entropy = torch.full_like(log_prob, torch.nan).detach()
        if entropy.shape != wanted:
            raise PolicyError(f"{name}.entropy() has shape {tuple(entropy.shape)}, not {wanted}")
        return log_prob, entropy

    def divergence(self, old: "CustomDistribution", mask: Tensor | None) -> Tensor:
        """Return KL(old ‖ self) in nats, [N], as torch.distributions knows it; raise PolicyError if it does not."""
        try:
            return kl_divergence(old.distribution, self.distribution)
        except NotImplementedError:
            kind = type(self.distribution).__name__
            raise PolicyError(f"torch.distributions has no KL divergence of {kind}: natural steps need one") from None

    def call(self, method: str, *arguments: Tensor) -> Tensor:
        """Return the method's tensor; raise PolicyError for any exception but NotImplementedError."""
        name = f"{type(self.distribution).__name__}.{method}()"
        try:
            result = getattr(self.distribution, method)(*arguments)
        except NotImplementedError:
            raise
        except Exception as error:
            parameters = (getattr(self.distribution, each, None) for each in self.distribution.arg_constraints)
            if not all(torch.isfinite(each).all() for each in parameters if isinstance(each, Tensor)):
                raise OutputsNotFinite(f"{name} of parameters that are not finite") from error
            raise PolicyError(f"{name} failed: {type(error).__name__}: {error}") from error
        if not isinstance(result, Tensor):
            raise PolicyError(f"{name} must return a tensor, not {summary(result)}")
        return result

    def mode(self) -> Tensor:
        """Return the mode, or the mean where that is NaN (as a fair coin's is); raise PolicyError without either."""
        known: Tensor | None = None
        for name in ("mode", "mean"):
            with suppress(NotImplementedError):
                found = getattr(self.distribution, name)
                known = found if known is None else torch.where(torch.isnan(known), found, known)
            if known is not None and not torch.isnan(known).any():
                return known
        kind = type(self.distribution).__name__
        raise PolicyError(f"{kind} has neither a mode nor a mean, so its greedy action is unknown: implement `mode`")


NEEDS_LOGITS = "a mask of allowed actions needs a module that returns logits, not a {kind}"

ActionDistribution = Logits | Gaussian | LinearNoise | Beta | CustomDistribution


class ModuleOutput(NamedTuple):
    """What a module returned, parsed: π(· | s), and V(s) if the module gives it."""

    distribution: ActionDistribution
    value: Tensor | None  # [N]


def parse_output(
    output: Any,
    name: str,
    actions: Space,
    x: Tensor,
    temperature: float,
    squash: bool,
    std: str,
    action_distribution: str = GAUSSIAN,
) -> ModuleOutput:
    """Return a module's output as a distribution over `actions` and V(s), or None if it returned no value.

    output       what forward returned; the forms are in this module's docstring
    name         the module's class, for messages
    x            the observations [N, ...] that it was given, on the device where its tensors must be
    temperature  τ, which divides logits
    squash       squash (mean, log_std) to the bounds by tanh; else actions are clipped
    std          "gsde" if log_std are weights of the observation
    action_distribution  "beta" if the two tensors for continuous actions are a and b

    Tensors of less precision than float32 become float32. Raises PolicyError if types, shapes or devices do not fit.
    """
    policy, value = _policy_and_value(output, actions)
    batch, device = x.shape[0], x.device
    if value is not None:
        value = checked_value(value, name, batch, device)
    if isinstance(policy, Distribution):
        if policy.batch_shape[:1] != (batch,):
            raise PolicyError(
                f"the {type(policy).__name__} that {name} returned has batch_shape {tuple(policy.batch_shape)}: its "
                f"first axis must be the {batch} observations"
            )
        return ModuleOutput(CustomDistribution(policy), value)
    if isinstance(actions, Box):
        if not (isinstance(policy, tuple) and len(policy) == 2):
            raise PolicyError(f"{name} returned {summary(output)} for {batch} observations; {_wanted(actions)}")
        mean, log_std = policy
        parts = actions.flat_size
        if action_distribution == BETA:
            a, b = (_checked(each, f"what {name} returned", ((batch, parts),), device) for each in policy)
            return ModuleOutput(Beta(a, b), value)
        mean = _checked(mean, f"the mean that {name} returned", ((batch, parts),), device)
        if std == GSDE:
            features = x.reshape(batch, -1)
            shape = (features.shape[1] + 1, parts)
            log_std = _checked(log_std, f"the log_std that {name} returned for std 'gsde'", (shape,), device)
            variance = features**2 @ (2 * log_std[:-1]).exp() + (2 * log_std[-1]).exp()
            spread = (0.5 * variance.log()).clamp(LOG_STD_LOW, LOG_STD_HIGH)
            return ModuleOutput(LinearNoise(features, log_std, Gaussian(mean, spread, squash)), value)
        log_std = _checked(log_std, f"the log_std that {name} returned", ((batch, parts), (parts,)), device)
        if log_std.dim() == 2:
            log_std = log_std.clamp(LOG_STD_LOW, LOG_STD_HIGH)
        return ModuleOutput(Gaussian(mean, log_std, squash), value)
    if not isinstance(policy, Tensor):
        raise PolicyError(f"{name} returned {summary(output)} for {batch} observations; {_wanted(actions)}")
    logits = _checked(policy, f"the logits that {name} returned", ((batch, sum(actions.counts)),), device)
    return ModuleOutput(Logits(logits, actions.counts, 1 / temperature), value)


def checked_value(value: Any, name: str, batch: int, device: torch.device) -> Tensor:
    """Return V(s) as [N] from [N] or [N, 1]; raise PolicyError for anything else."""
    return _checked(value, f"the value that {name} returned", ((batch,), (batch, 1)), device).reshape(batch)


def summary(output: Any) -> str:
    """Return an object's type, a tensor's shape, or those of a tuple's parts."""
    if isinstance(output, Tensor):
        return f"a tensor {tuple(output.shape)}"
    if isinstance(output, tuple | list):
        return f"({', '.join(summary(part) for part in output)})"
    return f"a {type(output).__name__}"


def _policy_and_value(output: Any, actions: Space) -> tuple[Any, Any]:
    """Split into what describes the actions, and V(s) or None."""
    if not isinstance(output, tuple | list):
        return output, None
    if not isinstance(actions, Box):
        return (output[0], output[1]) if len(output) == 2 else (output, None)
    if len(output) == 3:
        return (output[0], output[1]), output[2]
    if len(output) == 2 and not isinstance(output[0], Tensor):
        return tuple(output[0]) if isinstance(output[0], list) else output[0], output[1]
    return tuple(output), None


def _wanted(actions: Space) -> str:
    if isinstance(actions, Box):
        size = actions.flat_size
        form = f"(mean [N, {size}], log_std [N, {size}] or [{size}])"
    else:
        form = f"logits [N, {sum(actions.counts)}]"
    return f"for {actions} it must return {form}, or a torch.distributions.Distribution, or (one of these, value [N])"


def _checked(tensor: Any, what: str, shapes: tuple[tuple[int, ...], ...], device: torch.device) -> Tensor:
    """Return the tensor in float32 or wider; raise PolicyError unless its type, shape and device fit."""
    if not isinstance(tensor, Tensor):
        raise PolicyError(f"{what} must be a tensor, not {summary(tensor)}")
    if tuple(tensor.shape) not in shapes:
        raise PolicyError(f"{what} must have shape {' or '.join(map(str, shapes))}, not {tuple(tensor.shape)}")
    if not tensor.dtype.is_floating_point:
        raise PolicyError(f"{what} must be floating-point, not {tensor.dtype}")
    if tensor.device.type != device.type:
        raise PolicyError(
            f"{what} is on device '{tensor.device}', but training runs on '{device}': register the tensors that "
            "forward uses as parameters or buffers, so that they move with the module"
        )
    return tensor.float() if tensor.dtype.itemsize < 4 else tensor


def _sum(parts: list[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.stack(parts).sum(dim=0)
