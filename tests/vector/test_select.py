"""Which way environments are stepped, why, and that it makes no difference to the rows."""

import os
import re
import sys
import time
from contextlib import closing
from typing import Any

import cloudpickle
import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from pgrad.errors import EnvError
from pgrad.vector import envpool
from pgrad.vector import select as choice
from pgrad.vector.make import describe
from pgrad.vector.vector_env import VectorEnv
from pgrad.watchdog import Watchdog

cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers cannot import what pytest has loaded

TWO_CORES = pytest.mark.skipif(choice._processes(9) < 2, reason="one core: no worker could win")


class Sleeping(gymnasium.Env[Any, Any]):
    """A random walk of 12 steps, 4 ms each."""

    observation_space: spaces.Space[Any] = spaces.Box(-np.inf, np.inf, (3,))
    action_space: spaces.Space[Any] = spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.t = 0
        return self.np_random.standard_normal(3), {}

    def step(self, action: Any) -> Any:
        time.sleep(4e-3)
        self.t += 1
        return self.np_random.standard_normal(3), float(action), False, self.t == 12, {}


@pytest.fixture(autouse=True)
def without_envpool(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(envpool, "installed", lambda: None)


def rows(envs: VectorEnv, steps: int = 20) -> list[Any]:
    random, seen = np.random.default_rng(0), [envs.obs]
    for _ in range(steps):
        seen += [*envs.step(random.integers(0, 2, envs.num_envs).astype(np.int32)), envs.obs]
    envs.close()
    return seen


@TWO_CORES
def test_slow_environments_are_measured_into_workers_with_the_same_rows() -> None:
    description = describe(Sleeping)
    envs = VectorEnv(description, 5, seed=1)
    assert envs.note is not None
    assert "worker processes (" in envs.note
    assert "steps a second" in envs.note
    found = rows(envs)
    for expected in (rows(VectorEnv(description, 5, 1, "sync")), rows(VectorEnv(description, 5, 1, "async"))):
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_array_equal(one, other)
    different = rows(VectorEnv(description, 5, 2, "sync"), 1)
    assert (different[0] != found[0]).all()
    assert np.unique(found[0]).size == 15, "every environment has a seed of its own"


def test_fast_environments_stay_in_this_process_and_are_measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    description = describe("Acrobot-v1")
    envs = VectorEnv(description, 2, seed=1)
    assert envs.note is not None
    assert "in this process" in envs.note
    assert "µs a step: too short for workers" in envs.note
    assert "EnvPool would be faster: pip install 'pgrad[envpool]'" in envs.note
    monkeypatch.setattr(choice, "seconds_per_step", None)
    again = VectorEnv(description, 2, seed=1)
    assert again.note == envs.note
    np.testing.assert_array_equal(again.obs, envs.obs)


class Strict(Sleeping):
    """Allows one action only, and raises at the other."""

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        obs, _ = super().reset(seed=seed)
        return obs, {"action_mask": np.arange(2) == self.t % 2}

    def step(self, action: Any) -> Any:
        if action != self.t % 2:
            raise ValueError("an illegal move")
        return *super().step(action)[:4], {"action_mask": np.arange(2) == self.t % 2}


def test_measuring_keeps_to_the_rules() -> None:
    envs = VectorEnv(describe(Strict), 4, seed=1)
    assert "illegal" not in (envs.note or "")
    assert envs.mask is not None
    envs.step(envs.mask.argmax(axis=1).astype(np.int32))
    envs.close()


def test_its_own_vector_form_comes_first() -> None:
    envs = VectorEnv(describe("CartPole-v1"), 2, seed=1)
    assert envs.note == "CartPole-v1: stepped by its own vector form"
    assert "as asked for" in (VectorEnv(describe("CartPole-v1"), 2, 1, "sync").note or "")
    wrapped = VectorEnv(describe(gymnasium.make("CartPole-v1", sutton_barto_reward=True)), 2, seed=1)
    assert "vector form" not in (wrapped.note or "")


def test_envpool_is_recommended_only_where_it_would_have_the_environment() -> None:
    assert envpool.source(describe("Acrobot-v1"), [1], 1)[1] == "EnvPool would be faster: pip install 'pgrad[envpool]'"
    assert envpool.source(describe("Taxi"), [1], 1) == (None, None)
    assert envpool.source(describe(Sleeping), [1], 1) == (None, None)


@pytest.mark.parametrize(
    ("env", "vectorization", "message"),
    [
        ("Taxi", "Sync", "unknown vectorization 'Sync': did you mean 'sync'?"),
        ("Taxi", "entry-point", r"'Taxi-v\d' has no vector form of its own"),
        ("Taxi", "envpool", "EnvPool is not installed: pip install 'pgrad"),
        (Sleeping, "envpool", "given by their id, not this Sleeping"),
        ("Acrobot-v1", "envpool", "pip install 'pgrad"),
    ],
)
def test_what_cannot_be_had_is_said(env: Any, vectorization: str, message: str) -> None:
    with pytest.raises(EnvError, match=message):
        VectorEnv(describe(env), 2, 1, vectorization)


def unpicklable() -> Any:
    import threading

    lock = threading.Lock()

    def factory() -> Sleeping:
        with lock:
            return Sleeping()

    return factory


def unloadable() -> Any:
    """In a module that the workers cannot import."""
    namespace = type(sys)("only_here")
    sys.modules["only_here"] = namespace
    exec(  # as a plugin loader would
        "from gymnasium.envs.classic_control import CartPoleEnv\nimport time\n"
        "class Here(CartPoleEnv):\n"
        "    def step(self, action):\n        time.sleep(4e-3)\n        return super().step(action)\n",
        vars(namespace),
    )
    return namespace.Here


@TWO_CORES
@pytest.mark.parametrize(
    ("factory", "reason"),
    [
        (unpicklable(), "cannot be sent to worker processes .*lock"),
        (unloadable(), "cannot be loaded in a worker process: ModuleNotFoundError: No module named 'only_here'"),
    ],
)
def test_what_cannot_go_to_workers_stays_here(factory: Any, reason: str, capfd: pytest.CaptureFixture[str]) -> None:
    description = describe(factory)
    envs = VectorEnv(description, 4, seed=1)
    import re

    assert re.search(f"in this process .*worker processes would be faster, but .*{reason}", envs.note or "")
    envs.close()
    with pytest.raises(EnvError, match=reason):
        VectorEnv(description, 4, 1, "async")
    assert capfd.readouterr() == ("", "")


def test_one_environment_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "seconds_per_step", None)
    assert "in this process (there is one environment)" in (VectorEnv(describe(Sleeping), 1, 1).note or "")
    monkeypatch.setattr(choice, "_processes", lambda count: 1)
    assert "in this process (there is one core)" in (VectorEnv(describe(Sleeping), 2, 1).note or "")


