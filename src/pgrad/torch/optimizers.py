"""Optimisers of modules: gradient steps with clipping that can be undone.

On a CPU `adam` and `sgd` are pgrad's compiled ones (algorithms.iteration.step_along), over one flat vector of which the
parameters become views. torch.optim, with the same arithmetic for these two, takes over on a GPU, for parameters that
are not float32, and for the user's own optimisers.
"""

import inspect
from collections.abc import Callable, Iterable
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from pgrad.algorithms.iteration import BAD_GRADIENT, BAD_PARAMETERS, FINE, step_along
from pgrad.algorithms.learner import Settings, new_optimizer_state
from pgrad.arrays import Arrays, arrays_in, below, copies, put_back, under
from pgrad.errors import ConfigError, PolicyError
from pgrad.kernels.mlp import network
from pgrad.kernels.optimizers import ADAM, BETA_1, BETA_2, EPSILON, copy
from pgrad.torch.devices import to_numpy
from pgrad.torch.state import fill_optimizer, optimizer_state

MakeOptimizer = Callable[..., Any]  # a class of torch.optim, or a function from parameters to a torch.optim optimiser
Gradients = list[Tensor | None]  # None for a parameter that the objective does not depend on


class Optimizer(Protocol):
    """An optimiser that can take its last step back."""

    parameters: list[nn.Parameter]

    @property
    def class_name(self) -> str:
        """What it is, for checkpoints."""

    @property
    def learning_rate(self) -> float:
        """That of the last step."""

    def step(self, gradients: Gradients, factor: float) -> tuple[int, float]:
        """Clip the gradients' global norm and step along them; return a status and the norm before clipping.

        `factor` multiplies the learning rate. As in algorithms.iteration.step_along, a gradient that is not finite
        undoes the previous step, and parameters that become infinite undo this one.
        """

    def remember(self) -> None:
        """Keep the parameters for `restore`."""

    def restore(self) -> None:
        """Undo the last step."""

    def state(self) -> tuple[Arrays, dict[str, Any]] | None:
        """Copy what it remembers: arrays, and what else JSON can hold; None where it keeps something else."""

    def go_on(self, arrays: Arrays, about: dict[str, Any]) -> None:
        """Remember what another one of the same class did; raise RunError where it does not fit."""


def new_optimizer(
    parameters: list[nn.Parameter], optimizer: MakeOptimizer | None, settings: Settings, learning_rate: float
) -> Optimizer:
    """Return `optimizer` over the parameters, or the settings' own; raises ConfigError."""
    plain = all(parameter.dtype == torch.float32 and parameter.device.type == "cpu" for parameter in parameters)
    if optimizer is None and plain:
        return CompiledOptimizer(parameters, settings, learning_rate)
    return TorchOptimizer(parameters, optimizer, settings, learning_rate)


class CompiledOptimizer:
    """The compiled optimisers of kernels.optimizers."""

    class_name = "pgrad's"

    def __init__(self, parameters: list[nn.Parameter], settings: Settings, learning_rate: float) -> None:
        self.parameters, self.settings = parameters, settings
        self.rate = self.learning_rate = learning_rate
        flat = torch.cat([parameter.detach().reshape(-1) for parameter in parameters])
        for parameter, part in zip(parameters, torch.split(flat, [p.numel() for p in parameters]), strict=True):
            parameter.data = part.view(parameter.shape)
        self.network = network(flat.numpy(), (1, 1), "tanh")  # `ascend` reads only its parameters
        self.memory = new_optimizer_state(self.network.parameters)

    def step(self, gradients: Gradients, factor: float) -> tuple[int, float]:
        """See Optimizer."""
        parts = [
            torch.zeros_like(parameter).reshape(-1) if gradient is None else gradient.reshape(-1)
            for parameter, gradient in zip(self.parameters, gradients, strict=True)
        ]
        self.learning_rate = self.rate * factor
        return step_along(self.settings, self.network, self.memory, torch.cat(parts).numpy(), self.learning_rate)

    def remember(self) -> None:
        """See Optimizer."""
        copy(self.network.parameters, self.memory.before)

    def restore(self) -> None:
        """Undo the last step."""
        copy(self.memory.before, self.network.parameters)

    def state(self) -> tuple[Arrays, dict[str, Any]]:
        """See Optimizer."""
        return copies(arrays_in(**self.memory._asdict())), {}

    def go_on(self, arrays: Arrays, about: dict[str, Any]) -> None:
        """See Optimizer."""
        put_back(arrays, arrays_in(**self.memory._asdict()))


