"""A journal of runs: JSON lines, first what they are of, then one line a run, written as soon as there is one.

Each line has a checksum, so that one in which a bit has changed is a damaged one too.
"""

import json
import os
import time
import zlib
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Generic, TypeVar

from pgrad.errors import RunError
from pgrad.runs.atomic import alone_in, write_atomically

SYNC_SECONDS = 1.0  # what a machine that goes down may lose; a process that is killed loses nothing
CHECKSUM = "crc32"  # of a line's other entries, the last of it
DAMAGED = ".damaged"  # beside the journal: lines of it that could not be read

Run = TypeVar("Run", bound=tuple[Any, ...])


class Journal(Generic[Run]):
    """The runs of one search or sweep, on disk and here. Close it, or use it as a context manager.

    runs       in the order in which they ended
    set_aside  the numbers of lines that were damaged; they are kept in the file beside it, and their runs are lacking
    """

    def __init__(self, path: Path, header: Mapping[str, Any], kind: Callable[..., Run], of: str) -> None:
        """Open a journal, or begin one; raise RunError where it is of something else, or in use.

        header  what must be the same for its runs to be of use; it is the journal's first line
        kind    the NamedTuple that a line is
        of      "search" or "sweep", for messages
        """
        self.path, self.kind, self.of = path, kind, of
        self.set_aside: list[int] = []
        self.runs: list[Run] = []
        self.synced = time.monotonic()
        header = json.loads(json.dumps(header))  # as it will be read back
        with ExitStack() as opened:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                opened.enter_context(alone_in(path.parent))
                before, lines = self._read()
                if before is not None:
                    require_same(path, before, header, of)
                write_atomically(path, "".join([line(before or header), *lines]))
                self.file = opened.enter_context(path.open("a", encoding="utf-8"))
            except OSError as error:
                raise RunError(f"cannot write {path}: {error.strerror or error}") from error
            self.hold = opened.pop_all()

    def _read(self) -> tuple[Any, list[str]]:
        """Return the first line, if there is one, and the text of the whole others; set damaged ones aside."""
        texts = self.path.read_text(encoding="utf-8", errors="replace").splitlines(True) if self.path.exists() else []
        good, damaged = [], []
        before = as_document(texts[0]) if texts else None
        if before is None and "".join(texts[:1]).endswith("\n"):
            raise RunError(f"{self.path}: its first line is damaged, and says what the others are of: remove the file")
        for number, text in enumerate(texts[before is not None :], start=1 + (before is not None)):
            run = self._run_of(text)
            if run is None:
                damaged.append(text.rstrip("\n") + "\n")
                self.set_aside.append(number)
            else:
                good.append(text)
                self.runs.append(run)
        if damaged:
            with Path(f"{self.path}{DAMAGED}").open("a", encoding="utf-8") as file:
                file.writelines(damaged)
        return before, good

    def _run_of(self, text: str) -> Run | None:
        try:
            return self.kind(**as_document(text))
        except TypeError:  # no document, or not one of a run
            return None

    def add(self, run: Run) -> None:
        """Keep a run."""
        self.runs.append(run)
        try:
            self.file.write(line(run._asdict()))  # type: ignore[attr-defined]
            self.file.flush()
            if time.monotonic() - self.synced > SYNC_SECONDS:
                os.fsync(self.file.fileno())
                self.synced = time.monotonic()
        except OSError as error:
            raise RunError(f"cannot write {self.path}: {error.strerror or error}") from error

    def story(self) -> list[str]:
        """Return what a user is to know of an opened journal, a line each."""
        lines = []
        if self.set_aside:
            which = f"line{'s' * (len(self.set_aside) > 1)} {', '.join(map(str, self.set_aside))}"
            lines.append(f"{which} of {self.path}, damaged, set aside in {self.path.name}{DAMAGED}")
        if self.runs:
            lines.append(f"going on after {len(self.runs)} runs")
        return lines

    def __enter__(self) -> "Journal[Run]":
        return self

    def __exit__(self, *_: object) -> None:
        self.hold.close()


def line(document: Mapping[str, Any]) -> str:
    """Return a document as a line of a journal, with its checksum."""
    return json.dumps({**document, CHECKSUM: checksum(document)}) + "\n"


def as_document(text: str) -> Any:
    """Return what a line holds, None where it was not written to its end or is damaged."""
    try:
        document: Any = json.loads(text)
        whole = text.endswith("\n") and document.pop(CHECKSUM) == checksum(document)
    except (ValueError, AttributeError, TypeError, KeyError):  # no JSON, or no document with a checksum
        return None
    return document if whole else None


def checksum(document: Mapping[str, Any]) -> str:
    """Return the checksum of a document as JSON has it."""
    return f"{zlib.crc32(json.dumps(document).encode()):08x}"


def require_same(path: Path, before: Any, header: Mapping[str, Any], of: str) -> None:
    """Raise RunError where a journal is of something else, with what differs."""
    was, now = flat(before), flat(header)
    if names := [name for name in {**now, **was} if was.get(name) != now.get(name)]:
        what = "; ".join(f"{name} was {_short(was.get(name))} and is {_short(now.get(name))}" for name in names)
        raise RunError(f"{path} is of another {of} ({what}): choose another --out, or remove it to begin anew")


def flat(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document with the entries of its tables beside its own, under both names."""
    entries: dict[str, Any] = {}
    for name, value in document.items():
        entries |= {f"{name}.{inner}": v for inner, v in value.items()} if isinstance(value, dict) else {name: value}
    return entries


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else f"{text[:80]}…"
