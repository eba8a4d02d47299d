"""Trainings where something around them is wrong: a full disk, closed streams, few descriptors, another process.

Children are forked from a process that has imported and compiled everything, and has no threads.
"""

import contextlib
import os
import pty
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from tests.faults.damage import Tried, added

from pgrad.cli import main as cli
from pgrad.errors import PgradError
from pgrad.runs.atomic import alone_in
from pgrad.runs.load import load

FILES = ("policy.safetensors", "value.safetensors", "checkpoints.safetensors", "metrics.csv", "episodes.csv")
QUIET = ("--evaluation-episodes", "0", "--no-figures", "--quiet")
NEW = ("train", "CartPole-v1", "--preset", "none", "--seeds", "2", "--total-steps", "100000", *QUIET)
FULL, ROOM = "80k", "64m"  # of a small file system: less than a run takes, and more


class Ended(NamedTuple):
    """How a command ended."""

    code: int
    told: str  # what it wrote

    @property
    def well(self) -> bool:
        """Whether it did what was asked, without a traceback."""
        return self.code == 0 and "Traceback" not in self.told

    @property
    def clearly(self) -> bool:
        """Whether it did not, and said so in a message."""
        return self.code in (1, 2) and "pgrad: " in self.told and "Traceback" not in self.told


def command(words: tuple[str, ...], first: Callable[[], object] = lambda: None) -> Ended:
    """Run `pgrad` in a child, whose surroundings `first` changes."""
    with tempfile.TemporaryFile() as told:
        child = os.fork()
        if child == 0:
            code = 1
            try:
                os.dup2(told.fileno(), 1)
                os.dup2(told.fileno(), 2)
                first()
                sys.stdout, sys.stderr = standard_stream(1), standard_stream(2)
                sys.argv[1:] = words
                cli.main()
            except SystemExit as end:
                code = int(end.code or 0)
            except BaseException:
                os.write(told.fileno(), traceback.format_exc().encode())
            finally:
                with contextlib.suppress(Exception):
                    sys.stdout.flush()
                    sys.stderr.flush()
                os._exit(code)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        told.seek(0)
        return Ended(code, told.read().decode(errors="replace"))


def standard_stream(number: int) -> Any:
    """Return a standard stream as Python makes it when it starts: none where the descriptor is closed."""
    try:
        return open(number, "w", closefd=False)
    except OSError:
        return None


def same(run: Path, whole: Path) -> bool:
    """Whether two runs have the same bytes."""
    names = [f"seed-{seed}/{name}" for seed in (0, 1) for name in FILES]
    with contextlib.suppress(FileNotFoundError):
        return all((run / name).read_bytes() == (whole / name).read_bytes() for name in names)
    return False


def loads_what_is_there(run: Path) -> bool:
    """Whether every policy of a run that was not finished is whole."""
    try:
        return all(load(path) is not None for path in run.glob("seed-*/policy.safetensors"))
    except PgradError:
        return False


def in_terminal() -> None:
    """Give the process a terminal as its standard error, whose other side is read to its end."""
    other, terminal = pty.openpty()
    os.dup2(terminal, 2)
    subprocess.Popen(["cat"], stdin=other, stdout=subprocess.DEVNULL)


def limited_to(what: int, most: int) -> Callable[[], object]:
    """Return what limits a process."""
    return lambda: resource.setrlimit(what, (most, most))


SAME_BYTES: dict[str, tuple[tuple[str, ...], Callable[[], object]]] = {  # flags, and what comes first
    "one thread": (("--threads", "1"), lambda: None),
    "two threads": (("--threads", "2"), lambda: None),
    "standard output closed": ((), lambda: os.close(1)),
    "standard error closed": ((), lambda: os.close(2)),
    "standard error full": ((), lambda: os.dup2(os.open("/dev/full", os.O_WRONLY), 2)),
    "a terminal": ((), in_terminal),
    "de_DE": ((), lambda: os.environ.update(LC_ALL="de_DE.UTF-8", LANG="de_DE.UTF-8")),
    "no locale": ((), lambda: os.environ.update(LC_ALL="C", PYTHONUTF8="0")),
    "a clock far off": ((), lambda: os.environ.update(TZ="Pacific/Kiritimati") or time.tzset()),
    "checkpoints all the time": (("--save-every", "0.001"), lambda: None),
    "24 descriptors": ((), limited_to(resource.RLIMIT_NOFILE, 24)),
}


