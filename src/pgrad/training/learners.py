"""What learns, for the loop of one seed: from a batch to better parameters, and copies of these for others."""

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from pgrad.algorithms.iteration import IterationMetrics, train_iteration
from pgrad.algorithms.learner import Checkpoints, Settings
from pgrad.arrays import Arrays, arrays_in, copies, put_back
from pgrad.config.settings import Config
from pgrad.envs.make import Env
from pgrad.kernels.jit import Included
from pgrad.policies.mlp import MLPPolicy, MLPValue
from pgrad.rollouts.actions import CompiledActor
from pgrad.rollouts.batch import Batch
from pgrad.training.build import checkpoints_of, new_learner, policy_of, settings_of, value_of

if TYPE_CHECKING:
    from pgrad.torch import TorchPolicy, TorchValue


class Trained(NamedTuple):
    """Copies of what a learner has learnt so far."""

    policy: "MLPPolicy | TorchPolicy"
    critic: "MLPValue | TorchValue | None"  # in the environment's own rewards; None without a value baseline
    checkpoints: Checkpoints | None = None  # parameters along the way; None for modules


class Learner(Protocol):
    """Compiled networks or PyTorch modules."""

    settings: Settings
    actor: Any  # acts with the policy as it is now: see rollouts.actions

    @property
    def iterations(self) -> int:
        """Iterations done."""

    def train_iteration(self, batch: Batch) -> tuple[int, IterationMetrics]:
        """Improve from a batch; return the fault, if any, and the iteration's metrics."""

    def restore(self) -> None:
        """Take the last step back."""

    def threads(self) -> AbstractContextManager[None]:
        """Keep to the number of threads that suits the networks."""

    def trained(self, **metadata: int) -> Trained:
        """Copy what there is by now."""

    def state(self) -> tuple[Arrays, dict[str, Any]] | None:
        """Copy all that learning remembers: arrays, and what else JSON can hold; None where there is something else."""

    def go_on(self, arrays: Arrays, about: dict[str, Any]) -> None:
        """Remember what another learner of the same settings did; raise RunError where it does not fit."""


class CompiledLearner:
    """Multilayer perceptrons that compiled code trains."""

    def __init__(self, config: Config, env: Env, seed: int, num_trajectories: int) -> None:
        self.config, self.env, self.seed, self.settings = config, env, seed, settings_of(config)
        self.record = new_learner(config, env, seed, num_trajectories)
        self.actor = CompiledActor(self.record.policy)

    @property
    def iterations(self) -> int:
        """Iterations done."""
        return int(self.record.iteration[0])

    def train_iteration(self, batch: Batch) -> tuple[int, IterationMetrics]:
        """See Learner."""
        # Where nothing is normalised these are statistics of nothing; so one compilation serves with and without.
        return train_iteration(self.settings._replace(statistics=Included()), self.record, batch)

    def restore(self) -> None:
        """See Learner; ascend has done so already."""

    def threads(self) -> AbstractContextManager[None]:
        """See Learner; compiled code runs on the thread that calls it."""
        return nullcontext()

    def trained(self, **metadata: int) -> Trained:
        """See Learner."""
        policy = policy_of(self.config, self.env, self.record, seed=self.seed, **metadata)
        return Trained(policy, value_of(self.config, self.record), checkpoints_of(self.record))

    def _arrays(self) -> Arrays:
        """Return what the learner updates in place."""
        record = self.record
        return arrays_in(
            policy=record.policy.network.parameters,
            critic=record.critic.parameters,
            policy_state=record.policy_state,
            critic_state=record.critic_state,
            normalization=record.normalization,
            iteration=record.iteration,
            checkpoints=record.checkpoints,
            signal=record.signal,
        )

    def state(self) -> tuple[Arrays, dict[str, Any]]:
        """See Learner."""
        return copies(self._arrays()), {}

    def go_on(self, arrays: Arrays, about: dict[str, Any]) -> None:
        """See Learner."""
        put_back(arrays, self._arrays())
