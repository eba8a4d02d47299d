"""Writing that never leaves half a file, and reading that never waits for one."""

import os
import stat
import tempfile
import tomllib
from pathlib import Path
from typing import Any

from pgrad.errors import ConfigError, RunError

LONGEST_TOML = 1_000_000  # bytes


def write_atomically(path: Path, content: bytes | str) -> None:
    """Write a file under another name and move it into place; raise RunError where that cannot be done."""
    data = content.encode() if isinstance(content, str) else content
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            Path(temporary).chmod(0o644)
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise RunError(f"cannot write {path}: {error.strerror or error}") from error


def require_regular_file(path: Path, most_bytes: float = float("inf")) -> None:
    """Raise OSError where a path is no regular file, which could be read for ever, or a larger one than it may be."""
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise OSError("it is not a regular file")
    if found.st_size > most_bytes:
        raise OSError(f"it has {found.st_size:,} bytes, and at most {most_bytes:,} are read")


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
