"""Whatever an environment does wrong is said in one message: what, where, and the way out."""

import itertools
import linecache
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import cloudpickle
import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv

from pgrad.errors import EnvError
from pgrad.vector import select
from pgrad.vector.autoreset import Autoreset
from pgrad.vector.make import describe
from pgrad.vector.step import EnvFailure
from pgrad.vector.vector_env import VectorEnv, env_seed
from pgrad.watchdog import Watchdog, watched

cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers cannot import what pytest has loaded

SEED = 11
BAD = 2  # the environment that misbehaves, of three
SYNC_AND_ASYNC = pytest.mark.parametrize("vectorization", ["sync", "async"])


class Counter(gymnasium.Env[Any, Any]):
    """Counts its steps, ends after four. `self.bad` is whether it is the one to misbehave, in its second episode."""

    observation_space: spaces.Space[Any] = spaces.Box(0, 100, (2,), np.float32)
    action_space: spaces.Space[Any] = spaces.Discrete(2)

    def __init__(self) -> None:
        self.steps, self.episodes, self.bad = 0, 0, False

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        if seed is not None:
            self.bad = seed == env_seed(SEED, BAD)
        self.steps, self.episodes = 0, self.episodes + 1
        return self.obs(), {}

    def step(self, action: Any) -> Any:
        self.steps += 1
        return self.obs(), 1.0, self.steps == 4, False, {}

    def obs(self) -> Any:
        return np.array([self.steps, self.episodes], np.float32)

    @property
    def now(self) -> bool:
        return self.bad and self.episodes == 2 and self.steps == 3


class Returning(Counter):
    """In the wrong moment, step() returns what `change` makes of it."""

    def __init__(self, change: Callable[..., Any]) -> None:
        super().__init__()
        self.change = change

    def step(self, action: Any) -> Any:
        returned = super().step(action)
        return self.change(*returned) if self.now else returned


@contextmanager
def stepping(make: Any, vectorization: str = "sync", **options: Any) -> Iterator[VectorEnv]:
    envs = VectorEnv(describe(make), 3, SEED, vectorization, **options)
    try:
        yield envs
    finally:
        envs.close()


def message_of(make: Callable[[], Any], vectorization: str = "sync", **options: Any) -> str:
    """The message of the EnvError that stepping these environments ends in."""
    with pytest.raises(EnvError) as caught, stepping(make, vectorization, **options) as envs:
        for _ in range(12):
            envs.step(np.zeros(3, np.int32))
    return str(caught.value)


WHERE = f"(environment {BAD}, seed {env_seed(SEED, BAD)}, episode 1, step 2; step 18 of the run)"


WRONG: list[tuple[Any, str]] = [
    (lambda o, r, te, tr, i: (o * np.nan, r, te, tr, i), "observation[0] is nan"),
    (lambda o, r, te, tr, i: (np.array([1, np.inf]), r, te, tr, i), "observation[1] is inf"),
    (lambda o, r, te, tr, i: (np.array([1, 1e60]), r, te, tr, i), "observation[1] is inf"),
    (lambda o, r, te, tr, i: (np.zeros(3), r, te, tr, i), "observation has shape (3,), expected (2,)"),
    (lambda o, r, te, tr, i: (o, -np.inf, te, tr, i), "the reward is -inf"),
    (lambda o, r, te, tr, i: (o, "1.5", te, tr, i), "the reward is '1.5' (str), expected a number"),
    (lambda o, r, te, tr, i: (o, None, te, tr, i), "the reward is None (NoneType), expected a number"),
    (lambda o, r, te, tr, i: (o, np.ones(2), te, tr, i), "the reward is [1. 1.] (ndarray), expected a number"),
    (lambda o, r, te, tr, i: (o, r, 2, tr, i), "terminated is 2 (int), expected True or False"),
    (lambda o, r, te, tr, i: (o, r, te, "no", i), "truncated is 'no' (str), expected True or False"),
    (lambda o, r, te, tr, i: (o, r, te, {}), "step() returned a tuple of 4, expected (obs, reward, terminated,"),
    (lambda o, r, te, tr, i: None, "step() returned None (NoneType), expected"),
    (lambda o, r, te, tr, i: (o, r, te, tr, {"action_mask": [0, 0]}), "info['action_mask'] allows none of the 2"),
    (lambda o, r, te, tr, i: (o, r, te, tr, {"action_mask": [1]}), "info['action_mask'] has 1 entries, expected 2"),
]


