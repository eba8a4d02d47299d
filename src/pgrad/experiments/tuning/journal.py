"""A search's journal: JSON lines, first what is searched, then one line a run, written as soon as there is one."""

import fcntl
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pgrad.errors import RunError
from pgrad.experiments.tuning.runs import Run

DAMAGED = ".damaged"  # beside the journal: what an interrupted write left of a last line


class Journal:
    """The runs of one search, on disk and here. Close it, or use it as a context manager."""

    def __init__(self, path: Path, search: Mapping[str, Any]) -> None:
        """Open a journal, or begin one; raise RunError where it is of another search, damaged, or in use.

        search  all that decides which runs there are and what they give; it is the journal's first line
        """
        self.path, self.set_aside = path, False
        search = json.loads(json.dumps(search))  # as it will be read back
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self.file = path.open("a+", encoding="utf-8")
        except OSError as error:
            raise RunError(f"cannot write {path}: {error.strerror or error}") from error
        try:
            fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self.file.close()
            raise RunError(f"{path} is in use: another search writes it") from error
        try:
            before, *lines = self._lines() or [None]
            if before is None:
                self._append(search)
            else:
                require_same(path, before, search)
            self.runs = [as_run(path, number, line) for number, line in enumerate(lines, start=2)]
        except BaseException:
            self.file.close()
            raise

    def _lines(self) -> list[Any]:
        """Return the lines, and set a last one aside that is not whole."""
        self.file.seek(0)
        texts = self.file.read().splitlines(keepends=True)
        if texts and not whole(texts[-1]):
            Path(f"{self.path}{DAMAGED}").write_text(texts[-1], encoding="utf-8")
            self.file.truncate(len("".join(texts[:-1]).encode()))
            self.set_aside = True
            texts.pop()
        lines = []
        for number, text in enumerate(texts, start=1):
            try:
                lines.append(json.loads(text))
            except ValueError as error:
                raise RunError(f"{self.path}: line {number} is damaged: remove the line, or the journal") from error
        return lines

    def add(self, run: Run) -> None:
        """Keep a run."""
        self.runs.append(run)
        self._append(run._asdict())

    def _append(self, line: Mapping[str, Any]) -> None:
        try:
            self.file.write(json.dumps(line) + "\n")
            self.file.flush()
            os.fsync(self.file.fileno())
        except OSError as error:
            raise RunError(f"cannot write {self.path}: {error.strerror or error}") from error

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()


def whole(line: str) -> bool:
    """Return whether a line was written to its end."""
    try:
        json.loads(line)
    except ValueError:
        return False
    return line.endswith("\n")


def as_run(path: Path, number: int, line: Any) -> Run:
    """Return a line as a run; raise RunError where it is none."""
    try:
        return Run(**line)
    except TypeError as error:
        raise RunError(f"{path}: line {number} is no run: remove the line, or the journal") from error


def require_same(path: Path, before: Any, search: Mapping[str, Any]) -> None:
    """Raise RunError where a journal is of another search, with what differs."""
    if not isinstance(before, dict):
        raise RunError(f"{path} is no journal of a search: choose another --out")
    was, now = flat(before), flat(search)
    if names := [name for name in {**now, **was} if was.get(name) != now.get(name)]:
        what = "; ".join(f"{name} was {_short(was.get(name))} and is {_short(now.get(name))}" for name in names)
        raise RunError(f"{path} is of another search ({what}): choose another --out, or remove it to begin anew")


def flat(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document with the entries of its tables beside its own, under both names."""
    entries: dict[str, Any] = {}
    for name, value in document.items():
        entries |= {f"{name}.{inner}": v for inner, v in value.items()} if isinstance(value, dict) else {name: value}
    return entries


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else f"{text[:80]}…"
