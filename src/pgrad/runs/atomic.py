"""Writing that never leaves half a file, and reading that never waits for one."""

import fcntl
import os
import re
import secrets
import shutil
import stat
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pgrad.errors import ConfigError, RunError

LONGEST_TOML = 1_000_000  # bytes
TEMPORARY = re.compile(r"\..+\.[a-z0-9_]{8}")  # what write_atomically calls a file before it is in place


def write_atomically(path: Path, content: bytes | str, previous: Path | None = None) -> None:
    """Write a file under another name and move it into place; raise RunError where that cannot be done.

    With `previous`, the file that was in its place is kept under that name, and what is written outlives the machine:
    at any moment one of the two is whole, on the disk too.
    """
    data = content.encode() if isinstance(content, str) else content
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                if previous is not None:
                    file.flush()
                    os.fsync(file.fileno())
            Path(temporary).chmod(0o644)
            if previous is not None and path.exists():
                path.replace(previous)
            Path(temporary).replace(path)
            if previous is not None:
                sync_folder(path.parent)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise RunError(f"cannot write {path}: {error.strerror or error}") from error


def make_folder_with(path: Path, name: str, content: str) -> None:
    """Make a folder that has its first file from its first moment; raise RunError where it exists or cannot be made."""
    temporary = path.parent / f".{path.name}.{secrets.token_hex(4)}"
    try:
        if os.path.lexists(path):
            raise FileExistsError
        temporary.mkdir(parents=True)
        try:
            (temporary / name).write_text(content, encoding="utf-8")
            temporary.rename(path)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
    except OSError as error:
        if os.path.lexists(path):
            raise RunError(f"{path} exists already: choose another folder, or remove it") from error
        raise RunError(f"cannot make the run folder {path}: {error.strerror or error}") from error


def open_own(path: Path, flags: int) -> int:
    """Open a file of a run's for writing, made where it is missing; OSError for a link or a pipe in its place."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | flags, 0o644)


def remove(path: Path) -> None:
    """Remove a file, if there is one; raise RunError where that cannot be done."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise RunError(f"cannot remove {path}: {error.strerror or error}") from error


def move(path: Path, to: Path) -> None:
    """Give a file another name; raise RunError where that cannot be done."""
    try:
        path.replace(to)
    except OSError as error:
        raise RunError(f"cannot write {to}: {error.strerror or error}") from error


def sync_folder(folder: Path) -> None:
    """Write a folder's names to the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove_leftovers(folder: Path) -> None:
    """Remove what writing left under other names when its process died."""
    for file in folder.glob(".*"):
        if TEMPORARY.fullmatch(file.name) and file.is_file():
            remove(file)


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Keep other processes from training in a run's folder; raise RunError where one does. Death ends the hold too."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RunError(f"another process trains in {folder}: wait for its end, or stop it") from error
        yield
    finally:
        os.close(handle)


def held(folder: Path) -> bool:
    """Return whether a process trains in a run's folder: one of this machine, on most network file systems."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def require_regular_file(path: Path, most_bytes: float = float("inf")) -> None:
    """Raise OSError where a path is no regular file, which could be read for ever, or a larger one than it may be."""
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise OSError("it is not a regular file")
    if found.st_size > most_bytes:
        raise OSError(f"it has {found.st_size:,} bytes, and at most {most_bytes:,} are read")


def require_no_link(folder: Path) -> None:
    """Raise RunError where a folder is a symbolic link: in a stranger's run it could lead what is written anywhere."""
    if folder.is_symlink():
        raise RunError(f"{folder} is a symbolic link: put the folder itself in its place")


def read_toml(path: Path) -> dict[str, Any]:
    """Return a TOML file's table; raise OSError where the file cannot be read, ValueError where it is not TOML."""
    require_regular_file(path, LONGEST_TOML)
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))  # editors on Windows begin with a mark
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def read_asked_toml(path: Path, what: str) -> dict[str, Any]:
    """Return the table of a TOML file that a user named; raise ConfigError about `what`, such as "preset mine.toml"."""
    try:
        return read_toml(path)
    except OSError as error:
        raise ConfigError([f"cannot read {what}: {error.strerror or error}"]) from error
    except ValueError as error:
        raise ConfigError([f"{what} is not valid TOML: {error}"]) from error
