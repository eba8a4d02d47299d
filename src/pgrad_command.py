"""The command `pgrad` from its first moment: a signal ends it in one line while Python imports all the rest.

A module of its own, since importing anything of the package imports NumPy and Numba first.
"""

import os
import signal
from types import FrameType
from typing import NoReturn

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def leave(number: int, frame: FrameType | None) -> NoReturn:
    """End the process, which has begun nothing yet, with the exit code that shells give a signal."""
    os.write(2, b"\npgrad: stopped before anything had begun\n")
    os._exit(128 + number)


def main() -> None:
    """Run the command `pgrad`."""
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, leave)
    from pgrad.cli.main import main

    main()