def test_threads_keep_a_core_each_where_all_cores_are_theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    for available, threads, expected in ((4, 4, {"thread_affinity_offset": 0}), (4, 3, {}), (2, 2, {})):
        monkeypatch.setattr(envpool, "available_cores", lambda available=available: available)
        assert envpool.pinned(threads) == expected


def test_no_more_processes_than_environments_or_cores() -> None:
    assert choice._processes(1) == 1
    assert choice._processes(10_000) <= (os.cpu_count() or 1)


class Doubled(gymnasium.vector.SyncVectorEnv):
    """A vector form whose observations are those of two steps together, as Atari's stack four pictures."""

    def __init__(self, num_envs: int, **_: Any) -> None:
        super().__init__([Sleeping] * num_envs)
        self.single_observation_space = spaces.Box(-np.inf, np.inf, (2, 3))


def test_a_vector_form_that_shows_something_else_is_not_used() -> None:
    gymnasium.register("Doubled-v0", Sleeping, vector_entry_point=Doubled)
    try:
        envs = VectorEnv(describe("Doubled-v0"), 1, seed=1)
        assert envs.obs.shape == (1, 3)
        assert "in this process" in (envs.note or "")
        assert "it has a vector form with other observations, Box(-inf, inf, (2, 3), float32)" in (envs.note or "")
        with pytest.raises(EnvError, match=r"'Doubled-v0' has a vector form with other observations.*'sync'"):
            VectorEnv(describe("Doubled-v0"), 1, 1, "entry-point")
    finally:
        del gymnasium.registry["Doubled-v0"]


def test_a_vector_form_that_cannot_be_made_is_not_used() -> None:
    def unmakable(num_envs: int) -> Any:
        raise OSError(f"no licence for {num_envs}")

    gymnasium.register("Unmakable-v0", Sleeping, vector_entry_point=unmakable)
    try:
        note = VectorEnv(describe("Unmakable-v0"), 1, seed=1).note or ""
        assert "in this process" in note
        assert "it has a vector form that cannot be made (OSError: no licence for 1), which is not used" in note
        with pytest.raises(EnvError, match=r"that cannot be made \(OSError: no licence for 1\); 'sync' and 'async'"):
            VectorEnv(describe("Unmakable-v0"), 1, 1, "entry-point")
    finally:
        del gymnasium.registry["Unmakable-v0"]


class Exploding(Sleeping):
    def step(self, action: Any) -> Any:
        if self.t == 5:
            raise RuntimeError("boom")
        return super().step(action)


class Stuck(Strict):
    def step(self, action: Any) -> Any:
        return *super().step(action)[:4], {"action_mask": np.zeros(2, np.bool_)}


@TWO_CORES
@pytest.mark.parametrize(
    ("env", "what"),
    [(Exploding, r"raised in step\(\): RuntimeError: boom"), (Stuck, r"allows none of the 2 choices")],
)
def test_what_fails_while_it_is_measured_is_told_with_its_seed_and_step(env: Any, what: str) -> None:
    with pytest.raises(EnvError, match=rf"{what}.* \(seed \d+, step \d, tried with random actions, to meas") as caught:
        VectorEnv(describe(env), 2, 1)
    assert "of the run" not in str(caught.value)
    assert ("Traceback" in str(caught.value)) == (env is Exploding)


@TWO_CORES
def test_whoever_watches_is_told_where_it_hangs() -> None:
    watchdog, told = Watchdog(), []

    class Watched(Sleeping):
        def step(self, action: Any) -> Any:
            told.append(hanging(watchdog))
            return super().step(action)

    VectorEnv(describe(Watched), 2, 1, watchdog=watchdog).close()
    assert re.match(r"step\(\) of 'Watched' .* \(seed \d+, tried with random actions, to measure its speed\)", told[0])
    tried = len(told)
    with closing(VectorEnv(describe(Watched), 2, 1, "sync", watchdog=watchdog)) as envs:
        envs.step(np.zeros(2, np.int64))
        envs.step(np.zeros(2, np.int64))
    assert re.match(r"step\(\) of 'Watched' .* \(environment 0, seed \d+, episode 0, step 0; step 0 of", told[tried])
    assert re.match(r"step\(\) of 'Watched' .* \(environment 1, seed \d+, episode 0, step 1; step 2 of", told[-1])


def hanging(watchdog: Watchdog) -> str:
    """What a watcher says that has no patience."""
    with pytest.raises(EnvError) as caught:
        watchdog.check(-1.0)
    return str(caught.value)
