"""Steps along a gradient, clipped, and the way back: one optimiser over some of the modules' parameters.

On a CPU `adam` and `sgd` are the compiled ones that all of pgrad uses (algorithms.iteration.ascend), over one flat
vector that the parameters become views of. On a GPU, for parameters that are not float32, and for optimisers of the
user's, it is torch.optim, with the same arithmetic for those two.
"""

import inspect
from collections.abc import Callable, Iterable
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from pgrad.algorithms.iteration import BAD_GRADIENT, BAD_PARAMETERS, FINE, ascend
from pgrad.algorithms.learner import Settings, new_optimizer_state
from pgrad.errors import ConfigError, PolicyError
from pgrad.kernels.mlp import network
from pgrad.kernels.optimizers import ADAM, BETA_1, BETA_2, EPSILON, copy

MakeOptimizer = Callable[..., Any]  # a class of torch.optim, or a function from parameters to one of its objects
Gradients = list[Tensor | None]  # None for a parameter that had no part in it


class Optimizer(Protocol):
    """An optimiser with a memory of the parameters before its last step."""

    parameters: list[nn.Parameter]

    @property
    def learning_rate(self) -> float:
        """As of the last step."""

    def step(self, gradients: Gradients, factor: float) -> tuple[int, float]:
        """Clip the global norm and step, the learning rate times `factor`; what went wrong, if anything, and the norm.

        As algorithms.iteration.ascend: if the gradient is not finite, the step that led to these parameters is taken
        back; if the new parameters would not be, this one is.
        """

    def restore(self) -> None:
        """Take the last step back."""


def new_optimizer(
    parameters: list[nn.Parameter], optimizer: MakeOptimizer | None, settings: Settings, learning_rate: float
) -> Optimizer:
    """The settings' optimiser, or what `optimizer` makes of the parameters."""
    plain = all(parameter.dtype == torch.float32 and parameter.device.type == "cpu" for parameter in parameters)
    if optimizer is None and plain:
        return CompiledOptimizer(parameters, settings, learning_rate)
    return TorchOptimizer(parameters, optimizer, settings, learning_rate)


class CompiledOptimizer:
    """The optimisers of kernels.optimizers."""

    def __init__(self, parameters: list[nn.Parameter], settings: Settings, learning_rate: float) -> None:
        self.parameters, self.settings = parameters, settings
        self.rate = self.learning_rate = learning_rate
        flat = torch.cat([parameter.detach().reshape(-1) for parameter in parameters])
        for parameter, part in zip(parameters, torch.split(flat, [p.numel() for p in parameters]), strict=True):
            parameter.data = part.view(parameter.shape)
        self.network = network(flat.numpy(), (1, 1), "tanh")  # of which `ascend` sees the parameters alone
        self.state = new_optimizer_state(self.network.parameters)

    def step(self, gradients: Gradients, factor: float) -> tuple[int, float]:
        """See Optimizer."""
        parts = [
            torch.zeros_like(parameter).reshape(-1) if gradient is None else gradient.reshape(-1)
            for parameter, gradient in zip(self.parameters, gradients, strict=True)
        ]
        self.learning_rate = self.rate * factor
        return ascend(self.settings, self.network, self.state, torch.cat(parts).numpy(), self.learning_rate)

    def restore(self) -> None:
        """Take the last step back."""
        copy(self.state.before, self.network.parameters)


class TorchOptimizer:
    """What `optimizer` makes: a class of torch.optim gets `learning_rate`, a function has its own."""

    def __init__(
        self, parameters: list[nn.Parameter], optimizer: MakeOptimizer | None, settings: Settings, learning_rate: float
    ) -> None:
        self.parameters, self.max_grad_norm = parameters, settings.max_grad_norm
        is_class = isinstance(optimizer, type) and issubclass(optimizer, torch.optim.Optimizer)
        if optimizer is None:
            self.optimizer = _named(settings.optimizer, parameters, learning_rate)
        else:
            try:
                self.optimizer = optimizer(parameters, **({"lr": learning_rate} if is_class else {}))
            except Exception as error:
                name = getattr(optimizer, "__name__", type(optimizer).__name__)
                raise ConfigError([f"optimizer {name} cannot be made: {type(error).__name__}: {error}"]) from error
        if not isinstance(self.optimizer, torch.optim.Optimizer):
            raise ConfigError(
                [
                    "optimizer must be 'adam', 'sgd', a class of torch.optim, or a function from parameters to such an "
                    f"optimizer; it made a {type(self.optimizer).__name__}"
                ]
            )
        require_fit(self.optimizer, parameters)
        self.rates = [group["lr"] for group in self.optimizer.param_groups]
        self.before = [parameter.detach().clone() for parameter in parameters]

    @property
    def learning_rate(self) -> float:
        """Of the first group of parameters, as of the last step."""
        return float(self.optimizer.param_groups[0]["lr"])

    def step(self, gradients: Gradients, factor: float) -> tuple[int, float]:
        """See Optimizer."""
        norm = global_norm(gradients)
        if not np.isfinite(norm):
            self.restore()
            return BAD_GRADIENT, norm
        scale = min(1.0, self.max_grad_norm / norm) if norm > 0 else 1.0
        with torch.no_grad():
            for parameter, kept in zip(self.parameters, self.before, strict=True):
                kept.copy_(parameter)
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            # The estimates are of ∇J, to ascend; torch.optim descends. Here, and nowhere else, the sign flips.
            parameter.grad = None if gradient is None else gradient * -scale
        for group, rate in zip(self.optimizer.param_groups, self.rates, strict=True):
            group["lr"] = rate * factor
        try:
            self.optimizer.step()
        except Exception as error:
            name = type(self.optimizer).__name__
            raise ConfigError([f"optimizer {name} cannot step along such gradients: {error}"]) from error
        if not np.isfinite(global_norm(self.parameters)):
            self.restore()
            return BAD_PARAMETERS, norm
        return FINE, norm

    def restore(self) -> None:
        """Take the last step back."""
        with torch.no_grad():
            for parameter, kept in zip(self.parameters, self.before, strict=True):
                parameter.copy_(kept)