def check_what_step_must_not_return(vectorization: str, change: Any, what: str) -> None:
    message = message_of(lambda: Returning(change), vectorization)
    assert message.startswith("'Returning': ")
    assert what in message
    assert WHERE in message


@pytest.mark.parametrize(("change", "what"), WRONG)
def test_what_step_must_not_return(change: Any, what: str) -> None:
    check_what_step_must_not_return("sync", change, what)


@pytest.mark.parametrize(("change", "what"), [WRONG[0], WRONG[3], WRONG[8]])
def test_what_step_must_not_return_in_a_worker(change: Any, what: str) -> None:
    check_what_step_must_not_return("async", change, what)


class RaisingInStep(Counter):
    def step(self, action: Any) -> Any:
        returned = super().step(action)
        if self.now:
            raise ZeroDivisionError("the cart has no mass")
        return returned


class RaisingInReset(Counter):
    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        returned = super().reset(seed=seed)
        if self.bad and self.episodes == 2:
            raise KeyError("level")
        return returned


class Exiting(Counter):
    def step(self, action: Any) -> Any:
        if self.now:
            raise SystemExit(4)
        return super().step(action)


@SYNC_AND_ASYNC
def test_an_environment_that_raises_is_named_with_its_traceback_below(vectorization: str) -> None:
    message = message_of(RaisingInStep, vectorization)
    first, _, trace = message.partition("\n\n")
    assert first == f"'RaisingInStep': raised in step(): ZeroDivisionError: the cart has no mass {WHERE}"
    assert trace.startswith("Traceback (most recent call last):")
    assert 'raise ZeroDivisionError("the cart has no mass")' in trace
    assert "sync.py" not in trace, "it begins in the environment"
    message = message_of(RaisingInReset, vectorization)
    assert message.startswith("'RaisingInReset': raised in reset(): KeyError: 'level' (environment 2, seed ")
    assert "in reset" in message.partition("\n\n")[2]
    assert "raised in step(): SystemExit: 4" in message_of(Exiting, vectorization)


NOTEBOOK_CELL = """
class InACell(Counter):
    def step(self, action):
        raise ZeroDivisionError(self.steps)  # as in a notebook
"""


def test_a_worker_shows_lines_that_are_in_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = NOTEBOOK_CELL.splitlines(keepends=True)
    monkeypatch.setitem(linecache.cache, "<cell 7>", (len(NOTEBOOK_CELL), None, lines, "<cell 7>"))
    namespace: dict[str, Any] = {"Counter": Counter, "__name__": "__main__"}
    exec(compile(NOTEBOOK_CELL, "<cell 7>", "exec"), namespace)
    trace = message_of(namespace["InACell"], "async").partition("\n\n")[2]
    assert 'File "<cell 7>", line 4, in step\n    raise ZeroDivisionError(self.steps)  # as in a notebook' in trace


@SYNC_AND_ASYNC
def test_what_reset_must_not_return_and_how_making_fails(vectorization: str) -> None:
    class OldReset(Counter):
        def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
            return super().reset(seed=seed)[0]

    message = message_of(OldReset, vectorization)
    assert "reset() returned [0. 1.] (ndarray), expected (obs, info)" in message
    made = []

    class Growing(Counter):
        def __init__(self) -> None:
            super().__init__()
            made.append(1)
            self.observation_space = spaces.Box(0, 100, (1 + len(made),))

    assert "copies have different spaces" in message_of(Growing, vectorization)


