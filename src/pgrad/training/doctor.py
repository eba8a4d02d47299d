"""The doctor: what is wrong with a run, in one sentence for each disease, with what usually helps.

`DISEASES` is the table: how to see it in one seed, how to say it, what helps. A check looks at what training recorded
and returns its figures, or None where the seed is well or too little is known. Thresholds are such that healthy runs
set off none (docs/results.md has the counts); a run that solves its environment is well in all but its trend.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pgrad.config.settings import Config
from pgrad.envs.make import Env
from pgrad.evaluation import Evaluation
from pgrad.experiments.statistics import beyond_chance, shown
from pgrad.spaces import Box
from pgrad.training.loops import History

Floats = npt.NDArray[np.float64]
Figures = tuple[float, ...]

GREEDY_SEEDS, GREEDY_EPISODES = 5, 20  # of greedy evaluation: so few, as they only warn
FEW_EPISODES = 20  # at a run's beginning, for what the untrained policy is worth
FEW_ITERATIONS = 20  # fewer say nothing of a trend
EARLY = 1 / 3  # of a run
COLLAPSED, NARROWED = 0.02, 3.0  # of its first entropy, discrete actions; nats an action lost, continuous ones
ALIKE = 1e-8  # spread of the advantages, against 1 + |episode return|
OVERSHOT, UNBOUNDED_KL, OFTEN = 2.0, 0.1, 0.1  # of the KL asked for; nats where none is asked for; share of iterations
FALLEN = 0.3  # of the way from the first episodes to the peak
USELESS = -1.0  # explained variance; a little below 0 it still serves as a baseline
WIDE = 100.0  # largest observation, or largest over smallest
CLIPPED = 0.5  # of the actions
APART = 0.5  # of the way from the first episodes to the better of the two


@dataclass(frozen=True)
class Patient:
    """What is known of one seed."""

    seed: int
    config: Config
    env: Env
    history: History
    evaluation: Evaluation | None = None
    greedy: Evaluation | None = None
    obs_sizes: Floats | None = None  # [O] largest magnitude of each number observed

    def column(self, name: str) -> Floats:
        """Return a column of metrics.csv, [iterations]."""
        return self.history.metric(name)

    @property
    def returns(self) -> Floats:
        """The training episodes' returns."""
        return self.history.episodes.episode_return

    @property
    def first(self) -> Floats:
        """Those before much was learnt: what random actions are worth."""
        return self.returns[:FEW_EPISODES]

    @property
    def final(self) -> Floats:
        """The frozen policy's returns, or without evaluation the last ones of training."""
        return self.evaluation.returns if self.evaluation is not None else self.returns[-FEW_EPISODES:]

    @property
    def long(self) -> bool:
        """Whether the run is long enough to have a beginning and an end."""
        return len(self.history.metrics) >= FEW_ITERATIONS and self.returns.size >= 4 * FEW_EPISODES

    @property
    def solved(self) -> bool:
        """Whether the environment's threshold is reached."""
        threshold = self.env.reward_threshold
        return threshold is not None and self.final.size > 0 and float(self.final.mean()) >= threshold

    @property
    def learnt(self) -> bool:
        """Whether it ends better than it began, by more than chance."""
        return self.final.size > 0 and self.first.size > 0 and beyond_chance(self.final, self.first)

    @property
    def satisfied(self) -> bool:
        """Whether there is no reason to look for a fault: solved, or where no threshold is known better than before."""
        return self.solved if self.env.reward_threshold is not None else self.learnt


