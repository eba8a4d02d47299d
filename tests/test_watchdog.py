"""A hang is noticed from outside."""

import threading
import time

import pytest

from pgrad.errors import EnvError
from pgrad.watchdog import Watchdog, watched


def test_what_is_watched_returns_or_raises_as_it_would_alone() -> None:
    assert watched(lambda: 3, Watchdog(), 1.0) == 3
    with pytest.raises(ZeroDivisionError):
        watched(lambda: 1 // 0, Watchdog(), 1.0)


def test_a_call_that_hangs_is_given_up() -> None:
    watchdog, release = Watchdog(), threading.Event()

    def hang() -> None:
        with watchdog.calling("step() of 'Slow-v0'"):
            release.wait(10)

    began = time.monotonic()
    with pytest.raises(EnvError, match=r"step\(\) of 'Slow-v0' has not come back for 0.2 s.*step_timeout"):
        watched(hang, watchdog, 0.2)
    assert 0.2 < time.monotonic() - began < 2
    release.set()


def test_many_short_calls_are_no_hang() -> None:
    watchdog = Watchdog()

    def work() -> int:
        for _ in range(20):
            with watchdog.calling("step()"):
                time.sleep(0.02)
        return 20

    assert watched(work, watchdog, 0.2) == 20
    watchdog.check(0.0)  # between calls


def test_a_long_call_of_short_parts_is_no_hang() -> None:
    watchdog = Watchdog()
    with watchdog.calling("reset() of 64 environments"):
        for _ in range(10):
            time.sleep(0.01)
            watchdog.still()
        watchdog.check(0.05)
        time.sleep(0.06)
        with pytest.raises(EnvError, match="reset"):
            watchdog.check(0.05)
        watchdog.pause()
        watchdog.check(0.05)


def test_without_a_limit_nothing_is_a_hang() -> None:
    watchdog = Watchdog()
    with watchdog.calling("step()"):
        watchdog.check(None)


def test_a_pulse_that_is_seen_late_does_not_revive_a_call_that_has_ended() -> None:
    """The thread that calls says when it has ended; the one that watches never says that it goes on."""
    watchdog = Watchdog()

    def pulse() -> object:
        watchdog.since = None  # the call ends while it is looked at
        return time.monotonic()

    with watchdog.calling("step()", pulse=pulse):
        watchdog.check(0.01)
        assert watchdog.since is None
