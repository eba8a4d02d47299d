"""How answers are read from runs: each analysis returns sentences, whose numbers are those of the data."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from pgrad.config.values import shown_setting
from pgrad.errors import ConfigError
from pgrad.experiments.over_seeds import in_table
from pgrad.experiments.power import seeds_to_tell
from pgrad.experiments.statistics import (
    UNKNOWN,
    Estimate,
    bootstrap,
    clopper_pearson,
    counted,
    interquartile_mean,
    shown,
)
from pgrad.experiments.sweeps.of_setting import OfSetting
from pgrad.experiments.sweeps.result import CHANCE, MOST_SEEDS, Sweep

MUCH = 0.1  # difference of probabilities of improvement
HALF = 0.5  # of the threshold, which counts as a rise; of a curve's height, below which it has fallen


def against_first(found: Sweep) -> list[str]:
    """Compare every setting with the first."""
    first, *others = range(len(found.settings))
    return [reaches(found, first), *(compared(found, k, first) for k in others)]


def against_previous(found: Sweep) -> list[str]:
    """Compare every setting with the one before it."""
    first, *others = range(len(found.settings))
    return [reaches(found, first), *(compared(found, k, k - 1) for k in others)]


def rise_and_fall(found: Sweep) -> list[str]:
    """Count the seeds whose training curve rises and falls again, and compare what is left with the first setting."""
    first, *others = range(len(found.settings))
    sentences = [
        in_short(found),
        "A training curve, the mean of the last 50 episodes, has risen where it has reached "
        f"{HALF * goal(found):g}, half of the goal, and has fallen where it ends below half of its own highest point.",
    ]
    for k in (first, *others):
        sentences.append(f"{found.settings[k].setting}: {rises(found.settings[k], HALF * goal(found))}")
        sentences[-1] += f" {reaches(found, k) if k == first else compared(found, k, first)}"
    return sentences


def along_range(found: Sweep) -> list[str]:
    """Say at which values of the only setting that differs the best is, and from which values it cannot be told."""
    given = [tuple(one.setting.values.values()) for one in found.settings]
    if not all(len(values) == 1 and isinstance(values[0], int | float) for values in given):
        raise ConfigError(["analysis along-range needs one setting that differs, a number: use against-first"])
    (name,), values = found.columns, [value for (value,) in given]
    order = sorted(range(len(values)), key=values.__getitem__)
    best = found.best
    equal = [k for k in order if k == best or found.improvement(best, k).low <= CHANCE]
    sentences = [
        reaches(found, best, "is the best, and "),
        "Not to be told from it by these seeds: " + among(found, name, [k for k in equal if k != best]) + ".",
    ]
    worse = [k for k in order if k not in equal]
    reached = ", ".join(f"{in_table(found.statistics[k].interquartile_mean)} at {values[k]:g}" for k in worse)
    sentences += [f"Worse than it: {reached}."] if worse else []
    failed = [k for k in order if found.statistics[k].failures]
    if failed:
        sentences.append("Seeds failed at " + among(found, name, failed) + ".")
    return sentences


def by_factor(found: Sweep) -> list[str]:
    """Say of every setting that differs what each of its values does where all else is the same."""
    sentences = [reaches(found, found.best, "is the best of all, and ")]
    if any(found.columns != tuple(one.setting.values) for one in found.settings):
        raise ConfigError(["analysis by-factor needs a grid without cases: use against-first"])
    for name in found.columns:
        values = list(dict.fromkeys(one.setting.values[name] for one in found.settings))
        sentences += [factor(found, name, values[0], value) for value in values[1:]]
    return sentences


def speed(found: Sweep) -> list[str]:
    """Say how high each setting's training curve is on average, and when it solves."""
    heights = [bootstrap(one.heights, interquartile_mean) for one in found.settings]
    fastest = max(range(len(heights)), key=lambda k: heights[k].value)
    sentences = [f"{found.settings[fastest].setting} learns fastest by the mean return while it trains."]
    for k, (one, height) in enumerate(zip(found.settings, heights, strict=True)):
        solved = found.steps_to_solve(k)
        when = f"; median steps to solve: {solved}" if solved else ""
        sentences.append(f"{one.setting}: {in_table(height)} while it trains{when}. {reaches(found, k, 'in the end ')}")
    return sentences


ANALYSES: dict[str, Callable[[Sweep], list[str]]] = {
    "against-first": against_first,
    "against-previous": against_previous,
    "rise-and-fall": rise_and_fall,
    "along-range": along_range,
    "by-factor": by_factor,
    "speed": speed,
}


def goal(found: Sweep) -> float:
    """Return the return that counts as solved, or where there is none the highest that a seed reached."""
    highest = float(max(one.returns.max() for one in found.settings))
    return highest if found.threshold is None else found.threshold


def reaches(found: Sweep, k: int, words: str = "") -> str:
    """Say what a setting reaches."""
    one, statistics = found.settings[k], found.statistics[k]
    solved = "" if statistics.solved is None else f" and solves on {counted(statistics.solved, statistics.n)} seeds"
    failed = f"; {statistics.failures} of {statistics.n} seeds failed" if statistics.failures else ""
    return f"{one.setting} {words}reaches {in_table(statistics.interquartile_mean)}{solved}{failed}."