def entropy_collapsed(p: Patient) -> Figures | None:
    """Return first and early entropy (nats), where it is gone in a third of a run that ends badly."""
    entropy = p.column("entropy")
    early = entropy[: int(EARLY * entropy.size)]
    if not p.long or p.satisfied or early.size == 0:
        return None
    actions = p.env.actions
    low = entropy[0] - NARROWED * actions.flat_size if isinstance(actions, Box) else COLLAPSED * entropy[0]
    late = early[-max(1, early.size // 10) :].mean()
    return (float(entropy[0]), float(late)) if late < low else None


def all_alike(p: Patient) -> Figures | None:
    """Return how many episodes and their return, where all are the same or advantages rarely have a spread."""
    episodes = p.history.episodes
    if episodes.length.size < FEW_EPISODES:
        return None
    returns, typical = episodes.episode_return, float(np.median(episodes.episode_return))
    same = bool((returns == returns[0]).all() and (episodes.length == episodes.length[0]).all())
    idle = float(np.mean(p.column("advantage_std") <= ALIKE * (1 + abs(typical))))
    return (returns.size, typical) if same or idle > 0.5 else None


def kl_jumps(p: Patient) -> Figures | None:
    """Return the share of steps that go too far (%), their median KL, and the limit they pass."""
    kl = p.column("kl")
    kl = kl[np.isfinite(kl)]
    if kl.size < FEW_ITERATIONS:
        return None
    asked = p.config.max_kl or p.config.target_kl
    limit = OVERSHOT * asked if asked else UNBOUNDED_KL
    far = kl[kl > limit]
    return (100 * far.size / kl.size, float(np.median(far)), limit) if far.size > OFTEN * kl.size else None


def fallen(p: Patient) -> Figures | None:
    """Return the best and the last window's mean return, where there is a deep fall between them."""
    width = max(FEW_EPISODES, p.returns.size // 20)
    if not p.long or p.returns.size < 4 * width:
        return None
    windows = p.returns[p.returns.size % width :].reshape(-1, width)
    means, last = windows.mean(axis=1), windows[-1]
    peak = int(means.argmax())
    fall, climb = means[peak] - means[-1], means[peak] - p.first.mean()
    error = np.sqrt((windows[peak].var(ddof=1) + last.var(ddof=1)) / width)
    low = p.final.mean() < means[peak] - FALLEN * climb  # the frozen policy too
    return (float(means[peak]), float(means[-1])) if fall > max(FALLEN * climb, 4 * error) and low else None


def useless_value(p: Patient) -> Figures | None:
    """Return the median explained variance of the last quarter, where V is worse than its mean would be."""
    explained = p.column("explained_variance")
    late = explained[-(explained.size // 4) :]
    if not p.long or p.satisfied or not np.isfinite(late).any():
        return None
    median = float(np.nanmedian(late))
    return (median,) if median < USELESS else None


def unscaled(p: Patient) -> Figures | None:
    """Return smallest and largest magnitude of the observations, where they differ much and are not normalised."""
    if p.config.normalize_obs or p.obs_sizes is None or p.solved:
        return None
    sizes = p.obs_sizes[p.obs_sizes > 0]
    if sizes.size == 0 or (sizes.max() <= WIDE and sizes.max() <= WIDE * sizes.min()):
        return None
    return float(sizes.min()), float(sizes.max())


def clipped(p: Patient) -> Figures | None:
    """Return the share of clipped actions in the second half (%), where it is most of them."""
    share = p.column("actions_clipped")
    late = share[share.size // 2 :]
    if late.size < FEW_ITERATIONS // 2 or p.satisfied or np.isnan(late).all():
        return None
    mean = float(np.nanmean(late))
    return (100 * mean,) if mean > CLIPPED else None


def greedy_apart(p: Patient) -> Figures | None:
    """Return the mean returns of the sampling and the greedy policy, where they are far apart."""
    if p.greedy is None or p.evaluation is None or p.first.size < FEW_EPISODES:
        return None
    sampled, greedy = p.evaluation.returns, p.greedy.returns
    better, worse = (sampled, greedy) if sampled.mean() >= greedy.mean() else (greedy, sampled)
    gap, way = better.mean() - worse.mean(), abs(better.mean() - p.first.mean())
    return (float(sampled.mean()), float(greedy.mean())) if beyond_chance(better, worse) and gap > APART * way else None


def no_better_than_random(p: Patient) -> Figures | None:
    """Return the mean returns at the end and of the first episodes, where the former is no better."""
    if not p.long or p.solved or p.learnt:
        return None
    return float(p.final.mean()), float(p.first.mean())


class Disease(NamedTuple):
    """How to see it, how to say it with its figures, and what usually helps."""

    figures: Callable[[Patient], Figures | None]
    words: str
    help: str


DISEASES: dict[str, Disease] = {
    "all episodes alike": Disease(
        all_alike,
        "nothing tells actions apart: of {0:.0f} episodes the typical one returned {1}, and advantages have no spread",
        "a reward on the way to the goal, or more exploring (entropy_coef, a larger initial_std, a longer time limit)",
    ),
    "entropy collapsed": Disease(
        entropy_collapsed,
        "the policy stopped exploring early: its entropy fell from {0} to {1} nats in the first third of the run",
        "a smaller learning_rate, or entropy_coef around 0.01",
    ),
    "KL jumps": Disease(
        kl_jumps,
        "steps go too far: {0:.0f} % of iterations moved the policy by {1} nats, where {2} would be much",
        "a smaller learning_rate, fewer num_epochs, a target_kl; for step 'natural', step 'trust-region'",
    ),
    "return fell": Disease(
        fallen,
        "the return fell from its peak of {0} to {1}",
        "a smaller learning_rate, learning_rate_schedule 'linear', larger batches; policy-best is from before it",
    ),
    "useless value function": Disease(
        useless_value,
        "the value function predicts worse than its mean would (explained variance {0} at the end)",
        "another value_learning_rate, more num_value_steps, normalize_rewards, normalize_obs",
    ),
    "unscaled observations": Disease(
        unscaled,
        "observations reach from {0} to {1} in size and are not normalised",
        "normalize_obs",
    ),
    "actions clipped": Disease(
        clipped,
        "{0:.0f} % of the actions are beyond their bounds and are clipped, so that the policy learns little from them",
        "a smaller initial_std, or squash",
    ),
    "greedy apart": Disease(
        greedy_apart,
        "sampling and greedy policy are far apart: {0} sampled, {1} greedy",
        "use the better of the two; a longer run, or less entropy_coef, brings them together",
    ),
    "no better than random": Disease(
        no_better_than_random,
        "the policy is no better than it began: {0} at the end, {1} in the first episodes, of nearly random actions",
        "more total_steps, normalize_rewards and normalize_obs, another learning_rate",
    ),
}


class Finding(NamedTuple):
    """One disease of a run."""

    name: str
    seeds: tuple[int, ...]  # that have it
    sentence: str


def examine(patients: list[Patient]) -> list[Finding]:
    """Return what is wrong with the seeds of a run: a sentence a disease, with medians over the seeds that have it."""
    findings = []
    for name, disease in DISEASES.items():
        found = {p.seed: figures for p in patients if (figures := disease.figures(p)) is not None}
        if found:
            medians: list[Any] = [_Figure(value) for value in np.median(list(found.values()), axis=0)]
            where = f"in {len(found)} of {len(patients)} seeds " if len(patients) > 1 else ""
            sentence = f"{where}{disease.words.format(*medians)}; what helps: {disease.help}"
            findings.append(Finding(name, tuple(found), sentence))
    return findings


class _Figure(float):
    """A number that is shown with two digits unless the words say otherwise."""

    def __format__(self, spec: str) -> str:
        return format(float(self), spec) if spec else shown(float(self))