def test_a_factory_that_fails_later_is_named() -> None:
    made = []

    def factory() -> Counter:
        made.append(1)
        if len(made) > 2:
            raise OSError("port 1 is in use")
        return Counter()

    message = message_of(factory)
    assert "the factory factory raised OSError: port 1 is in use (environment 1," in message
    assert 'raise OSError("port 1 is in use")' in message


def test_a_factory_that_gives_the_same_environment_again_is_an_error() -> None:
    """Two rows of it would be one episode, stepped twice."""
    only = Counter()
    with pytest.raises(
        EnvError, match=r"returned the same environment twice, expected a new one .*\(environment 1, seed"
    ):
        VectorEnv(describe(lambda: only), 2, 0, "sync")


def test_what_was_made_before_one_cannot_be_is_closed() -> None:
    class Numbered(Counter):
        made, closed = 0, 0

        def __init__(self) -> None:
            super().__init__()
            Numbered.made += 1
            if Numbered.made == 4:
                raise OSError("no port left")

        def close(self) -> None:
            Numbered.closed += 1

    with pytest.raises(EnvError, match="no port left"):
        VectorEnv(describe(Numbered), 3, 0, "sync")
    assert Numbered.closed == 3


class BeginningBadly(Counter):
    def obs(self) -> Any:
        return super().obs() * (np.nan if self.bad and self.episodes == self.first_bad and self.steps == 0 else 1)


@pytest.mark.parametrize("first_bad", [1, 2, 3])
def test_a_first_observation_that_is_no_number(first_bad: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BeginningBadly, "first_bad", first_bad, raising=False)
    assert f"observation[0] is nan (environment {BAD}, " in message_of(BeginningBadly)


class Outside(Counter):
    observation_space = spaces.Discrete(5)

    def obs(self) -> Any:
        return 5 if self.now else self.steps


def test_an_observation_outside_a_discrete_space_is_an_error() -> None:
    assert f"observation is [5], outside its space Discrete(5) (environment {BAD}" in message_of(Outside)


class Leaving(Counter):
    def obs(self) -> Any:
        return np.array([self.steps, 101 * self.episodes])  # float64, too


@SYNC_AND_ASYNC
def test_an_observation_outside_a_box_is_mentioned_once_and_training_goes_on(vectorization: str) -> None:
    with stepping(Leaving, vectorization) as envs:
        for _ in range(9):
            envs.step(np.zeros(3, np.int32))
        assert envs.note is not None
        assert envs.note.count("outside its space [0, 100]") == 1
        assert "observation[1] was 101" in envs.note
        assert envs.obs.dtype == np.float32
    with stepping(Counter, vectorization) as envs:
        assert "outside" not in (envs.note or "")


class Dying(Counter):
    def __init__(self, how: Callable[[], None]) -> None:
        super().__init__()
        self.how = how

    def step(self, action: Any) -> Any:
        if self.now:
            self.how()
        return super().step(action)


@pytest.mark.parametrize(
    ("how", "said"),
    [(lambda: os._exit(7), "exited with code 7"), (lambda: os.kill(os.getpid(), signal.SIGSEGV), "signal SIGSEGV")],
)
def test_a_worker_that_dies_is_named(how: Any, said: str, capfd: pytest.CaptureFixture[str]) -> None:
    message = message_of(lambda: Dying(how), "async")
    assert message.startswith("'Dying': the worker process of environment")
    assert said in message
    assert "in step()" in message
    assert not left_over()
    assert capfd.readouterr() == ("", "")


def test_a_worker_that_hangs_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(select, "available_cores", lambda: 3)
    envs = VectorEnv(describe(lambda: Dying(lambda: time.sleep(1e6))), 3, SEED, "async")
    for _ in range(7):
        envs.step(np.zeros(3, np.int32))
    backend: Any = envs._backend
    backend.timeout = 2.0  # for the step that hangs only
    with pytest.raises(
        EnvError, match=rf"process of environment {BAD} has not returned from step\(\) after 2 s; .*step_ti"
    ):
        envs.step(np.zeros(3, np.int32))
    assert not left_over()


