"""What learns: the modules, their optimisers, the running statistics. One seed's own, never the user's objects."""

from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from pgrad.algorithms.learner import Settings
from pgrad.algorithms.normalization import Normalization
from pgrad.algorithms.signal_to_noise import Signal
from pgrad.arrays import Arrays, arrays_in, below, copies, put_back, under
from pgrad.errors import RunError
from pgrad.torch.optimizers import Optimizer
from pgrad.torch.policy import TorchPolicy, TorchValue
from pgrad.torch.policy import copied as copied_modules
from pgrad.torch.state import fill_module, module_arrays


@dataclass
class TorchLearner:
    """The modules are updated in place. With parameters in common, policy and value have one optimiser."""

    settings: Settings
    policy: TorchPolicy
    value: TorchValue | None  # in the rewards it learns from; None where nothing reads V
    optimizer: Optimizer  # of the policy, or of both
    value_optimizer: Optimizer | None  # of the value module, where it shares nothing with the policy
    value_coef: float  # weight of the mean squared error in the objective of both
    normalization: Normalization
    actor: Any  # acts with the policy as it is now
    head: Any  # makes what the environment gets of what was drawn
    signal: Signal
    key: int = 0  # of the shuffling into minibatches
    iteration: int = 0  # iterations done

    def restore(self) -> None:
        """Take the last steps back."""
        for optimizer in filter(None, (self.optimizer, self.value_optimizer)):
            optimizer.restore()

    def copied(self, **metadata: object) -> tuple[TorchPolicy, TorchValue | None]:
        """Return copies of policy and value as they are now, V in the environment's own rewards."""
        critic = None if self.value is None else self.value.module
        module, value_module = copied_modules(self.policy.module, critic)
        inputs = self.policy.inputs
        kept = inputs._replace(shift=inputs.shift.copy(), scale=inputs.scale.copy())
        labels = {**self.policy.metadata, **{name: str(value) for name, value in metadata.items()}}
        policy = replace(self.policy, module=module, inputs=kept, metadata=labels)
        scale = float(self.normalization.reward_scale[0])
        return policy, None if self.value is None else TorchValue(policy, value_module, scale)

    def _modules(self) -> dict[str, nn.Module]:
        """Return what has parameters, by names for checkpoints."""
        own = None if self.value is None else self.value.module
        return {"policy": self.policy.module, **({} if own is None else {"value": own})}

    def _optimizers(self) -> dict[str, Optimizer]:
        """Return the optimisers, likewise."""
        return {
            "optimizer": self.optimizer,
            **({} if self.value_optimizer is None else {"value_optimizer": self.value_optimizer}),
        }

    def _statistics(self) -> Arrays:
        """Return what else is updated in place."""
        return arrays_in(normalization=self.normalization, signal=self.signal)

    def state(self) -> tuple[Arrays, dict[str, Any]] | None:
        """Copy all that learning remembers; None where a module or an optimiser keeps what no file of numbers holds."""
        arrays = copies(self._statistics())
        about: dict[str, Any] = {"iteration": self.iteration, "value_coef": self.value_coef}
        for name, module in self._modules().items():
            numbers = module_arrays(module)
            if numbers is None:
                return None
            arrays |= under(name, numbers)
        for name, optimizer in self._optimizers().items():
            kept = optimizer.state()
            if kept is None:
                return None
            arrays |= under(name, kept[0])
            about[name] = {"class": optimizer.class_name, **kept[1]}
        return arrays, about

    def go_on(self, arrays: Arrays, about: dict[str, Any]) -> None:
        """Remember what another learner did; raise RunError where its modules or optimisers were others."""
        optimizers = self._optimizers()
        same = all(name in about and about[name]["class"] == kept.class_name for name, kept in optimizers.items())
        if not same or about["value_coef"] != self.value_coef:
            raise RunError(
                "the run was trained with another optimizer or value_coef: give the arguments that it was begun with"
            )
        put_back(arrays, self._statistics())
        for name, module in self._modules().items():
            fill_module(module, below(name, arrays))
        for name, optimizer in optimizers.items():
            optimizer.go_on(below(name, arrays), about[name])
        self.iteration = int(about["iteration"])
