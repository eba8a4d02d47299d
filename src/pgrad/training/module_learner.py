"""PyTorch modules as what learns in the loop of one seed."""

from contextlib import AbstractContextManager
from typing import Any

from pgrad.algorithms.iteration import IterationMetrics
from pgrad.arrays import Arrays
from pgrad.config.settings import Config, TorchOptions
from pgrad.envs.make import Env
from pgrad.rollouts.batch import Batch
from pgrad.torch.devices import threads_for
from pgrad.torch.iteration import train_iteration
from pgrad.training.build_torch import new_torch_learner
from pgrad.training.learners import Trained


class ModuleLearner:
    """Modules that autograd trains."""

    def __init__(self, options: TorchOptions, config: Config, env: Env, seed: int, num_trajectories: int) -> None:
        self.record = new_torch_learner(options, config, env, seed, num_trajectories)
        self.settings, self.actor = self.record.settings, self.record.actor
        self.head = self.record.head

    @property
    def iterations(self) -> int:
        """Iterations done."""
        return self.record.iteration

    def train_iteration(self, batch: Batch) -> tuple[int, IterationMetrics]:
        """See learners.Learner."""
        return train_iteration(self.record, batch)

    def restore(self) -> None:
        """See learners.Learner."""
        self.record.restore()

    def threads(self) -> AbstractContextManager[None]:
        """See learners.Learner."""
        return threads_for(self.record.policy.module, self.record.policy.inputs.device)

    def trained(self, **metadata: int) -> Trained:
        """See learners.Learner."""
        return Trained(*self.record.copied(**metadata))

    def state(self) -> tuple[Arrays, dict[str, Any]] | None:
        """See learners.Learner."""
        return self.record.state()

    def go_on(self, arrays: Arrays, about: dict[str, Any]) -> None:
        """See learners.Learner."""
        self.record.go_on(arrays, about)
