"""What is called after every iteration: a function of the user's, evaluation along the way, stopping at a return."""

from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from pgrad.algorithms.iteration import METRICS
from pgrad.config.settings import Config
from pgrad.envs.make import Env, original_of
from pgrad.errors import InputError
from pgrad.evaluation import evaluate
from pgrad.kernels.random import fold_in
from pgrad.policies.mlp import MLPPolicy
from pgrad.rollouts.batch import concatenated
from pgrad.runs.journal import Evaluated
from pgrad.training.best import MOST_SEEDS
from pgrad.training.loops import SOLVED_EPISODES, Loop, Past

if TYPE_CHECKING:
    from pgrad.torch import TorchPolicy

ALONG_EPISODES = 20  # of each evaluation along the way
ALONG_STREAM = 3  # of its random numbers, beside those of the reported evaluation and of the best policy's


class Iteration:
    """A seed's training after one of its iterations, as `on_iteration` sees it.

    seed         of the run
    number       of the iteration; the first is 1
    total_steps  environment steps that the seed has taken
    metrics      the iteration's line of metrics.csv by name, such as metrics["entropy"]; NaN where not defined
    episodes     that ended since the call before, in their order: `episode_return`, `length` and `total_steps` at their
                 end, [E] each. At the first call of a run that goes on, all so far
    evaluation   along the way, if `evaluate_every` asked for one at this iteration
    """

    evaluation: Evaluated | None = None

    def __init__(self, loop: Loop) -> None:
        self._loop: Loop | None = loop
        self.seed, self.number = loop.seed, loop.learner.iterations
        self.metrics = dict(zip(METRICS, loop.metrics[-1][-1].tolist(), strict=True))
        self.total_steps = int(self.metrics["total_steps"])
        self.episodes = concatenated(loop.episodes[loop.parts_seen :])

    def __repr__(self) -> str:
        return f"<Iteration {self.number} of seed {self.seed}, {self.total_steps:,} steps>"

    def policy(self) -> "MLPPolicy | TorchPolicy":
        """Return a copy of the policy as it is now; raise InputError once the call is over, when it has moved on."""
        learner = self._running().learner
        return learner.trained(total_steps=self.total_steps, iterations=self.number).policy

    def stop(self) -> None:
        """End this seed's training here; other seeds go on. The run counts as finished."""
        self._running().stopped = True

    def close(self) -> None:
        """Let training go on."""
        self._loop = None

    def _running(self) -> Loop:
        if self._loop is None:
            raise InputError(f"{self!r} is over: ask for its policy, or to stop, while on_iteration is called with it")
        return self._loop


OnIteration = Callable[[Iteration], object]


class Callbacks:
    """All that is called after an iteration, in this order: evaluation, stopping at a return, the user's function.

    evaluations  of each seed along the way, so far
    """

    def __init__(
        self,
        config: Config,
        env: Env,
        past: Mapping[int, Past],
        evaluate_every: int | None = None,
        on_iteration: OnIteration | None = None,
    ) -> None:
        self.evaluations = {seed: [*one.evaluations] for seed, one in past.items()}
        self.calls: list[OnIteration] = []
        if evaluate_every is not None:
            self.calls.append(EvaluateEvery(evaluate_every, env, config.step_timeout, self.evaluations))
        if config.stop_at_return is not None:
            self.calls.append(StopAtReturn(config.stop_at_return))
        if on_iteration is not None:
            self.calls.append(on_iteration)

    def __call__(self, iteration: Iteration) -> None:
        """Call them all."""
        try:
            for call in self.calls:
                call(iteration)
        finally:
            iteration.close()


class StopAtReturn:
    """Stops a seed once its last 20 training episodes have a mean return of `threshold` or more."""

    def __init__(self, threshold: float) -> None:
        self.threshold = threshold
        self.returns: dict[int, deque[float]] = {}  # of each seed's last episodes

    def __call__(self, iteration: Iteration) -> None:
        """Look at the episodes that have ended."""
        last = self.returns.setdefault(iteration.seed, deque(maxlen=SOLVED_EPISODES))
        last.extend(iteration.episodes.episode_return.tolist())
        if len(last) == SOLVED_EPISODES and np.mean(last) >= self.threshold:
            iteration.stop()


class EvaluateEvery:
    """Plays 20 episodes with the frozen policy whenever a seed has taken another `steps` steps."""

    def __init__(
        self, steps: int, env: Env, step_timeout: float | None, evaluations: dict[int, list[Evaluated]]
    ) -> None:
        """Add to `evaluations`, by seed."""
        self.steps, self.original, self.evaluations = steps, original_of(env), evaluations
        self.settings: dict[str, Any] = {"episodes": ALONG_EPISODES, "step_timeout": step_timeout}

    def __call__(self, iteration: Iteration) -> None:
        """Evaluate, if it is time, in Gymnasium's own environment with random numbers of this evaluation's own."""
        of_seed = self.evaluations.setdefault(iteration.seed, [])
        before = of_seed[-1].total_steps if of_seed else 0
        if iteration.total_steps // self.steps == before // self.steps:
            return
        own = fold_in(fold_in(iteration.seed, ALONG_STREAM), iteration.number) % MOST_SEEDS
        found = evaluate(iteration.policy(), self.original, seed=own, **self.settings)
        length = float(found.lengths.mean())
        steps, episodes = iteration.total_steps, found.returns.size
        iteration.evaluation = Evaluated(iteration.number, steps, *found.mean, length, episodes)
        of_seed.append(iteration.evaluation)
