"""The exercises on the page: what it shows of each, and how this machine checks what the learner has typed."""

import multiprocessing
import secrets
from multiprocessing import forkserver
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pgrad.exercises.check import EXERCISES
from pgrad.exercises.contain import check_file
from pgrad.exercises.verdict import Verdict

SHOWN = ("name", "title", "difficulty", "minutes", "starter", "hints", "solutions")
# A server has threads, and a fork of a process with threads may hang: another process does it.
CONTEXT = multiprocessing.get_context("forkserver")


def described(solutions: bool = True) -> list[dict[str, Any]]:
    """Return what the page shows of each exercise; without its solutions, if so wished."""
    shown = [name for name in SHOWN if solutions or name != "solutions"]
    return [{name: getattr(one, name) for name in shown} for one in EXERCISES.values()]


def warm_up() -> None:
    """Start the process that forks, with the checker loaded, so that the first answer waits no longer than others."""
    CONTEXT.set_forkserver_preload(["pgrad.exercises.contain"])
    forkserver.ensure_running()


def checked(name: str, code: str) -> Verdict:
    """Return the verdict on an answer, contained as `pgrad exercise` contains it."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "answer.py"
        path.write_text(code, "utf-8")
        return check_file(name, path, secrets.randbelow(2**31), context=CONTEXT)
