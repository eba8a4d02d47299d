"""Writing that never leaves half a file."""

import os
import tempfile
from pathlib import Path

from pgrad.errors import RunError


def write_atomically(path: Path, content: bytes | str) -> None:
    """Write a file under another name and move it into place; raises RunError where that cannot be done."""
    data = content.encode() if isinstance(content, str) else content
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            Path(temporary).chmod(0o644)
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink()
            raise
    except OSError as error:
        raise RunError(f"cannot write {path}: {error.strerror or error}") from error
