"""One seed's training of a PyTorch module, on a compiled environment or on Gymnasium's."""

import logging
import threading
import time
from typing import Any

import numpy as np
import numpy.typing as npt

from pgrad.algorithms.update import BAD_GRADIENT
from pgrad.config import Config, TorchOptions
from pgrad.envs.make import Env
from pgrad.errors import PolicyError
from pgrad.estimators import gradient as estimate
from pgrad.rollouts.batch import Batch
from pgrad.rollouts.compiled import Plan
from pgrad.rollouts.compiled_stepwise import SteppedLanes
from pgrad.torch.actor import TorchActor, actor_of
from pgrad.torch.conversion import from_module
from pgrad.torch.devices import threads_for
from pgrad.torch.iteration import improve, loaded, require_same
from pgrad.torch.module_output import OutputsNotFinite
from pgrad.torch.optimizers import gradients_of, trained_parameters
from pgrad.torch.policy import TorchPolicy
from pgrad.training.build import ENDLESS
from pgrad.training.build_torch import new_torch_learner
from pgrad.training.loops import StepwiseTrainer
from pgrad.watchdog import Watchdog

Floats = npt.NDArray[np.float64]

TIMED = 5  # repetitions of which the fastest counts

log = logging.getLogger("pgrad")


class TorchTrainer(StepwiseTrainer):
    """The loop in Python around a module."""

    def __init__(
        self, config: Config, env: Env, seed: int, stopping: threading.Event, watchdog: Watchdog, modules: TorchOptions
    ) -> None:
        self.modules = modules
        super().__init__(config, env, seed, stopping, watchdog)

    def _prepare(self) -> None:
        config, env = self.config, self.env
        self.learner = new_torch_learner(self.modules, config, env, self.seed, self.episodes or self.num_envs)
        self.actor = actor_of(self.learner)
        self.to_compare = self.seed == config.seeds[0] and self.learner.policy.inputs.device.type == "cpu"
        if env.compiled:
            limit = env.max_episode_steps or ENDLESS
            plan = Plan(self.episodes, self.num_steps, limit, np.uint64(self.run_key))
            head = TorchActor(self.learner.policy).head
            self.envs = SteppedLanes(env, head, plan, self.num_envs, self.seed, self.watchdog)
        else:
            self._make_envs()

    @property
    def iterations(self) -> int:
        """Iterations done."""
        return self.learner.iteration

    def _publish(self, **metadata: int) -> None:
        self.policy, self.critic = self.learner.published(**metadata)

    def _advance(self) -> tuple[int, bool]:
        policy = self.learner.policy
        with threads_for(policy.module, policy.inputs.device):
            try:
                return super()._advance()
            except OutputsNotFinite as error:
                self.learner.restore()
                where = f"(seed {self.seed}, iteration {self.iterations + 1})"
                self.failure = f"{error}; {error.hint} {where}"
                return BAD_GRADIENT, False

    def _improve(self, batch: Batch, num_envs: int, metrics: Floats) -> int:
        if self.iterations == 0:
            require_same(self.learner.policy, loaded(batch, self.learner.policy.inputs))
        if self.to_compare:
            self.to_compare = False
            if faster := compiled_is_faster(self.learner.policy, batch):
                log.warning(faster)
        return improve(self.learner, batch, num_envs, self.total_steps, metrics)


def compiled_is_faster(policy: TorchPolicy, batch: Batch) -> str | None:
    """A line that says how much faster compiled code has this batch's gradient; None where it cannot, or is not."""
    try:
        twin = from_module(policy)
    except PolicyError:
        return None
    weight, parameters = np.ones(batch.reward.size), trained_parameters("policy", policy.module)

    def compiled() -> None:
        estimate.policy_gradient(twin.compiled, batch.obs, batch.action, batch.mask, weight, 0.0)

    def by_autograd() -> None:
        samples = loaded(batch, policy.inputs)
        log_prob, _ = policy.forward(samples.obs).distribution.log_prob_and_entropy(samples.action, samples.mask, False)
        gradients_of(log_prob.sum(), parameters)

    ratio = fastest(by_autograd) / fastest(compiled)
    if ratio <= 1:
        return None
    return (
        f"pgrad: {type(policy.module).__name__} is a multilayer perceptron: the compiled policy has the gradient of "
        f"the first batch {ratio:.1f} times faster, here on this CPU; "
        f"train it without policy=, with hidden={twin.sizes[1:-1]} and activation='{twin.activation}'"
    )


def fastest(function: Any) -> float:
    """Seconds of the fastest of a few calls, after one that does not count."""
    function()
    times = []
    for _ in range(TIMED):
        began = time.perf_counter()
        function()
        times.append(time.perf_counter() - began)
    return min(times)
