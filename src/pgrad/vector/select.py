"""Which way to step N environments. Where several ways give the same rows, the fastest by measurement."""

import contextlib
import time
from collections.abc import Iterator, Sequence
from weakref import WeakKeyDictionary

import gymnasium
import numpy as np

from pgrad.errors import EnvError, nearest
from pgrad.system import available_cores
from pgrad.vector import VECTORIZATIONS, envpool
from pgrad.vector.autoreset import Autoreset
from pgrad.vector.masks import require_choices
from pgrad.vector.spec import Description, quietly
from pgrad.vector.step import Failure, Source
from pgrad.vector.sync import Group
from pgrad.vector.workers import Workers
from pgrad.watchdog import Watchdog

MEASURING_SECONDS = 0.2
ROUND_TRIP_SECONDS = 4e-4  # what a step of worker processes costs, whatever the environments do
ADVANTAGE = 1.2  # by which worker processes must win to be worth it
TRIAL = "tried with random actions, to measure its speed"
SHORT_SECONDS = 5.0  # what takes no longer is over before workers pay for their start

# Decisions that took measuring: {description: {(N, ...): (vectorization, why)}}
_decided: WeakKeyDictionary[Description, dict[tuple[int, int], tuple[str, str]]] = WeakKeyDictionary()


def chosen_source(
    description: Description,
    seeds: Sequence[int],
    vectorization: str,
    timeout: float | None,
    watchdog: Watchdog,
    num_steps: int | None = None,
) -> tuple[Source, str]:
    """A way of stepping one environment for each seed, about `num_steps` times (None: often), and a line for the user
    that says which, and why."""
    if vectorization not in VECTORIZATIONS:
        raise EnvError(f"unknown vectorization '{vectorization}': {nearest(vectorization, VECTORIZATIONS)}")
    if vectorization == "envpool" or (vectorization == "auto" and description.envpool):
        pool, why_not = envpool.source(description, seeds, _processes(len(seeds)))
        if pool is not None:
            return pool, "stepped by EnvPool"
        if vectorization == "envpool":
            raise EnvError(why_not or envpool.refusal(description))
    else:
        why_not = None
    if vectorization in ("auto", "gymnasium", "entry-point"):
        own, not_own = entry_point(description, seeds)
        if own is not None:
            return own, "stepped by its own vector form"
        if vectorization == "entry-point":
            reason = not_own or "has no vector form of its own"
            raise EnvError(f"'{description.name}' {reason}; 'sync' and 'async' step copies of it")
        why_not = "; ".join(filter(None, (why_not, not_own and f"it {not_own}, which is not used")))
    if vectorization in ("sync", "async"):
        source = _of_kind(vectorization, description, seeds, timeout, watchdog)
        return source, f"vectorization {vectorization}, as asked for"
    source, why = _measured(description, seeds, timeout, watchdog, num_steps)
    return source, "; ".join(line for line in (why, why_not) if line)


def entry_point(description: Description, seeds: Sequence[int]) -> tuple[Source | None, str | None]:
    """The environment's own vector form; without one that has the same spaces, None and, if there is one, why not."""
    spec = description.spec
    if spec is None or not description.by_id or spec.vector_entry_point is None:
        return None, None
    try:
        with quietly():
            envs = gymnasium.make_vec(spec, len(seeds), vectorization_mode="vector_entry_point")
    except Exception as error:
        return None, f"has a vector form that cannot be made ({type(error).__name__}: {error})"
    for kind, wanted, found in (
        ("observations", description.observations.original, envs.single_observation_space),
        ("actions", description.actions.original, envs.single_action_space),
    ):
        if wanted != found:  # Atari's stacks grey pictures, for example
            with contextlib.suppress(Exception):  # it is given up either way
                envs.close()
            return None, f"has a vector form with other {kind}, {found}"
    return Autoreset(envs, description.observations, description.actions, seeds[0]), None


def _of_kind(
    kind: str, description: Description, seeds: Sequence[int], timeout: float | None, watchdog: Watchdog
) -> Source:
    if kind == "sync":
        return Group(description, seeds, watchdog)
    return Workers(description, seeds, _processes(len(seeds)), timeout, watchdog)


def _processes(count: int) -> int:
    return min(count, available_cores())


def _measured(
    description: Description, seeds: Sequence[int], timeout: float | None, watchdog: Watchdog, num_steps: int | None
) -> tuple[Source, str]:
    """In this process or in workers. The seconds of one step decide, unless workers could win; then they are tried."""
    count, processes = len(seeds), _processes(len(seeds))
    if processes == 1:
        reason = "there is one environment" if count == 1 else "there is one core"
        return Group(description, seeds, watchdog), f"stepped in this process ({reason})"
    decided = _decided.setdefault(description, {})
    if (count, processes) in decided:
        kind, why = decided[count, processes]
        return _of_kind(kind, description, seeds, timeout, watchdog), why
    with _tried(seeds[0], watchdog):
        alone = seconds_per_step(Group(description, seeds[:1], watchdog), description) * count
    if ADVANTAGE * (alone / processes + ROUND_TRIP_SECONDS) > alone:
        kind, why = "sync", f"stepped in this process ({alone / count * 1e6:,.0f} µs a step: too short for workers)"
        decided[count, processes] = kind, why
        return _of_kind(kind, description, seeds, timeout, watchdog), why
    if num_steps is not None and alone * num_steps < SHORT_SECONDS:
        return Group(description, seeds, watchdog), "stepped in this process (not for long enough for workers)"
    try:
        workers = Workers(description, seeds, processes, timeout, watchdog)
        together = seconds_per_step(workers, description, keep=True)
    except (Failure, EnvError) as error:
        reason = error.what if isinstance(error, Failure) else str(error)
        why = f"stepped in this process (worker processes would be faster, but {reason})"
        decided[count, processes] = "sync", why
        return Group(description, seeds, watchdog), why
    rates = f"{count / together:,.0f} steps a second with {processes} workers, {count / alone:,.0f} without"
    if together * ADVANTAGE < alone:
        decided[count, processes] = "async", f"stepped in {processes} worker processes ({rates})"
        workers.rewind()
        return workers, decided[count, processes][1]
    workers.close()
    decided[count, processes] = "sync", f"stepped in this process ({rates})"
    return Group(description, seeds, watchdog), decided[count, processes][1]


@contextlib.contextmanager
def _tried(seed: int, watchdog: Watchdog) -> Iterator[None]:
    """Let what goes wrong meanwhile be told as something that happened in no step of a run."""
    with watchdog.elsewhere(lambda env: f"seed {seed}, {TRIAL}"):
        try:
            yield
        except Failure as failure:
            where = f"seed {seed}, {failure.where or TRIAL}"
            raise Failure(failure.what, None, failure.details, where) from failure


def seconds_per_step(source: Source, description: Description, keep: bool = False) -> float:
    """The median time of a step with random actions, tried for a moment."""
    random = np.random.default_rng(0)
    taken: list[float] = []
    try:
        obs, mask = source.reset()
        began = time.perf_counter()
        while len(taken) < 2 or (time.perf_counter() - began < MEASURING_SECONDS and len(taken) < 1000):
            require_choices(mask, description.actions.counts, np.ones(len(obs), np.bool_))
            action = description.actions.random(len(obs), random, mask)
            before = time.perf_counter()
            mask = source.step(action).mask
            taken.append(time.perf_counter() - before)
    except Failure as failure:
        failure.where, keep = f"step {len(taken)}, {TRIAL}", False
        raise
    except BaseException:
        keep = False
        raise
    finally:
        if not keep:
            source.close()
    return float(np.median(taken))
