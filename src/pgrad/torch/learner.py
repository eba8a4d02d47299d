"""What learns: the modules, their optimisers, the running statistics. One seed's own, never the user's objects."""

from dataclasses import dataclass, replace
from typing import Any

from pgrad.algorithms.learner import Settings
from pgrad.algorithms.normalization import Normalization
from pgrad.algorithms.signal_to_noise import Signal
from pgrad.torch.optimizers import Optimizer
from pgrad.torch.policy import TorchPolicy, TorchValue
from pgrad.torch.policy import copied as copied_modules


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
