"""Noticing that an environment hangs: the thread that calls it cannot, so another one watches the clock."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from pgrad.errors import EnvError

POLL_SECONDS = 0.05

T = TypeVar("T")


class Busy:
    """Since when a call into an environment has been running; written by its thread, read by any other."""

    def __init__(self) -> None:
        self.since: float | None = None  # time.monotonic, None between calls
        self.call = ""  # what is running, for a message

    @contextmanager
    def calling(self, call: str) -> Iterator[None]:
        """Mark a call into the environment."""
        self.call, self.since = call, time.monotonic()
        try:
            yield
        finally:
            self.since = None

    def still(self) -> None:
        """The call goes on and is no hang: its next part begins now."""
        self.since = time.monotonic()

    def minds_itself(self) -> None:
        """What is called now watches its own time."""
        self.since = None

    def check(self, timeout: float | None) -> None:
        """Raise EnvError if the call in progress began more than `timeout` seconds ago (None: never)."""
        since = self.since
        if timeout is not None and since is not None and time.monotonic() - since > timeout:
            raise EnvError(
                f"{self.call} has not come back for {timeout:g} s; "
                "if it does not hang but is only slow, give it more time (step_timeout)"
            )


def watched(function: Callable[[], T], busy: Busy, timeout: float | None) -> T:
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
        busy.check(timeout)
    if errors:
        raise errors[0]
    return results[0]
