"""Which way environments are stepped, why, and that it makes no difference to the rows."""

import os
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import cloudpickle
import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

import pgrad
from pgrad.errors import EnvError
from pgrad.vector import envpool, select
from pgrad.vector.make import describe
from pgrad.vector.vector_env import VectorEnv
from pgrad.watchdog import Watchdog

cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers cannot import what pytest has loaded


class Walk(gymnasium.Env[Any, Any]):
    """A random walk of 12 steps."""

    observation_space: spaces.Space[Any] = spaces.Box(-np.inf, np.inf, (3,))
    action_space: spaces.Space[Any] = spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.t = 0
        return self.np_random.standard_normal(3), {}

    def step(self, action: Any) -> Any:
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


def test_in_this_process_and_in_workers_the_rows_are_the_same() -> None:
    description = describe(Walk)
    chosen = VectorEnv(description, 5, seed=1)
    assert chosen.note == "Walk: stepped in this process"
    found = rows(chosen)
    for expected in (rows(VectorEnv(description, 5, 1, "sync")), rows(VectorEnv(description, 5, 1, "async"))):
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_array_equal(one, other)
    different = rows(VectorEnv(description, 5, 2, "sync"), 1)
    assert (different[0] != found[0]).all()
    assert np.unique(found[0]).size == 15, "every environment has a seed of its own"


class Timed(Walk):
    """Takes as long as it is told to by a clock that it sets."""

    def __init__(self, seconds: Callable[[], float], now: list[float]) -> None:
        self.seconds, self.now = seconds, now

    def step(self, action: Any) -> Any:
        self.now[0] += self.seconds()
        return super().step(action)