def require_fit(optimizer: torch.optim.Optimizer, parameters: list[nn.Parameter]) -> None:
    """Raise ConfigError where an optimiser would not descend, along one gradient, with the parameters it was given."""
    name = type(optimizer).__name__
    closure = inspect.signature(optimizer.step).parameters.get("closure")
    if closure is not None and closure.default is inspect.Parameter.empty:
        raise ConfigError(
            [
                f"optimizer {name} evaluates the objective again at every step, and a batch has no such objective: "
                "take one that steps along a gradient, such as torch.optim.Adam"
            ]
        )
    if any(group.get("maximize") for group in optimizer.param_groups):
        raise ConfigError(
            [f"optimizer {name} has maximize=True: it is given -∇J to descend, as is torch.optim's way; leave it out"]
        )
    own = set(map(id, parameters))
    if any(id(parameter) not in own for group in optimizer.param_groups for parameter in group["params"]):
        raise ConfigError(
            [
                f"optimizer {name} has parameters that are not those being trained: each seed trains a copy of the "
                "module, so make it from the parameters that the function is given, as in "
                "lambda parameters: torch.optim.SGD(parameters, lr=0.1)"
            ]
        )


def _named(optimizer: int, parameters: list[nn.Parameter], learning_rate: float) -> torch.optim.Optimizer:
    """torch.optim's form of kernels.optimizers."""
    if optimizer != ADAM:
        return torch.optim.SGD(parameters, lr=learning_rate)
    return torch.optim.Adam(parameters, lr=learning_rate, betas=(BETA_1, BETA_2), eps=EPSILON)


def global_norm(tensors: Iterable[Tensor | None]) -> float:
    """‖all of them together‖₂ in float64; not finite exactly where an element is not (or the norm overflows)."""
    flat = [tensor.detach().reshape(-1) for tensor in tensors if tensor is not None]
    return float(torch.cat(flat).double().norm()) if flat else 0.0


def trained_parameters(role: str, *modules: nn.Module) -> list[nn.Parameter]:
    """The modules' parameters that require a gradient, each once; raises PolicyError where there are none."""
    name = " and ".join(type(module).__name__ for module in modules)
    every = {id(parameter): parameter for module in modules for parameter in module.parameters()}
    if not every:
        raise PolicyError(f"the {role} module {name} has no parameters: there is nothing to train")
    if any(parameter.is_meta for parameter in every.values()):
        raise PolicyError(f"the {role} module {name} has parameters on device 'meta', which hold no numbers")
    chosen = [parameter for parameter in every.values() if parameter.requires_grad]
    if not chosen:
        raise PolicyError(
            f"none of the {len(every)} parameters of the {role} module {name} has requires_grad: nothing can be trained"
        )
    return chosen


def gradients_of(objective: Tensor, parameters: list[nn.Parameter], keep: bool = False) -> Gradients:
    """∂objective/∂parameters, dense; `keep` what is needed to do so again."""
    gradients = torch.autograd.grad(objective, parameters, allow_unused=True, retain_graph=keep)
    return [gradient.to_dense() if gradient is not None and gradient.is_sparse else gradient for gradient in gradients]


def require_dependence(output: Tensor, what: str) -> None:
    """Raise PolicyError where no gradient could flow from an output into any parameter."""
    if not output.requires_grad:
        raise PolicyError(f"{what} does not depend on its parameters: is it detached, or made with no_grad?")