class TorchOptimizer:
    """An optimiser of torch.optim; one made from a class gets `learning_rate`, one from a function keeps its own."""

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
                raise ConfigError([f"optimizer {name} raised {type(error).__name__}: {error}"]) from error
        if not isinstance(self.optimizer, torch.optim.Optimizer):
            raise ConfigError(
                [
                    "optimizer must be 'adam', 'sgd', a class of torch.optim, or a function that makes a torch.optim "
                    f"optimizer from parameters; this one made a {type(self.optimizer).__name__}"
                ]
            )
        require_fit(self.optimizer, parameters)
        self.rates = [group["lr"] for group in self.optimizer.param_groups]
        self.before = [parameter.detach().clone() for parameter in parameters]

    @property
    def class_name(self) -> str:
        """See Optimizer."""
        return type(self.optimizer).__name__

    @property
    def learning_rate(self) -> float:
        """That of the first parameter group in the last step."""
        return float(self.optimizer.param_groups[0]["lr"])

    def step(self, gradients: Gradients, factor: float) -> tuple[int, float]:
        """See Optimizer."""
        norm = global_norm(gradients)
        if not np.isfinite(norm):
            self.restore()
            return BAD_GRADIENT, norm
        scale = min(1.0, self.max_grad_norm / norm) if norm > 0 else 1.0
        self.remember()
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            # Gradients are estimates of ∇J, to ascend; torch.optim descends. The sign flips here and nowhere else.
            parameter.grad = None if gradient is None else gradient * -scale
        for group, rate in zip(self.optimizer.param_groups, self.rates, strict=True):
            group["lr"] = rate * factor
        try:
            self.optimizer.step()
        except Exception as error:
            name = type(self.optimizer).__name__
            raise ConfigError([f"optimizer {name} failed to step: {type(error).__name__}: {error}"]) from error
        if not np.isfinite(global_norm(self.parameters)):
            self.restore()
            return BAD_PARAMETERS, norm
        return FINE, norm

    def remember(self) -> None:
        """See Optimizer."""
        with torch.no_grad():
            for parameter, kept in zip(self.parameters, self.before, strict=True):
                kept.copy_(parameter)

    def restore(self) -> None:
        """Undo the last step."""
        with torch.no_grad():
            for parameter, kept in zip(self.parameters, self.before, strict=True):
                parameter.copy_(kept)

    def state(self) -> tuple[Arrays, dict[str, Any]] | None:
        """See Optimizer."""
        kept = optimizer_state(self.optimizer)
        before = {str(k): to_numpy(tensor).copy() for k, tensor in enumerate(self.before)}
        return None if kept is None else (under("state", kept[0]) | under("before", before), kept[1])

    def go_on(self, arrays: Arrays, about: dict[str, Any]) -> None:
        """See Optimizer."""
        fill_optimizer(self.optimizer, below("state", arrays), about)
        for k, kept in enumerate(self.before):
            kept.copy_(torch.tensor(arrays[f"before.{k}"]))


def require_fit(optimizer: torch.optim.Optimizer, parameters: list[nn.Parameter]) -> None:
    """Raise ConfigError unless the optimiser descends along one given gradient, in the given parameters."""
    name = type(optimizer).__name__
    closure = inspect.signature(optimizer.step).parameters.get("closure")
    if closure is not None and closure.default is inspect.Parameter.empty:
        raise ConfigError(
            [
                f"optimizer {name} re-evaluates the objective in every step, which training cannot do: "
                "use one that steps along a gradient, such as torch.optim.Adam"
            ]
        )
    if any(group.get("maximize") for group in optimizer.param_groups):
        raise ConfigError([f"optimizer {name} has maximize=True, but it is given -∇J to descend: remove maximize"])
    own = set(map(id, parameters))
    if any(id(parameter) not in own for group in optimizer.param_groups for parameter in group["params"]):
        raise ConfigError(
            [
                f"optimizer {name} has parameters that are not being trained, since each seed trains a copy of the "
                "module. Make it from the function's argument: lambda parameters: torch.optim.SGD(parameters, lr=0.1)"
            ]
        )


def _named(optimizer: int, parameters: list[nn.Parameter], learning_rate: float) -> torch.optim.Optimizer:
    """Return the optimiser of torch.optim with the arithmetic of kernels.optimizers."""
    if optimizer != ADAM:
        return torch.optim.SGD(parameters, lr=learning_rate)
    return torch.optim.Adam(parameters, lr=learning_rate, betas=(BETA_1, BETA_2), eps=EPSILON)


def global_norm(tensors: Iterable[Tensor | None]) -> float:
    """Return the L2 norm of all tensors together, in float64; not finite if any element is not."""
    flat = [tensor.detach().reshape(-1) for tensor in tensors if tensor is not None]
    return float(torch.cat(flat).double().norm()) if flat else 0.0


def trained_parameters(role: str, *modules: nn.Module) -> list[nn.Parameter]:
    """Return the modules' parameters that require a gradient, each once; raise PolicyError if none does."""
    name = " and ".join(type(module).__name__ for module in modules)
    every = {id(parameter): parameter for module in modules for parameter in module.parameters()}
    if not every:
        raise PolicyError(f"the {role} module {name} has no parameters: there is nothing to train")
    if any(parameter.is_meta for parameter in every.values()):
        raise PolicyError(f"the {role} module {name} has parameters on device 'meta', without numbers: give it some")
    chosen = [parameter for parameter in every.values() if parameter.requires_grad]
    if not chosen:
        raise PolicyError(
            f"none of the {len(every)} parameters of the {role} module {name} has requires_grad: nothing would train"
        )
    return chosen


def gradients_of(objective: Tensor, parameters: list[nn.Parameter], keep: bool = False) -> Gradients:
    """Return ∂objective/∂parameters, dense; `keep` the graph for another call."""
    gradients = torch.autograd.grad(objective, parameters, allow_unused=True, retain_graph=keep)
    return [gradient.to_dense() if gradient is not None and gradient.is_sparse else gradient for gradient in gradients]


def require_dependence(output: Tensor, what: str) -> None:
    """Raise PolicyError if an output, described by `what`, has no gradient with respect to any parameter."""
    if not output.requires_grad:
        raise PolicyError(f"{what} does not depend on its parameters: remove detach() or no_grad()")
