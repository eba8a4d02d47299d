"""Choose the backend that steps N environments, by what is available: the same choice in every run."""

import contextlib
from collections.abc import Sequence

import gymnasium

from pgrad.errors import EnvError, nearest
from pgrad.system import available_cores
from pgrad.vector import VECTORIZATIONS, envpool
from pgrad.vector.autoreset import Autoreset
from pgrad.vector.spec import Description, quietly
from pgrad.vector.step import Backend
from pgrad.vector.sync import Group
from pgrad.vector.workers import Workers
from pgrad.watchdog import Watchdog

ROUND_TRIP_SECONDS = 1e-3  # overhead of a step in worker processes, on the safe side
ADVANTAGE = 1.5  # speed-up from which worker processes are worth recommending


def choose_backend(
    description: Description,
    seeds: Sequence[int],
    vectorization: str,
    timeout: float | None,
    watchdog: Watchdog,
    restarting: bool = False,
) -> tuple[Backend, str]:
    """Return a backend that steps one environment for each seed, and a line for the user that says which and why.

    With `restarting` it is one that puts fresh environments in the place of those that fail.
    """
    if vectorization not in VECTORIZATIONS:
        raise EnvError(f"unknown vectorization '{vectorization}': {nearest(vectorization, VECTORIZATIONS)}")
    if vectorization == "sync":
        return Group(description, seeds, watchdog, restarting), "stepped in this process, as requested"
    if vectorization == "async":
        workers = Workers(description, seeds, num_processes(len(seeds)), timeout, watchdog, restarting)
        return workers, f"stepped in {len(workers.envs.processes)} worker processes, as requested"
    if restarting:
        if vectorization != "auto":
            raise EnvError(f"'{vectorization}' cannot restart failed environments: 'sync' and 'async' can")
        return Group(description, seeds, watchdog, restarting), "stepped in this process, which can restart failed ones"
    why_not: list[str] = []
    if vectorization == "envpool" or (vectorization == "auto" and description.envpool):
        pool, reason = envpool.backend(description, seeds, num_processes(len(seeds)))
        if pool is not None:
            return pool, "stepped by EnvPool"
        if vectorization == "envpool":
            raise EnvError(reason or envpool.refusal(description))
        why_not += [reason] if reason else []
    if vectorization != "envpool":
        own, reason = entry_point(description, seeds)
        if own is not None:
            return own, "stepped by its own vector form"
        if vectorization == "entry-point":
            reason = reason or "has no vector form of its own"
            raise EnvError(f"'{description.name}' {reason}; 'sync' and 'async' step copies of it")
        why_not += [f"it {reason}, which is not used"] if reason else []
    return Group(description, seeds, watchdog), "; ".join(["stepped in this process", *why_not])


def entry_point(description: Description, seeds: Sequence[int]) -> tuple[Backend | None, str | None]:
    """Return the environment's own vector form if it has the same spaces; else None and, if it has one, why not."""
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
        if wanted != found:  # for example, Atari's vector form stacks grayscale frames
            with contextlib.suppress(Exception):  # it is discarded anyway
                envs.close()
            return None, f"has a vector form with other {kind}, {found}"
    return Autoreset(envs, description.observations, description.actions, seeds[0]), None


def workers_hint(seconds: float, count: int) -> str | None:
    """Return advice to use worker processes if a step of all `count` environments takes long enough to gain by it."""
    processes = num_processes(count)
    if ADVANTAGE * (seconds / processes + ROUND_TRIP_SECONDS) > seconds:
        return None
    return f"it takes {1e3 * seconds / count:.2g} ms a step: --vectorization async may be faster on {processes} cores"


def num_processes(count: int) -> int:
    """Return the number of processes, or EnvPool's threads, for `count` environments."""
    return min(count, available_cores())
