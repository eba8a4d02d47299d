"""Detect hanging environments: the thread that calls one cannot, so another thread watches the clock."""

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from pgrad.errors import EnvError

POLL_SECONDS = 0.05

T = TypeVar("T")
Where = Callable[[int | None], str]
Pulse = Callable[[], object]


class Watchdog:
    """The call into an environment that is in progress, written by the calling thread and read by any other."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.since: float | None = None  # when the call began by the clock, None between calls
        self.name = ""  # of the call, for messages
        self.env: int | None = None  # the index of the environment, if known
        self.where: Where | None = None  # describes where in the run an environment is (None: all of them)
        self.pulse: Pulse | None = None
        self.beat: object = None  # the last value of `pulse`; written by `check` alone
        self.alive = (
            -math.inf
        )  # when it last changed; `check` must not write `since`, which the call may just have reset

    @contextmanager
    def call(self, name: str, where: Where | None = None, pulse: Pulse | None = None) -> Iterator[None]:
        """Mark a call into the environment. While the value that `pulse` returns keeps changing, it does not hang."""
        self.name, self.env, self.where, self.pulse, self.since = name, None, where, pulse, self.clock()
        try:
            yield
        finally:
            self.since = None

    def progress(self, name: str | None = None, env: int | None = None) -> None:
        """Start the time limit again: the next part of the call begins, `name` of the environment with index `env`."""
        self.name, self.env, self.since = name or self.name, env, self.clock()

    def pause(self) -> None:
        """Stop watching this call, because the code that it runs has a time limit of its own."""
        self.since = None

    def check(self, timeout: float | None) -> None:
        """Raise EnvError if the call in progress began more than `timeout` seconds ago (None: never)."""
        since, pulse = self.since, self.pulse
        if since is not None and pulse is not None and (beat := pulse()) != self.beat:
            self.beat, self.alive = beat, self.clock()
        if timeout is not None and since is not None and self.clock() - max(since, self.alive) > timeout:
            where = f" ({self.where(self.env)})" if self.where is not None else ""
            raise EnvError(
                f"{self.name} has not returned after {timeout:g} s{where}. "
                "If it is slow rather than hung, raise step_timeout."
            )


def watched(function: Callable[[], T], watchdog: Watchdog, timeout: float | None) -> T:
    """Return function(), run in its own thread; raise EnvError once a call into an environment exceeds `timeout`.

    A hanging thread cannot be stopped from outside. It is a daemon, so the process can still exit.
    """
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(function())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(POLL_SECONDS)
        watchdog.check(timeout)
    if errors:
        raise errors[0]
    return results[0]