ODD_NAMES = ("with spaces", "Größe γ 💥", "-dash", "a" * 200, "per%cent{}")


def holds(what: str, held: bool, ended: Ended) -> Tried:
    """Return a try as a count; tell of one that did not hold."""
    if not held:
        print(f"{what}: did not hold: {ended}", file=sys.stderr)
    return 1, int(held)


def try_same_bytes(folder: Path, whole: Path, most: int | None) -> Tried:
    """Train with the same settings where much else is different, and in odd folders."""
    results = []
    for name, (flags, first) in list(SAME_BYTES.items())[:most]:
        ended = command((*NEW, *flags, "--out", str(folder / name)), first)
        results.append(holds(name, "Traceback" not in ended.told and same(folder / name, whole), ended))
    for name in ODD_NAMES[:most]:
        ended = command((*NEW, f"--out={folder / name}"))
        results.append(holds(name, ended.well and same(folder / name, whole), ended))
    return added(results)


@contextlib.contextmanager
def small_disk(path: Path) -> Iterator[bool]:
    """Mount a small file system, where this process may; yield whether it may."""
    path.mkdir()
    may = (
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={FULL}", "tmpfs", path], capture_output=True).returncode
        == 0
    )
    try:
        yield may
    finally:
        if may:
            subprocess.run(["umount", path], check=True)


def try_full_disk(folder: Path, whole: Path) -> Tried:
    """Fill a file system, or where none can be mounted limit the size of files: an error in words; then, with room, the
    run goes on to the same bytes, or says that it had no checkpoint."""
    with small_disk(folder / "disk") as mounted:
        run, words = folder / "disk" / "run", (*NEW, "--save-every", "0.001", "--out")
        first = (lambda: None) if mounted else limited_to(resource.RLIMIT_FSIZE, 20_000)
        full = command((*words, str(run)), first)
        whole_policies = loads_what_is_there(run)
        if mounted:
            subprocess.run(["mount", "-o", f"remount,size={ROOM}", folder / "disk"], check=True)
        again = command(("train", "--resume", str(run), *QUIET))
        went_on = same(run, whole) if again.well else again.clearly and loads_what_is_there(run)
        return added([holds("a full disk", full.clearly and whole_policies, full), holds("room again", went_on, again)])


def try_read_only(folder: Path, whole: Path) -> Tried:
    """Train into a folder, and go on in a run, that cannot be written; and read it."""
    with small_disk(folder / "fixed") as mounted:
        run = folder / "fixed" / "run"
        if mounted:
            subprocess.run(["mount", "-o", f"remount,size={ROOM}", folder / "fixed"], check=True)
        shutil.copytree(whole, run)
        if mounted:
            subprocess.run(["mount", "-o", "remount,ro", folder / "fixed"], check=True)
        else:  # whoever is not root may not write then
            for path in (run, run.parent):
                path.chmod(0o500)
        new = command((*NEW, "--out", str(run.with_name("new"))))
        on = command(("train", "--resume", str(run), "--total-steps", "200000", *QUIET))
        read = command(("explain-failure", str(run)))
        return added([holds("new", new.clearly, new), holds("on", on.clearly, on), holds("read", read.well, read)])


def try_two_at_once(folder: Path) -> Tried:
    """Go on with a run in which another process trains: it says so; and when that has ended, it goes on."""
    run, words = folder / "shared", ("train", "--resume", str(folder / "shared"), "--total-steps", "200000", *QUIET)
    command((*NEW, "--out", str(run)))
    with alone_in(run):
        second = command(words)
    after = command(words)
    told = second.clearly and "another process trains" in second.told
    return added([holds("two at once", told, second), holds("one after the other", after.well, after)])


def try_little_memory(folder: Path) -> Tried:
    """Limit the address space to little more than the process has: an error in words, or the result."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    results = []
    for more in (2**24, 2**26, 2**28):
        limit = pages * resource.getpagesize() + more
        ended = command((*NEW, "--out", str(folder / f"memory-{more}")), limited_to(resource.RLIMIT_AS, limit))
        results.append(holds(f"{more} bytes more", ended.well or ended.clearly, ended))
    return added(results)