def left_over() -> list[Any]:
    """Worker processes of this one that still run."""
    import multiprocessing

    return [process for process in multiprocessing.active_children() if "AsyncVectorEnv" in process.name]


def test_failing_and_closing_workers_is_silent_and_leaves_no_process(capfd: pytest.CaptureFixture[str]) -> None:
    message_of(RaisingInStep, "async")
    with stepping(Counter, "async") as envs:
        assert left_over()
        envs.step(np.zeros(3, np.int32))
    envs.close()
    assert not left_over()
    assert capfd.readouterr() == ("", "")


def test_workers_are_let_go_when_one_fails_and_leave_ctrl_c_to_the_main_process() -> None:
    envs = VectorEnv(describe(RaisingInStep), 3, SEED, "async")
    for process in left_over():
        os.kill(process.pid, signal.SIGINT)
    with pytest.raises(EnvError, match="the cart has no mass"):
        for _ in range(12):
            envs.step(np.zeros(3, np.int32))
    assert not left_over()


def test_a_hang_in_this_process_is_noticed_from_outside() -> None:
    now, release = [0.0], threading.Event()
    watchdog = Watchdog(lambda: now[0])

    def hang() -> None:
        now[0] += 61.0
        release.wait()

    description = describe(lambda: Dying(hang))

    def run() -> None:
        envs = VectorEnv(description, 3, SEED, "sync", watchdog=watchdog)
        assert watchdog.since is None
        for _ in range(12):
            envs.step(np.zeros(3, np.int32))

    with pytest.raises(EnvError, match=r"step\(\) of '.*' has not returned after 60 s \(environment 2, seed"):
        watched(run, watchdog, 60.0)
    release.set()


