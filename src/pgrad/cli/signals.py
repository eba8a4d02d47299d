"""Ctrl-C and SIGTERM: the first asks a command to stop, which saves and sums up; the second stops it at once."""

import multiprocessing
import os
import signal
from types import FrameType
from typing import NoReturn

from pgrad.errors import Stopped

EXIT_CODES = {number: 128 + number for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}  # as shells have it


def heed_signals() -> None:
    """Let the first signal raise Stopped in the main thread, and a second end the process; ignored ones stay so."""
    for number in EXIT_CODES:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, ask_to_stop)


def ask_to_stop(number: int, frame: FrameType | None) -> NoReturn:
    """Raise Stopped; from now on a signal ends the process."""
    for other in EXIT_CODES:
        signal.signal(other, stop_at_once)
    raise Stopped(EXIT_CODES[signal.Signals(number)])


def stop_at_once(number: int, frame: FrameType | None) -> NoReturn:
    """End the process without a look back: whatever is being written is written under another name."""
    os.write(2, b"\npgrad: stopped at once; the last checkpoint is whole\n")
    leave(EXIT_CODES[signal.Signals(number)])


def leave(code: int) -> NoReturn:
    """Exit without waiting for threads, one of which may be compiling, or for worker processes that hang."""
    for worker in multiprocessing.active_children():  # they would not notice that we are gone
        worker.kill()
    os._exit(code)
