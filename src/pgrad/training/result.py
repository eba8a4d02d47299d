"""What training returns: the policies, their histories, and the returns of the frozen policies."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pgrad.algorithms.learner import Checkpoints
from pgrad.config.settings import Config
from pgrad.envs.make import Env
from pgrad.evaluation import Evaluation
from pgrad.experiments.statistics import (
    FEW,
    QUARTERS,
    Estimate,
    beyond_chance,
    bootstrap,
    clopper_pearson,
    counted,
    interquartile_mean,
    interval_name,
    mean_interval,
    shown,
)
from pgrad.policies.mlp import MLPPolicy, MLPValue
from pgrad.presets.preset import NONE, described
from pgrad.runs.failure import Failure
from pgrad.runs.journal import Evaluated
from pgrad.runs.state_file import State
from pgrad.training.best import Best
from pgrad.training.doctor import Finding, Patient, examine
from pgrad.training.loops import History

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from pgrad.torch import TorchPolicy, TorchValue


@dataclass(frozen=True)
class SeedResult:
    """One seed of a training."""

    seed: int
    policy: MLPPolicy | TorchPolicy  # the frozen policy
    history: History  # metrics of each iteration, returns of each episode
    failure: Failure | None  # what went wrong, if anything
    total_steps: int  # environment steps
    evaluation: Evaluation | None = None  # of the frozen policy
    finished: bool = True  # False where training was interrupted
    critic: MLPValue | TorchValue | None = None  # V, of a run with a value baseline
    checkpoints: Checkpoints | None = None  # parameters along the way
    greedy: Evaluation | None = None  # of the frozen policy's most probable actions, of a few seeds
    best: Best | None = None  # the best policy seen, where that is not the last
    obs_sizes: npt.NDArray[np.float64] | None = None  # [O] largest magnitude of each number observed
    state: State | None = None  # what its training takes to go on
    restarted_envs: int = 0  # environments that failed, and in whose place fresh ones were begun
    stopped: bool = False  # True where it was ended early, by stop_at_return or a callback
    evaluations: tuple[Evaluated, ...] = ()  # of the frozen policy along the way: evaluate_every


@dataclass(frozen=True, repr=False)
class Result:
    """The result of one training, with all its seeds.

    config, env      the settings and the environment that all seeds have in common
    seeds            one SeedResult each, in the order of config.seeds; fewer where training was interrupted
    seconds          of training, from the call to the last seed's end, compilation included, evaluation not
    compile_seconds  of these, spent compiling
    earlier_steps    environment steps that were taken before, where a run has gone on; their seconds are not counted
    env_failure      what an environment did that ended the training, if one did

    `policies` are the frozen policies, one for each of the S seeds, and `mean_returns` is one number for each evaluated
    seed. `mean()` and `interquartile_mean()` estimate what one more seed would reach, with intervals over seeds (not
    over episodes, which tell of one policy and not of the algorithm). `summary()` says it in a few lines, and `plot()`
    draws the training curves.
    """

    config: Config
    env: Env
    seeds: tuple[SeedResult, ...]
    seconds: float
    compile_seconds: float = 0.0
    earlier_steps: int = 0
    env_failure: Failure | None = None

    def __repr__(self) -> str:
        return f"<Result: {self.env.id}, {self.config.algorithm}, {self._count}, {self.total_steps:,} steps>"

    def _repr_html_(self) -> str:
        """Return the summary, for notebooks."""
        return f"<pre>{html.escape(self.summary())}</pre>"

    @property
    def _count(self) -> str:
        """The number of seeds in words."""
        return f"{len(self.seeds)} seed{'s' if len(self.seeds) != 1 else ''}"

    @property
    def policies(self) -> list[Any]:
        """One frozen policy a seed, in the order of `seeds`: MLPPolicy, or for modules torch.TorchPolicy."""
        return [seed.policy for seed in self.seeds]

    @property
    def mean_returns(self) -> npt.NDArray[np.float64]:
        """The frozen policies' mean undiscounted returns over their evaluation episodes, [S]; empty where there are
        none, and shorter where some seed's policy could not be evaluated."""
        return np.array([seed.evaluation.returns.mean() for seed in self.seeds if seed.evaluation is not None])

    @property
    def total_steps(self) -> int:
        """Environment steps taken by all seeds."""
        return sum(seed.total_steps for seed in self.seeds)

    def mean(self) -> Estimate:
        """Return the mean over seeds of `mean_returns`, with its 95 % interval.

        See experiments.statistics.mean_interval: Student's t below ten seeds, the bootstrap from there on. With one
        seed the interval is over its episodes, and says nothing of other seeds. Raises ValueError where no seed was
        evaluated.
        """
        only = self.seeds[0].evaluation if len(self.seeds) == 1 else None
        return only.mean if only is not None else mean_interval(self.mean_returns)

    def interquartile_mean(self) -> Estimate:
        """Return the mean over seeds of the middle half of `mean_returns`, with its 95 % bootstrap interval.

        Agarwal et al. (2021), §4.3; see experiments.statistics.interquartile_mean. Below ten seeds the interval is NaN,
        and of fewer than four it is the mean. Raises ValueError where no seed was evaluated.
        """
        return bootstrap(self.mean_returns, interquartile_mean)

    def solved(self) -> int | None:
        """Count the seeds whose mean return reaches the environment's reward threshold; None where it has none."""
        if self.env.reward_threshold is None:
            return None
        return int((self.mean_returns >= self.env.reward_threshold).sum())

    def solved_at(self) -> npt.NDArray[np.float64]:
        """Return the environment steps after which the last 20 training episodes averaged the threshold, [S]; inf for
        seeds that never did."""
        threshold = self.env.reward_threshold
        reached = [seed.history.solved_at(threshold) for seed in self.seeds]
        return np.array([np.inf if steps is None else steps for steps in reached])

    def findings(self) -> list[Finding]:
        """Return what is wrong with the run, one sentence a disease: see training.doctor."""
        return examine(
            [
                Patient(s.seed, self.config, self.env, s.history, s.evaluation, s.greedy, s.obs_sizes)
                for s in self.seeds
                if s.failure is None
            ]
        )

    def better_before(self) -> list[tuple[SeedResult, Best]]:
        """Return the seeds whose best policy is better than the last by more than chance, with it."""
        return [
            (seed, seed.best)
            for seed in self.seeds
            if seed.best and seed.evaluation and beyond_chance(seed.best.evaluation.returns, seed.evaluation.returns)
        ]

    def failures(self) -> list[Failure]:
        """Return what ended seeds, or the whole training, before their time."""
        found = [*(seed.failure for seed in self.seeds), self.env_failure]
        return [failure for failure in found if failure is not None]

    def summary(self) -> str:
        """Return a few lines for people: settings, speed, and returns with their intervals."""
        count, seconds = len(self.seeds), self.seconds - self.compile_seconds
        now = self.total_steps - self.earlier_steps
        lines = [
            f"{self.env.id} · {self.config.algorithm} · {self._count} · "
            f"{self.total_steps:,} steps{f', {now:,} of them' if self.earlier_steps else ''} in {seconds:.2f} s "
            f"({rate(now / max(seconds, 1e-9))})"
            + (f" after compiling for {self.compile_seconds:.1f} s" if self.compile_seconds >= 0.1 else "")
        ]
        if self.config.preset != NONE:
            lines.append(described(self.config.preset))
        returns = self.mean_returns
        if returns.size:
            played = [seed for seed in self.seeds if seed.evaluation is not None]
            episodes = next(seed.evaluation.returns.size for seed in played if seed.evaluation)
            where = self.env.id
            if self.env.compiled:
                where = f"Gymnasium's {where}" if self.env.has_original else f"{where}, uncompiled"
            lines.append(f"frozen policies, {episodes} episode{'s' if episodes > 1 else ''} each in {where}:")
            over = interval_name(returns.size, "seeds") if count > 1 else interval_name(episodes, "episodes")
            lines.append(f"  mean return          {self.mean()}  ({over})")
            if returns.size >= FEW:
                lines.append(f"  interquartile mean   {self.interquartile_mean()}")
            if returns.size > 1:
                worst = int(returns.argmin())
                lines.append(f"  worst seed           {shown(returns[worst])}  (seed {played[worst].seed})")
            if (solved := self.solved()) is not None:
                threshold = f"  solved (≥ {self.env.reward_threshold:g})"
                lines.append(
                    f"{threshold:<23}{counted(solved, count)}  (95 % Clopper–Pearson interval of the share of seeds)"
                )
        if stopped := [seed.total_steps for seed in self.seeds if seed.stopped]:
            after = f"after {np.mean(stopped):,.0f} steps{' on average' if len(stopped) > 1 else ''}"
            lines.append(f"stopped early: {len(stopped)} of {self._count}, {after}")
        if better := self.better_before():
            lines.append(f"policy-best: {best_in_words(better, count)}")
        if restarted := sum(seed.restarted_envs for seed in self.seeds):
            lines.append(f"environments that failed and were begun anew: {restarted}")
        lines += [f"doctor: {finding.sentence}" for finding in self.findings()]
        lines += [f"seed {seed.seed} failed: {seed.failure}" for seed in self.seeds if seed.failure]
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Return the summary for programs, in what JSON knows: None for infinite and unknown numbers."""
        document: dict[str, Any] = {
            "env": self.env.id,
            "algorithm": self.config.algorithm,
            "reward_threshold": self.env.reward_threshold,
            "max_return": self.env.max_return,
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
                    "evaluation_seed": seed.evaluation.settings.get("evaluation_seed") if seed.evaluation else None,
                    "greedy_mean_return": _finite(seed.greedy.returns.mean()) if seed.greedy else None,
                    "best": best_in_numbers(seed.best) if seed.best else None,
                    "finished": seed.finished,
                    "stopped_early": seed.stopped,
                    "failure": None if seed.failure is None else seed.failure.message,
                    "restarted_envs": seed.restarted_envs,
                }
                for seed, steps in zip(self.seeds, self.solved_at(), strict=True)
            ],
        }
        document["doctor"] = [finding._asdict() for finding in self.findings()]
        returns = self.mean_returns
        if returns.size:
            evaluations = [seed.evaluation for seed in self.seeds if seed.evaluation is not None]
            over = (returns.size, "seeds") if len(self.seeds) > 1 else (evaluations[0].returns.size, "episodes")
            in_common = {name: value for name, value in evaluations[0].settings.items() if name != "evaluation_seed"}
            document["evaluation"] = {"episodes": evaluations[0].returns.size, **in_common}
            document["mean_return"] = {**finite_estimate(self.mean()), "interval": interval_name(*over)}
            if returns.size >= QUARTERS:
                document["interquartile_mean_return"] = finite_estimate(self.interquartile_mean())
            document["solved"] = solved = self.solved()
            if solved is not None:
                share = finite_estimate(clopper_pearson(solved, len(self.seeds)))
                document["solved_share"] = {**share, "interval": "95 %, Clopper–Pearson"}
        return document

    def plot(self) -> Figure:
        """Draw the training curves: see reports.figures.training_curve."""
        from pgrad.reports.figures import training_curve

        return training_curve(self)


def compare(results: Mapping[str, Result]) -> Figure:
    """Draw the curves of several results on one pair of axes: `compare({"Adam": one, "SGD": another})`.

    See reports.figures.comparison.
    """
    from pgrad.reports.figures import comparison

    return comparison(results)


def best_in_words(better: list[tuple[SeedResult, Best]], count: int) -> str:
    """Say what the best policies are worth beside the last ones, of `count` seeds."""
    seed, best = better[0]
    assert seed.evaluation is not None
    if count == 1:
        return f"{best.evaluation.mean} at step {best.total_steps:,}; the last: {shown(seed.evaluation.returns.mean())}"
    means = np.array([[b.evaluation.returns.mean(), s.evaluation.returns.mean()] for s, b in better if s.evaluation])
    best_mean, last_mean = (shown(value) for value in means.mean(axis=0))
    return f"in {len(better)} of {count} seeds better than the last beyond chance, {best_mean} against {last_mean}"


def best_in_numbers(best: Best) -> dict[str, Any]:
    """Return what the best policy seen is worth, and when it was, for JSON."""
    evaluation = best.evaluation
    return {
        "total_steps": best.total_steps,
        "mean_return": finite_estimate(evaluation.mean),
        "evaluation_seed": evaluation.settings.get("evaluation_seed"),
    }


def rate(steps_per_second: float) -> str:
    """Format steps per second, in millions or thousands or as they are."""
    if steps_per_second >= 1e6:
        return f"{steps_per_second / 1e6:.2f} M steps/s"
    return f"{steps_per_second / 1e3:.1f} k steps/s" if steps_per_second >= 1e3 else f"{steps_per_second:.0f} steps/s"


def _finite(value: float) -> float | None:
    """Return None for what JSON does not know, infinity and NaN."""
    return float(value) if np.isfinite(value) else None


def finite_estimate(estimate: Estimate) -> dict[str, float | None]:
    """Return an estimate's value and interval for JSON."""
    return {name: _finite(value) for name, value in estimate._asdict().items()}
