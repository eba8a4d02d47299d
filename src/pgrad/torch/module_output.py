"""What a policy module returns, and what it means: logits, mean and log σ, or a distribution of its own.

    discrete actions   logits [N, Σ counts]                       or a torch.distributions.Distribution
    real actions       (mean [N, D], log_std [N, D] or [D])       or a torch.distributions.Distribution

each also as (that, value) with V(s) as [N] or [N, 1]; for real actions (mean, log_std, value) as well. The meaning is
that of compiled policies (kernels.heads): logits are divided by the temperature, a log σ that is given for each state
is kept within -5 … 2, and what is drawn is clipped or squashed to the bounds.
"""

import math
from contextlib import suppress
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.distributions import Distribution
from torch.nn.functional import softplus

from pgrad.errors import PolicyError
from pgrad.kernels.gaussian import HALF_LOG_TWO_PI_E, LOG_STD_HIGH, LOG_STD_LOW
from pgrad.kernels.softmax import FORBIDDEN
from pgrad.rollouts.actions import OutputsNotFinite
from pgrad.spaces import Box, Space
from pgrad.torch.devices import seeded

HALF_LOG_TWO_PI = 0.5 * math.log(2 * math.pi)


class Logits(NamedTuple):
    """softmax(logits / τ), one or several side by side."""

    logits: Tensor  # [N, Σ counts]
    counts: tuple[int, ...]
    inverse_temperature: float

    def parts(self, mask: Tensor | None) -> tuple[Tensor, ...]:
        """log π of each choice, [N, count] for each part; a forbidden one's is so low that its π is zero."""
        logits = self.logits * self.inverse_temperature if self.inverse_temperature != 1 else self.logits
        if mask is not None:
            logits = logits.masked_fill(~mask, FORBIDDEN)
        whole = (logits,) if len(self.counts) == 1 else torch.split(logits, list(self.counts), dim=-1)
        return tuple(torch.log_softmax(part, dim=-1) for part in whole)

    def log_prob_and_entropy(self, action: Tensor, mask: Tensor | None, bonus: bool) -> tuple[Tensor, Tensor]:
        """log π(action) and H(π) in nats, [N] both; action [N] or [N, D]. H carries a gradient for a `bonus` only."""
        parts = self.parts(mask)
        columns = action.reshape(action.shape[0], len(parts), 1).unbind(1)
        log_probs = [part.gather(-1, chosen).squeeze(-1) for part, chosen in zip(parts, columns, strict=True)]
        known = parts if bonus else tuple(part.detach() for part in parts)
        return _sum(log_probs), _sum([-torch.linalg.vecdot(part.exp(), part) for part in known])


class Gaussian(NamedTuple):
    """u ~ N(mean, σ²), which the environment gets clipped or squashed to its bounds."""

    mean: Tensor  # [N, D]
    log_std: Tensor  # [D], or [N, D] within its bounds
    squash: bool

    def log_prob_and_entropy(self, action: Tensor, mask: Tensor | None, bonus: bool) -> tuple[Tensor, Tensor]:
        """log N(u) and H in nats, [N] both, for u [N, D].

        Squashed, H is that of tanh u, estimated at the u that was drawn, and its gradient goes along mean + σ z
        (kernels.gaussian says more).
        """
        z = (action - self.mean) * (-self.log_std).exp()
        log_prob = (-0.5 * z * z - self.log_std - HALF_LOG_TWO_PI).sum(dim=-1)
        if not bonus:
            return log_prob, self._replace(mean=self.mean.detach(), log_std=self.log_std.detach()).entropy(z.detach())
        return log_prob, self.entropy(z.detach())

    def entropy(self, z: Tensor) -> Tensor:
        """H in nats, [N], estimated at mean + σ z where it is that of tanh u."""
        entropy = (self.log_std + HALF_LOG_TWO_PI_E).expand_as(self.mean).sum(dim=-1)
        if self.squash:
            drawn = self.mean + self.log_std.exp() * z
            entropy = entropy + (2 * (math.log(2) - drawn - softplus(-2 * drawn))).sum(dim=-1)
        return entropy


