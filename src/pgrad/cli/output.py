"""Standard output and standard error whose failures lose no run."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO, cast

from pgrad.errors import PgradError


class OutputError(PgradError):
    """Standard output that cannot be written; without a message where the reader of a pipe has seen enough."""

    def __init__(self, error: OSError) -> None:
        closed = isinstance(error, BrokenPipeError)
        self.exit_code = 141 if closed else 1  # 128 + SIGPIPE, as shells have it
        super().__init__("" if closed else f"cannot write to standard output: {error.strerror or error}")


class Output:
    """A standard stream. What standard error cannot write is dropped; standard output raises OutputError."""

    def __init__(self, stream: TextIO, droppable: bool) -> None:
        self.stream, self.droppable = stream, droppable

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def write(self, text: str) -> int:
        """Write text."""
        with self._guarded():
            self.stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Write what is buffered."""
        with self._guarded():
            self.stream.flush()

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.stream.fileno())  # what is still buffered goes nowhere
            if not self.droppable:
                raise OutputError(error) from None


def protect_output() -> None:
    """Put an Output in the place of sys.stdout and sys.stderr, also where they are closed."""
    for name in ("stdout", "stderr"):
        droppable = name == "stderr"
        stream = getattr(sys, name)
        if stream is None:  # closed; the descriptor must not go to a file that we write
            stream = open(os.devnull, "w" if droppable else "r")  # noqa: SIM115, PTH123, for the process's lifetime
        else:
            stream.reconfigure(errors="replace")  # a terminal without γ is no reason to lose a summary
        setattr(sys, name, cast(TextIO, Output(stream, droppable)))


def print_aside(line: str) -> None:
    """Print a line on standard error."""
    print(line, file=sys.stderr, flush=True)