def compared(found: Sweep, one: int, other: int) -> str:
    """Say what a setting reaches, and whether that is better than what another one does."""
    against = found.settings[other].setting
    return f"{reaches(found, one)} Against {against} that is {verdict(found.improvement(one, other))}."


def verdict(improvement: Estimate) -> str:
    """Say whether a probability of improvement is beyond chance, and where it is not, how many seeds would show it."""
    words = f"(a seed is better with a probability of {improvement})"
    if improvement.low > CHANCE:
        return f"better {words}"
    if improvement.high < CHANCE:
        return f"worse {words}"
    seeds = seeds_to_tell(improvement.value)
    more = f"; about {seeds} seeds would, if it is that" if seeds <= MOST_SEEDS else ""
    return f"a difference that these seeds do not show {words}{more}"


class Rises(NamedTuple):
    """How many seeds' curves rise to a height, how many of these fall again, and the median of all highest points."""

    seeds: int
    risen: int
    fallen: int
    highest: float

    @property
    def fallen_share(self) -> Estimate:
        """The share of those that rose, with its interval."""
        return clopper_pearson(self.fallen, self.risen) if self.risen else UNKNOWN

    def __str__(self) -> str:
        text = f"{counted(self.risen, self.seeds)} seeds rise, the median seed to {shown(self.highest)} at its highest"
        return (
            f"{text}; {counted(self.fallen, self.risen)} of those that rose fall again." if self.risen else f"{text}."
        )


def rises(one: OfSetting, height: float) -> Rises:
    """Count the seeds whose curve rises to a height, and those of them that fall below half of their highest point."""
    curves = [np.array(run.curve["returns"], dtype=np.float64) for run in one.runs]
    risen = [curve for curve in curves if curve.size and curve.max() >= height]
    fallen = sum(curve[-1] < HALF * curve.max() for curve in risen)
    return Rises(
        len(curves), len(risen), int(fallen), float(np.median([curve.max(initial=-np.inf) for curve in curves]))
    )


def in_short(found: Sweep) -> str:
    """Say which changes keep seeds from falling, beyond chance, and which setting solves most."""
    as_is, *changed = (rises(one, HALF * goal(found)) for one in found.settings)
    kept = [
        f"{one.setting} ({change.fallen} of {change.risen})"
        for one, change in zip(found.settings[1:], changed, strict=True)
        if change.fallen_share.high < as_is.fallen_share.low
    ]
    solved = [statistics.solved or 0 for statistics in found.statistics]
    most = int(np.argmax(solved))
    return (
        f"In short: as it is, {as_is.fallen} of {as_is.risen} that rise fall again, and {solved[0]} of {as_is.seeds} "
        f"seeds solve. Beyond chance fewer fall with {'; '.join(kept) or 'none of the changes'}. Most seeds solve with "
        f"{found.settings[most].setting}: {solved[most]}."
    )


def among(found: Sweep, name: str, settings: Sequence[int]) -> str:
    """Name the values of a setting."""
    return ", ".join(shown_setting(found.settings[k].setting.values[name]) for k in settings) or "none"


class Pair(NamedTuple):
    """Two settings that differ in one value alone: what they share, and P(a seed of the second is better)."""

    shared: dict[str, Any]
    improvement: Estimate


def factor(found: Sweep, name: str, before: Any, after: Any) -> str:
    """Say in how many pairs that differ in one setting alone a value is better, and what that depends on."""
    shared = [{n: v for n, v in one.setting.values.items() if n != name} for one in found.settings]
    pairs = [
        Pair(shared[j], found.improvement(k, j))
        for j, first in enumerate(found.settings)
        for k, second in enumerate(found.settings)
        if first.setting.values[name] == before and second.setting.values[name] == after and shared[j] == shared[k]
    ]
    better = sum(pair.improvement.low > CHANCE for pair in pairs)
    worse = sum(pair.improvement.high < CHANCE for pair in pairs)
    return (
        f"{name} {shown_setting(after)} against {shown_setting(before)}, all else the same: better in {better} of "
        f"{len(pairs)} pairs, worse in {worse}, not to be told in the others; a seed is better with a probability of "
        f"{mean_improvement(pairs):.2f} on average{interaction(pairs)}."
    )


def mean_improvement(pairs: Sequence[Pair]) -> float:
    """Return the mean of the probabilities of improvement."""
    return sum(pair.improvement.value for pair in pairs) / len(pairs)


def interaction(pairs: Sequence[Pair]) -> str:
    """Say on which other setting the probability of improvement depends most, if that is much."""
    means = {
        name: {
            shown_setting(value): mean_improvement([pair for pair in pairs if pair.shared[name] == value])
            for value in dict.fromkeys(pair.shared[name] for pair in pairs)
        }
        for name in pairs[0].shared
    }
    spreads = {name: max(of_value.values()) - min(of_value.values()) for name, of_value in means.items()}
    most = max(spreads, key=lambda name: spreads[name], default=None)
    if most is None or spreads[most] < MUCH:
        return ""
    return f", which depends most on {most}: {', '.join(f'{mean:.2f} with {v}' for v, mean in means[most].items())}"
