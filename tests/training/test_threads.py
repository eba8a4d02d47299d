"""One run on several threads: the same bits as on one."""

from typing import Any

import numpy as np
import pytest

from pgrad.config.resolve import resolve
from pgrad.envs.make import make
from pgrad.training import loops
from pgrad.training.callbacks import Callbacks
from pgrad.training.loops import most_workers, new_loop
from pgrad.training.seeds import SeedPool

RUNS: dict[str, dict[str, Any]] = {
    "fixed steps, lanes that fill no whole block": {"num_envs": 1_000, "num_steps": 11},
    "whole episodes, fewer and fewer lanes": {
        "algorithm": "reinforce",
        "num_envs": 300,
        "episodes_per_iteration": 400,
    },
    "minibatches": {"algorithm": "ppo", "num_envs": 256, "num_steps": 16, "num_minibatches": 3, "target_kl": 0.01},
    "a trust region": {"algorithm": "trpo", "num_envs": 256, "num_steps": 16},
    "continuous actions": {"env": "Pendulum-v1", "num_envs": 130, "num_steps": 30, "normalize_obs": True},
}


def trained(threads: int, env: str = "CartPole-v1", **settings: Any) -> Any:
    config = resolve(env, settings.pop("algorithm", None), {**settings, "total_steps": None, "num_iterations": 6})
    loop = new_loop(config, make(env), 0, threads=threads)
    while not loop.finished:
        loop.advance()
    assert loop.failure is None
    return loop


@pytest.mark.parametrize("name", RUNS)
def test_threads_change_no_bit(name: str) -> None:
    alone = trained(1, **RUNS[name])
    for threads in (2, 5):
        shared = trained(threads, **RUNS[name])
        assert shared.crew.workers > 1, "the run has work for several"
        np.testing.assert_array_equal(shared.history.metrics, alone.history.metrics)
        np.testing.assert_array_equal(shared.trained.policy.parameters, alone.trained.policy.parameters)
        if alone.trained.critic is not None:
            np.testing.assert_array_equal(shared.trained.critic.parameters, alone.trained.critic.parameters)


def test_small_runs_stay_on_one_thread() -> None:
    assert most_workers(lanes=4, samples=128) == 1
    assert most_workers(lanes=4, samples=2_048) == 4
    assert most_workers(lanes=1_024, samples=1_024) == 8


def test_an_environment_of_the_users_stays_on_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it raised on a helper's thread would be lost."""
    config, env = resolve("CartPole-v1", None, RUNS["fixed steps, lanes that fill no whole block"]), make("CartPole-v1")
    assert new_loop(config, env, 0, threads=4).crew.workers == 4  # type: ignore[attr-defined]
    monkeypatch.setattr(loops, "foreign_types", lambda env: (type(env),))
    assert new_loop(config, env, 0, threads=4).crew.workers == 1  # type: ignore[attr-defined]


@pytest.mark.parametrize(("seeds", "threads", "each"), [(1, 4, 4), (2, 4, 2), (3, 4, 1), (8, 4, 1)])
def test_threads_that_no_seed_needs_are_shared_out(seeds: int, threads: int, each: int) -> None:
    config = resolve("CartPole-v1", None, {"seeds": seeds, "total_steps": 100})
    env = make("CartPole-v1")
    pool = SeedPool(config, env, threads, None, None, {}, Callbacks(config, env, {}))
    try:
        assert pool.threads_each == each
    finally:
        pool.stop()
