"""The time that Numba has spent compiling in this process, and whether it is compiling now."""

import threading
import time

from pgrad.kernels.jit import NUMBA

if NUMBA:
    from numba.core import event


class CompileClock:
    """Counter of the seconds during which anything was compiled; loading from the cache does not count."""

    def __init__(self) -> None:
        self._lock, self._depth, self._since, self._total = threading.Lock(), 0, 0.0, 0.0

    def begin(self) -> None:
        """Note that a compilation begins, perhaps within another."""
        with self._lock:
            if self._depth == 0:
                self._since = time.perf_counter()
            self._depth += 1

    def end(self) -> None:
        """Note that a compilation has ended."""
        with self._lock:
            self._depth -= 1
            if self._depth == 0:
                self._total += time.perf_counter() - self._since

    @property
    def compiling(self) -> bool:
        """True while anything is being compiled."""
        return self._depth > 0

    @property
    def seconds(self) -> float:
        """Seconds spent compiling so far."""
        with self._lock:
            return self._total + (time.perf_counter() - self._since if self._depth else 0.0)


COMPILE_CLOCK = CompileClock()

if NUMBA:

    class Listener(event.Listener):  # type: ignore[misc]
        """What Numba tells of its compilations."""

        def on_start(self, event: event.Event) -> None:
            """Start the clock."""
            COMPILE_CLOCK.begin()

        def on_end(self, event: event.Event) -> None:
            """Stop the clock."""
            COMPILE_CLOCK.end()

    event.register("numba:compile", Listener())
