"""Noticing that an environment hangs: the thread that calls it cannot, so another one watches the clock."""

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
    """Since when a call into an environment has been running; written by its thread, read by any other."""

    def __init__(self) -> None:
        self.since: float | None = None  # time.monotonic, None between calls
        self.call = ""  # what is running, for a message
        self.env: int | None = None  # in which environment, if that is known
        self.where: Where | None = None  # says of an environment (None: of all) where in the run it is
        self.pulse: Pulse | None = None
        self.beat: object = None  # what it returned last to `check`, which alone writes this
        self.alive = -math.inf  # when that was new; since when a call is running is for its own thread to say

    @contextmanager
    def calling(self, call: str, where: "Where | None" = None, pulse: "Pulse | None" = None) -> Iterator[None]:
        """Mark a call into the environment. As long as what `pulse` returns changes, the call does not hang."""
        self.call, self.env, self.where, self.pulse, self.since = call, None, where, pulse, time.monotonic()
        try:
            yield
        finally:
            self.since = None

    @contextmanager
    def elsewhere(self, where: "Where") -> Iterator[None]:
        """The call goes on, for a while at another place of the run."""
        theirs, self.where = self.where, where
        try:
            yield
        finally:
            self.where = theirs

    def still(self, call: str | None = None, env: int | None = None) -> None:
        """The call goes on and is no hang: its next part begins now, `call` of the n-th environment."""
        self.call, self.env, self.since = call or self.call, env, time.monotonic()

    def pause(self) -> None:
        """What is called now watches its own time."""
        self.since = None

    def check(self, timeout: float | None) -> None:
        """Raise EnvError if the call in progress began more than `timeout` seconds ago (None: never)."""
        since, pulse = self.since, self.pulse
        if since is not None and pulse is not None and (beat := pulse()) != self.beat:
            self.beat, self.alive = beat, time.monotonic()
        if timeout is not None and since is not None and time.monotonic() - max(since, self.alive) > timeout:
            where = f" ({self.where(self.env)})" if self.where is not None else ""
            raise EnvError(
                f"{self.call} has not come back for {timeout:g} s{where}; "
                "if it does not hang but is only slow, give it more time (step_timeout)"
            )


def watched(function: Callable[[], T], watchdog: Watchdog, timeout: float | None) -> T:
    """function(), in a thread of its own; EnvError as soon as a call into an environment outlasts `timeout` seconds.

    A hanging thread cannot be ended from outside. It is a daemon, so that the process can still exit.
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
