"""What training returns: the policies, their histories, and what they were worth when frozen."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pgrad.algorithms.learner import Checkpoints
from pgrad.config import Config
from pgrad.envs.make import Env
from pgrad.evaluation import Evaluation
from pgrad.experiments.statistics import Estimate, bootstrap, interquartile_mean, shown
from pgrad.policies.mlp import MLPPolicy, MLPValue
from pgrad.training.loops import History

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from pgrad.torch import TorchPolicy, TorchValue


@dataclass(frozen=True)
class SeedResult:
    """One seed."""

    seed: int
    policy: MLPPolicy | TorchPolicy
    history: History
    failure: str | None  # what went wrong, if anything
    total_steps: int
    evaluation: Evaluation | None = None
    finished: bool = True  # False where training was interrupted
    critic: MLPValue | TorchValue | None = None  # of a run with a value baseline
    checkpoints: Checkpoints | None = None  # parameters along the way


@dataclass(frozen=True, repr=False)
class Result:
    """All seeds of one training."""

    config: Config
    env: Env
    seeds: tuple[SeedResult, ...]
    seconds: float  # of training, from the call to the last seed's end
    compile_seconds: float = 0.0  # of these, spent compiling

    def __repr__(self) -> str:
        return f"<Result: {self.env.id}, {self.config.algorithm}, {len(self.seeds)} seeds, {self.total_steps:,} steps>"

    @property
    def policies(self) -> list[Any]:
        """One a seed, in the order of config.seeds: MLPPolicy, or for modules torch.TorchPolicy."""
        return [seed.policy for seed in self.seeds]

    @property
    def mean_returns(self) -> npt.NDArray[np.float64]:
        """The frozen policies' mean returns, [S]; empty where they were not evaluated."""
        return np.array([seed.evaluation.returns.mean() for seed in self.seeds if seed.evaluation is not None])

    @property
    def total_steps(self) -> int:
        """Environment steps taken by all seeds."""
        return sum(seed.total_steps for seed in self.seeds)

    def mean(self) -> Estimate:
        """The returns' mean over seeds with its 95 % bootstrap interval; for one seed, over its episodes."""
        only = self.seeds[0].evaluation if len(self.seeds) == 1 else None
        return only.mean if only is not None else bootstrap(self.mean_returns)

    def interquartile_mean(self) -> Estimate:
        """The mean of the returns' middle half over seeds with its 95 % bootstrap interval."""
        return bootstrap(self.mean_returns, interquartile_mean)

    def solved(self) -> int | None:
        """How many returns reach the environment's threshold; None where it has none."""
        if self.env.reward_threshold is None:
            return None
        return int((self.mean_returns >= self.env.reward_threshold).sum())

    def solved_at(self) -> npt.NDArray[np.float64]:
        """Steps until the last 20 training episodes averaged the threshold, [S]; inf for seeds that never did."""
        threshold = self.env.reward_threshold
        reached = [seed.history.solved_at(threshold) for seed in self.seeds]
        return np.array([np.inf if steps is None else steps for steps in reached])

    def with_evaluations(self, evaluations: Sequence[Evaluation | None]) -> Result:
        """The same with one evaluation a seed, None for a policy that cannot be played."""
        seeds = tuple(
            dataclasses.replace(seed, evaluation=evaluation)
            for seed, evaluation in zip(self.seeds, evaluations, strict=True)
        )
        return dataclasses.replace(self, seeds=seeds)

    def summary(self) -> str:
        """A few lines for people."""
        count, per_second = len(self.seeds), self.total_steps / max(self.seconds - self.compile_seconds, 1e-9)
        lines = [
            f"{self.env.id} · {self.config.algorithm} · {count} seed{'s' if count > 1 else ''} · "
            f"{self.total_steps:,} steps in {self.seconds - self.compile_seconds:.2f} s ({rate(per_second)})"
            + (f" after compiling for {self.compile_seconds:.1f} s" if self.compile_seconds >= 0.1 else "")
        ]
        returns = self.mean_returns
        if returns.size:
            played = [seed for seed in self.seeds if seed.evaluation is not None]
            episodes = next(seed.evaluation.returns.size for seed in played if seed.evaluation)
            where = self.env.id
            if self.env.compiled:
                where = f"Gymnasium's {where}" if self.env.has_original else f"{where}, uncompiled"
            lines.append(f"frozen policies, {episodes} episode{'s' if episodes > 1 else ''} each in {where}:")
            over = "seeds" if count > 1 else "episodes"
            lines.append(f"  mean return          {self.mean()}  (95 % bootstrap interval over {over})")
            if returns.size > 1:
                worst = int(returns.argmin())
                lines.append(f"  interquartile mean   {self.interquartile_mean()}")
                lines.append(f"  worst seed           {shown(returns[worst])}  (seed {played[worst].seed})")
            if (solved := self.solved()) is not None:
                threshold = f"  solved (≥ {self.env.reward_threshold:g})"
                lines.append(f"{threshold:<23}{solved} of {count}")
        lines += [f"seed {seed.seed} failed: {seed.failure}" for seed in self.seeds if seed.failure]
        return "\n".join(lines)

    def to_json(self) -> str:
        """The summary for programs."""
        returns, solved_at = self.mean_returns, self.solved_at()
        document = {
            "env": self.env.id,
            "algorithm": self.config.algorithm,
            "seconds": self.seconds,
            "compile_seconds": self.compile_seconds,
            "total_steps": self.total_steps,
            "interrupted": len(self.seeds) < len(self.config.seeds) or not all(seed.finished for seed in self.seeds),
            "seeds": [
                {
                    "seed": seed.seed,
                    "total_steps": seed.total_steps,
                    "seconds": seed.history.seconds,
                    "steps_to_solve": None if np.isinf(steps) else int(steps),
                    "mean_return": _finite(seed.evaluation.returns.mean()) if seed.evaluation else None,
                    "finished": seed.finished,
                    "failure": seed.failure,
                }
                for seed, steps in zip(self.seeds, solved_at, strict=True)
            ],
        }
        if returns.size:
            document["mean_return"] = _finite_estimate(self.mean())
            if returns.size > 1:
                document["interquartile_mean_return"] = _finite_estimate(self.interquartile_mean())
            document["solved"] = self.solved()
        return json.dumps(document, indent=2, allow_nan=False) + "\n"

    def plot(self) -> Figure:
        """The training curves: see reports.figures.training_curve."""
        from pgrad.reports.figures import training_curve

        return training_curve(self)


def rate(steps_per_second: float) -> str:
    """Steps per second, in millions or thousands or as they are."""
    if steps_per_second >= 1e6:
        return f"{steps_per_second / 1e6:.2f} M steps/s"
    return f"{steps_per_second / 1e3:.1f} k steps/s" if steps_per_second >= 1e3 else f"{steps_per_second:.0f} steps/s"


def _finite(value: float) -> float | None:
    """JSON knows neither infinity nor NaN."""
    return float(value) if np.isfinite(value) else None


def _finite_estimate(estimate: Estimate) -> dict[str, float | None]:
    return {name: _finite(value) for name, value in estimate._asdict().items()}