@pytest.mark.parametrize("call", ["reset_wait", "step_wait"])
def test_workers_watch_their_own_time(call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their message is the better one: it says which."""
    watchdog = Watchdog(itertools.count(0.0, 1000.0).__next__)  # every look at it is 1000 s later
    theirs, looked = getattr(AsyncVectorEnv, call), []

    def wait(*arguments: Any, **options: Any) -> Any:
        looked.append(watchdog.check(60.0))
        return theirs(*arguments, **options)

    monkeypatch.setattr(AsyncVectorEnv, call, wait)
    with stepping(Counter, "async", watchdog=watchdog) as envs:
        envs.step(np.zeros(3, np.int32))
    assert looked


def test_many_slow_environments_are_no_hang() -> None:
    now = [0.0]
    watchdog = Watchdog(lambda: now[0])

    class SlowToBegin(Counter):
        def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
            now[0] += 40.0
            watchdog.check(60.0)
            return super().reset(seed=seed)

    with stepping(SlowToBegin, watchdog=watchdog):
        assert now == [120.0]


class Reusing(Counter):
    """Returns the same float64 array every time."""

    def __init__(self) -> None:
        super().__init__()
        self.array = np.zeros(2)

    def obs(self) -> Any:
        self.array[:] = self.steps, self.episodes
        return self.array


@SYNC_AND_ASYNC
def test_arrays_that_environments_reuse_are_not_handed_on(vectorization: str) -> None:
    with stepping(Reusing, vectorization) as envs:
        kept = [envs.obs]
        for t in range(6):
            after = envs.step(np.zeros(3, np.int32)).after
            np.testing.assert_array_equal(after[0], [t % 4 + 1, t // 4 + 1])
            kept.append(envs.obs)
        np.testing.assert_array_equal([obs[0, 0] for obs in kept], [0, 1, 2, 3, 0, 1, 2])


class Masking(Counter):
    """Allows action 0 at even steps and action 1 at odd ones; nothing where it has ended; says nothing in between."""

    action_space = spaces.MultiDiscrete([2, 2])

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        return super().reset(seed=seed)[0], self.info()

    def step(self, action: Any) -> Any:
        obs, reward, terminated, truncated, _ = super().step(action)
        return obs, reward, terminated, truncated, self.info()

    def info(self) -> dict[str, Any]:
        if self.steps == 4:
            return {"action_mask": (np.zeros(2), np.zeros(2))}
        if self.steps == 3:
            return {}
        return {"action_mask": (np.array([1, 1]), np.arange(2) == self.steps % 2)}


@pytest.mark.parametrize("mode", [*AutoresetMode, "sync", "async"], ids=str)
def test_the_mask_is_of_the_state_to_act_in(mode: Any) -> None:
    if isinstance(mode, str):
        source: Any = None
        envs: Any = VectorEnv(describe(Masking), 3, SEED, mode)
    else:
        description = describe(Masking)
        source = Autoreset(
            SyncVectorEnv([Masking] * 3, autoreset_mode=mode), description.observations, description.actions, 0
        )
        envs = source.reset()
    for _ in range(13):
        obs, mask, resetting = envs.obs, envs.mask, getattr(envs, "resetting", np.zeros(3, bool))
        for n in range(3):
            steps = int(obs[n, 0])
            expected = [1, 1, 1, 1] if resetting[n] or steps == 3 else [1, 1, steps % 2 == 0, steps % 2 == 1]
            found = np.ones(4, bool) if mask is None and source is not None else mask[n]
            np.testing.assert_array_equal(found, np.asarray(expected, bool))
        if source is None:
            envs.step(np.zeros((3, 2), np.int32))
        else:
            envs = source.step(np.zeros((3, 2), np.int32))
    if source is None:
        envs.close()


def test_taxis_mask_is_gymnasiums() -> None:
    with stepping("Taxi") as envs:
        random, checked = np.random.default_rng(0), 0
        taxi: Any = describe("Taxi").make().unwrapped
        for _ in range(450):  # beyond a time limit
            assert envs.mask is not None
            for n in range(3):
                np.testing.assert_array_equal(envs.mask[n], taxi.action_mask(int(envs.obs[n].argmax())).astype(bool))
                checked += not envs.mask[n].all()
            envs.step(random.integers(0, 6, 3).astype(np.int32))
        assert checked > 100


class Lying(SyncVectorEnv):
    """A vector environment that returns something wrong."""

    def __init__(self, **wrong: Any) -> None:
        super().__init__([Counter] * 3, autoreset_mode=wrong.pop("mode", AutoresetMode.NEXT_STEP))
        self.wrong = wrong

    def step(self, actions: Any) -> Any:
        names = ("obs", "reward", "terminated", "truncated", "info")
        return tuple(self.wrong.get(name, value) for name, value in zip(names, super().step(actions), strict=True))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"obs": np.zeros((3, 4))}, r"observation has shape \(4,\), expected \(2,\)"),
        ({"obs": np.zeros((2, 2))}, r"shape"),
        ({"reward": np.zeros(2)}, r"reward is float64 of shape \(2,\), expected \(3,\) numbers"),
        ({"reward": np.array(["a", "b", "c"])}, "reward is <U1"),
        ({"terminated": np.zeros(3)}, r"terminated is float64 of shape \(3,\), expected \(3,\) booleans"),
        ({"info": {}, "mode": AutoresetMode.SAME_STEP}, "no 'final_obs'"),
    ],
)
def test_vector_environments_of_others_are_checked_too(wrong: dict[str, Any], said: str) -> None:
    description = describe(Counter)
    source = Autoreset(Lying(**wrong), description.observations, description.actions, 0)
    source.reset()
    with pytest.raises(EnvFailure, match=said):
        for _ in range(4):
            source.step(np.zeros(3, np.int32))


def test_nothing_is_warned_of(recwarn: pytest.WarningsRecorder) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for env in ("CartPole-v0", "CartPole-v1", "Taxi", "FrozenLake-v1"):
            envs = VectorEnv(describe(env), 2, SEED, "gymnasium")
            envs.step(np.zeros(2, np.int32))
            envs.close()
    assert not recwarn


def test_num_envs_must_be_positive() -> None:
    with pytest.raises(EnvError, match="num_envs must be positive, not 0"):
        VectorEnv(describe(Counter), 0, SEED)