class CustomDistribution(NamedTuple):
    """A distribution that the module made itself."""

    distribution: Distribution

    def log_prob_and_entropy(self, action: Tensor, mask: Tensor | None, bonus: bool) -> tuple[Tensor, Tensor]:
        """Its own log_prob and entropy, checked to be [N] both; an entropy that it does not know is NaN."""
        name, wanted = type(self.distribution).__name__, (action.shape[0],)
        if mask is not None:
            raise PolicyError(NEEDS_LOGITS.format(kind=name))
        with seeded(0, action.device):  # for its type: Bernoulli, for one, takes real numbers for its two
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

    def call(self, method: str, *arguments: Tensor) -> Tensor:
        """What a method of the distribution returns; what it raises (but NotImplementedError) as a PolicyError."""
        name = f"{type(self.distribution).__name__}.{method}()"
        try:
            answer = getattr(self.distribution, method)(*arguments)
        except NotImplementedError:
            raise
        except Exception as error:
            parameters = (getattr(self.distribution, each, None) for each in self.distribution.arg_constraints)
            if not all(torch.isfinite(each).all() for each in parameters if isinstance(each, Tensor)):
                raise OutputsNotFinite(f"{name} of parameters that are not finite") from error
            raise PolicyError(f"{name} failed: {type(error).__name__}: {error}") from error
        if not isinstance(answer, Tensor):
            raise PolicyError(f"{name} must return a tensor, not {described(answer)}")
        return answer

    def mode(self) -> Tensor:
        """Its mode, or where there is none (a fair coin's is NaN) its mean; raises PolicyError where it has neither."""
        known: Tensor | None = None
        for name in ("mode", "mean"):
            with suppress(NotImplementedError):
                found = getattr(self.distribution, name)
                known = found if known is None else torch.where(torch.isnan(known), found, known)
            if known is not None and not torch.isnan(known).any():
                return known
        kind = type(self.distribution).__name__
        raise PolicyError(f"the greedy action of a {kind} is not known: neither its mode nor its mean is a number")


NEEDS_LOGITS = "a mask of allowed actions needs a module that returns logits, not its own {kind}"

ActionDistribution = Logits | Gaussian | CustomDistribution


class ModuleOutput(NamedTuple):
    """What a module returned, parsed: π(· | s), and V(s) if the module gives it."""

    distribution: ActionDistribution
    value: Tensor | None  # [N]


def parse_output(
    output: Any, name: str, actions: Space, batch: int, temperature: float, squash: bool, device: torch.device
) -> ModuleOutput:
    """What the module called `name` returned for `batch` observations; raises PolicyError where it fits nothing."""
    policy, value = _policy_and_value(output, actions)
    if value is not None:
        value = checked_value(value, name, batch, device)
    if isinstance(policy, Distribution):
        if policy.batch_shape[:1] != (batch,):
            raise PolicyError(
                f"the {type(policy).__name__} that {name} returned has batch_shape {tuple(policy.batch_shape)}: it "
                f"must begin with {batch}, one for each observation"
            )
        return ModuleOutput(CustomDistribution(policy), value)
    if isinstance(actions, Box):
        if not (isinstance(policy, tuple) and len(policy) == 2):
            raise PolicyError(f"{name} returned {described(output)} for {batch} observations; {_wanted(actions)}")
        mean, log_std = policy
        parts = actions.flat_size
        mean = _checked(mean, f"the mean that {name} returned", ((batch, parts),), device)
        log_std = _checked(log_std, f"the log_std that {name} returned", ((batch, parts), (parts,)), device)
        if log_std.dim() == 2:
            log_std = log_std.clamp(LOG_STD_LOW, LOG_STD_HIGH)
        return ModuleOutput(Gaussian(mean, log_std, squash), value)
    if not isinstance(policy, Tensor):
        raise PolicyError(f"{name} returned {described(output)} for {batch} observations; {_wanted(actions)}")
    logits = _checked(policy, f"the logits that {name} returned", ((batch, sum(actions.counts)),), device)
    return ModuleOutput(Logits(logits, actions.counts, 1 / temperature), value)


def checked_value(value: Any, name: str, batch: int, device: torch.device) -> Tensor:
    """V(s) [N] from [N] or [N, 1]; raises PolicyError for anything else."""
    return _checked(value, f"the value that {name} returned", ((batch,), (batch, 1)), device).reshape(batch)


def described(output: Any) -> str:
    """A returned object in a few words: types and shapes."""
    if isinstance(output, Tensor):
        return f"a tensor {tuple(output.shape)}"
    if isinstance(output, tuple | list):
        return f"({', '.join(described(part) for part in output)})"
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
    """The tensor, in float32 at least; raises PolicyError where it is none, or not of one of the shapes, not of real
    numbers, or elsewhere."""
    if not isinstance(tensor, Tensor):
        raise PolicyError(f"{what} must be a tensor, not {described(tensor)}")
    if tuple(tensor.shape) not in shapes:
        raise PolicyError(f"{what} must have shape {' or '.join(map(str, shapes))}, not {tuple(tensor.shape)}")
    if not tensor.dtype.is_floating_point:
        raise PolicyError(f"{what} must be of floating-point numbers, not {tensor.dtype}")
    if tensor.device.type != device.type:
        raise PolicyError(
            f"{what} is on device '{tensor.device}', but training runs on '{device}': what forward uses must be "
            "parameters or buffers, which move along with the module"
        )
    return tensor.float() if tensor.dtype.itemsize < 4 else tensor


def _sum(parts: list[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.stack(parts).sum(dim=0)
