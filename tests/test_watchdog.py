"""A hang is noticed from outside. No test waits: the clock is set."""

import threading

import pytest

from pgrad.errors import EnvError
from pgrad.watchdog import Watchdog, watched


class Clock:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def watchdog(clock: Clock) -> Watchdog:
    return Watchdog(clock)


def test_what_is_watched_returns_or_raises_as_it_would_alone() -> None:
    assert watched(lambda: 3, Watchdog(), 60.0) == 3
    with pytest.raises(ZeroDivisionError):
        watched(lambda: 1 // 0, Watchdog(), 60.0)


def test_a_call_that_hangs_is_given_up(watchdog: Watchdog, clock: Clock) -> None:
    release = threading.Event()

    def hang() -> None:
        with watchdog.call("step() of 'Slow-v0'", lambda _: "seed 3"):
            clock.now += 60.1
            release.wait()

    with pytest.raises(EnvError) as caught:
        watched(hang, watchdog, 60.0)
    release.set()
    assert str(caught.value) == (
        "step() of 'Slow-v0' has not returned after 60 s (seed 3). If it is slow rather than hung, raise step_timeout."
    )


def test_many_short_calls_are_no_hang(watchdog: Watchdog, clock: Clock) -> None:
    for _ in range(3):
        with watchdog.call("step()"):
            clock.now += 50.0
            watchdog.check(60.0)
    clock.now += 1000.0
    watchdog.check(0.0)  # between calls


def test_a_long_call_of_short_parts_is_no_hang(watchdog: Watchdog, clock: Clock) -> None:
    with watchdog.call("creation", lambda env: f"environment {env}"):
        for _ in range(3):
            clock.now += 50.0
            watchdog.check(60.0)
            watchdog.progress("reset()", 7)
        clock.now += 61.0
        with pytest.raises(EnvError, match=r"^reset\(\) has not returned after 60 s \(environment 7\)"):
            watchdog.check(60.0)
        watchdog.pause()
        watchdog.check(60.0)


def test_without_a_limit_nothing_is_a_hang(watchdog: Watchdog, clock: Clock) -> None:
    with watchdog.call("step()"):
        clock.now += 1e9
        watchdog.check(None)


def test_a_call_with_a_pulse_is_no_hang(watchdog: Watchdog, clock: Clock) -> None:
    steps = 0
    with watchdog.call("step()", pulse=lambda: steps):
        for _ in range(3):
            steps += 1
            clock.now += 50.0
            watchdog.check(60.0)
        clock.now += 50.0
        watchdog.check(60.0)
        clock.now += 11.0
        with pytest.raises(EnvError, match="has not returned"):
            watchdog.check(60.0)


def test_a_pulse_that_is_seen_late_does_not_revive_a_call_that_has_ended(watchdog: Watchdog, clock: Clock) -> None:
    """The thread that calls says when it has ended; the one that watches never says that it goes on."""

    def pulse() -> object:
        watchdog.since = None  # the call ends while it is looked at
        return clock.now

    with watchdog.call("step()", pulse=pulse):
        watchdog.check(60.0)
        assert watchdog.since is None