@pytest.mark.parametrize(
    ("milliseconds", "cores", "hint"),
    [
        (
            3.2,
            4,
            "Timed: stepped in this process; it takes 3.2 ms a step: --vectorization async may be faster on 4 cores",
        ),
        (
            3.2,
            64,
            "Timed: stepped in this process; it takes 3.2 ms a step: --vectorization async may be faster on 8 cores",
        ),
        (3.2, 1, "Timed: stepped in this process"),
        (0.02, 64, "Timed: stepped in this process"),
    ],
)
def test_workers_are_recommended_where_even_the_fastest_step_is_slow(
    milliseconds: float, cores: int, hint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(select, "available_cores", lambda: cores)
    now = [0.0]
    times = iter([1.0] * 8 * 4 + [milliseconds / 1e3] * 8 * 8)
    envs = VectorEnv(describe(lambda: Timed(lambda: next(times), now)), 8, 1, watchdog=Watchdog(lambda: now[0]))
    for _ in range(4):
        envs.step(np.zeros(8, np.int32))
    assert "ms a step" not in (envs.note or "")
    for _ in range(8):
        envs.step(np.zeros(8, np.int32))
    assert (envs.note or "").replace("<lambda>", "Timed") == hint


def test_nothing_is_recommended_to_who_has_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(select, "available_cores", lambda: 4)
    now = [0.0]
    envs = VectorEnv(describe(lambda: Timed(lambda: 1.0, now)), 8, 1, "sync", watchdog=Watchdog(lambda: now[0]))
    for _ in range(9):
        envs.step(np.zeros(8, np.int32))
    assert (envs.note or "").endswith(": stepped in this process, as requested")


def test_its_own_vector_form_comes_first() -> None:
    envs = VectorEnv(describe("CartPole-v1"), 2, seed=1)
    assert envs.note == "CartPole-v1: stepped by its own vector form"
    assert "as requested" in (VectorEnv(describe("CartPole-v1"), 2, 1, "sync").note or "")
    wrapped = VectorEnv(describe(gymnasium.make("CartPole-v1", sutton_barto_reward=True)), 2, seed=1)
    assert "vector form" not in (wrapped.note or "")


class Pool(ModuleType):
    """In the place of EnvPool, which has what Gymnasium has."""

    def list_all_envs(self) -> list[str]:
        return ["CartPole-v1", "Walk-v7"]

    def make_spec(self, env_id: str) -> Any:
        return describe(env_id)

    def make_gymnasium(self, env_id: str, num_envs: int, **_: Any) -> Any:
        return gymnasium.vector.SyncVectorEnv([describe(env_id).make] * num_envs)


def test_envpool_comes_first_and_gymnasium_is_the_same_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(envpool, "installed", lambda: Pool("envpool"))
    monkeypatch.setattr(envpool, "differs", lambda description, spec: None)
    assert VectorEnv(describe("CartPole-v1"), 2, 1).note == "CartPole-v1: stepped by EnvPool"
    assert VectorEnv(describe("CartPole-v1"), 2, 1, "envpool").note == "CartPole-v1: stepped by EnvPool"
    assert VectorEnv(describe("CartPole-v1"), 2, 1, "gymnasium").note == "CartPole-v1: stepped by its own vector form"
    assert envpool.backend(describe("Acrobot-v1"), [1], 1) == (None, None)
    assert envpool.backend(describe(Walk), [1], 1) == (None, None)
    monkeypatch.setattr(envpool, "differs", lambda description, spec: "it is blue")
    assert "'CartPole-v1' is another one: it is blue" in (envpool.backend(describe("CartPole-v1"), [1], 1)[1] or "")


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, "by EnvPool"),
        ({"backend": "gymnasium"}, "in this process"),
        ({"backend": "gymnasium", "vectorization": "envpool"}, "by EnvPool"),
    ],
)
def test_backend_gymnasium_steps_gymnasiums_own(
    settings: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(envpool, "installed", lambda: Pool("envpool"))
    monkeypatch.setattr(envpool, "differs", lambda description, spec: None)
    spec = gymnasium.envs.registration.EnvSpec("Walk-v7", Walk)
    monkeypatch.setitem(gymnasium.registry, "Walk-v7", spec)
    notes: set[str] = set()
    pgrad.train(
        "Walk-v7",
        preset="none",
        seeds=1,
        total_steps=64,
        num_envs=2,
        num_steps=32,
        evaluation_episodes=0,
        progress=lambda snapshot: notes.update(snapshot.notes),
        **settings,
    )
    assert notes == {f"Walk-v7: stepped {expected}"}


@pytest.mark.parametrize(
    ("env", "vectorization", "message"),
    [
        ("Taxi", "Sync", "unknown vectorization 'Sync': did you mean 'sync'?"),
        ("Taxi", "entry-point", r"'Taxi-v\d' has no vector form of its own"),
        ("Taxi", "envpool", "EnvPool is not installed: pip install 'pgrad"),
        (Walk, "envpool", "given by their id, not this Walk"),
        ("Acrobot-v1", "envpool", "pip install 'pgrad"),
    ],
)
def test_what_cannot_be_had_is_said(env: Any, vectorization: str, message: str) -> None:
    with pytest.raises(EnvError, match=message):
        VectorEnv(describe(env), 2, 1, vectorization)


def unpicklable() -> Any:
    import threading

    lock = threading.Lock()

    def factory() -> Walk:
        with lock:
            return Walk()

    return factory


def unloadable() -> Any:
    """In a module that the workers cannot import."""
    namespace = sys.modules["only_here"] = ModuleType("only_here")
    exec(  # as a plugin loader would
        "from gymnasium.envs.classic_control import CartPoleEnv\nclass Here(CartPoleEnv): pass\n", vars(namespace)
    )
    return namespace.Here


@pytest.mark.parametrize(
    ("factory", "reason"),
    [
        (unpicklable, "cannot be sent to worker processes .*lock"),
        (unloadable, "cannot be loaded in a worker process: ModuleNotFoundError: No module named 'only_here'"),
    ],
)
def test_what_cannot_go_to_workers_is_named(
    factory: Callable[[], Any], reason: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "only_here", ModuleType("only_here"))  # restored afterwards
    with pytest.raises(EnvError, match=reason):
        VectorEnv(describe(factory()), 4, 1, "async")
    assert capfd.readouterr() == ("", "")


def test_threads_keep_a_core_each_where_all_cores_are_theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    for available, threads, expected in ((4, 4, {"thread_affinity_offset": 0}), (4, 3, {}), (2, 2, {})):
        monkeypatch.setattr(envpool, "available_cores", lambda available=available: available)
        assert envpool.pinned(threads) == expected


def test_no_more_processes_than_environments_or_cores() -> None:
    assert select.num_processes(1) == 1
    assert select.num_processes(10_000) <= (os.cpu_count() or 1)


class Doubled(gymnasium.vector.SyncVectorEnv):
    """A vector form whose observations are those of two steps together, as Atari's stack four frames."""

    def __init__(self, num_envs: int, **_: Any) -> None:
        super().__init__([Walk] * num_envs)
        self.single_observation_space = spaces.Box(-np.inf, np.inf, (2, 3))


def test_a_vector_form_that_shows_something_else_is_not_used() -> None:
    gymnasium.register("Doubled-v0", Walk, vector_entry_point=Doubled)
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

    gymnasium.register("Unmakable-v0", Walk, vector_entry_point=unmakable)
    try:
        note = VectorEnv(describe("Unmakable-v0"), 1, seed=1).note or ""
        assert "in this process" in note
        assert "it has a vector form that cannot be made (OSError: no licence for 1), which is not used" in note
        with pytest.raises(EnvError, match=r"that cannot be made \(OSError: no licence for 1\); 'sync' and 'async'"):
            VectorEnv(describe("Unmakable-v0"), 1, 1, "entry-point")
    finally:
        del gymnasium.registry["Unmakable-v0"]
