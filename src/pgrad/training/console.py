"""Training's progress for people: one live line in a terminal, plain lines elsewhere."""

import math
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, TextIO

from pgrad.experiments.statistics import shown
from pgrad.kernels.jit import CACHE_FOLDER
from pgrad.training.result import rate
from pgrad.training.seeds import Progress, Snapshot

if TYPE_CHECKING:
    from rich.live import Live
    from rich.status import Status

COMPILE_NOTICE_SECONDS = 2.0  # reading compiled code from the cache takes less
PLAIN_SECONDS = 2.0  # between plain lines
PREDICTABLE = 0.01  # of the steps: the speed of the first ones says nothing about the rest


def shown_to_people(progress: Progress | bool | None) -> AbstractContextManager[Progress | None]:
    """Return what to call with Snapshots, to be entered and left: see `progress` of pgrad.train."""
    if progress is True:
        return ConsoleProgress()
    if progress is None and (sys.stderr.isatty() or "ipykernel" in sys.modules):
        return nullcontext(CompileNotice(lambda text: print(text, file=sys.stderr, flush=True)))
    return nullcontext(progress or None)


class CompileNotice:
    """Call it with Snapshots; it gives `line` one sentence if a compilation takes long."""

    def __init__(self, line: Callable[[str], None]) -> None:
        self.line, self.noticed = line, False

    def __call__(self, snapshot: Snapshot) -> None:
        """Look at a snapshot."""
        if snapshot.stage == "compiling" and snapshot.seconds > COMPILE_NOTICE_SECONDS and not self.noticed:
            self.noticed = True
            self.line(compile_notice("for this environment "))


class ConsoleProgress:
    """Call it with Snapshots; use it as a context manager."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stderr
        self.live: Live | None = None
        self.notice = CompileNotice(self._line)
        self.printed = 0.0
        self.notes: set[str] = set()

    def __enter__(self) -> "ConsoleProgress":
        if self.stream.isatty():
            from rich.console import Console
            from rich.live import Live

            self.live = Live(console=Console(file=self.stream), refresh_per_second=10, transient=True)
            self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.live is not None:
            self.live.stop()

    def __call__(self, snapshot: Snapshot) -> None:
        """Show a snapshot."""
        self.notice(snapshot)
        for note in snapshot.notes:
            if note not in self.notes:
                self.notes.add(note)
                self._line(note)
        if self.live is not None:
            from rich.text import Text

            self.live.update(Text(describe(snapshot)))
        elif snapshot.stage == "stopping" or (
            snapshot.total_steps and snapshot.stage != "compiling" and time.monotonic() - self.printed > PLAIN_SECONDS
        ):
            self.printed = time.monotonic()
            self._line(describe(snapshot))

    def _line(self, text: str) -> None:
        if self.live is not None:
            self.live.console.print(text, markup=False, highlight=False)
        else:
            print(text, file=self.stream, flush=True)


def compile_notice(what: str = "") -> str:
    """Say what a first call waits for."""
    kept = "kept for next time" if CACHE_FOLDER else "not kept: no cache folder can be written"
    return f"compiling {what}(15 to 20 s, {kept})"


def describe(snapshot: Snapshot) -> str:
    """Describe a snapshot in one line."""
    if snapshot.stage == "compiling":
        return f"compiling … {snapshot.seconds:.0f} s"
    if snapshot.stage == "stopping":
        return "stopping after this iteration; a second signal stops at once"
    if snapshot.stage == "evaluating":
        return f"evaluating {snapshot.seeds} frozen polic{'y' if snapshot.seeds == 1 else 'ies'} in Gymnasium"
    parts = [f"{snapshot.total_steps:,} steps", rate(snapshot.recent_steps_per_second)]
    if not math.isnan(snapshot.mean_return):
        parts.append(f"return {shown(snapshot.mean_return)}")
    if snapshot.seeds > 1:
        parts.append(f"seeds {snapshot.finished}/{snapshot.seeds} done, {snapshot.solved} solved")
    planned, speed = snapshot.planned_steps or 0, snapshot.recent_steps_per_second
    if speed > 0 and snapshot.total_steps >= planned * PREDICTABLE > 0:
        left = max(0, planned - snapshot.total_steps) / speed
        parts.append(f"{left:.0f} s left")
    return " · ".join(parts)


class StepProgress:
    """The current step by name: a spinner in a terminal, a line now and then elsewhere.

    With the first step, a compilation is announced if `compiled`, a function that it calls, is not in the cache.
    """

    def __init__(self, compiled: Any = None, stream: TextIO | None = None) -> None:
        self.compiled, self.stream = compiled, stream or sys.stderr
        self.status: Status | None = None
        self.printed = time.monotonic()

    def __enter__(self) -> "StepProgress":
        if self.stream.isatty():
            from rich.console import Console

            self.status = Console(file=self.stream).status("starting")
            self.status.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.status is not None:
            self.status.stop()

    def __call__(self, text: str) -> None:
        """Show the step that begins."""
        if self.compiled is not None and not self.compiled.in_cache:
            print(compile_notice(), file=self.stream, flush=True)
        self.compiled = None
        if self.status is not None:
            self.status.update(text)
        elif time.monotonic() - self.printed > PLAIN_SECONDS:
            self.printed = time.monotonic()
            print(text, file=self.stream, flush=True)

    def episodes(self, finished: int, asked: int) -> None:
        """Show how many episodes have ended."""
        self(f"{finished:,} of {asked:,} episodes")
