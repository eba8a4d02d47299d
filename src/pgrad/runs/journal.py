"""metrics.csv and episodes.csv: files that grow while a run trains, and are its only record of what has been.

Numbers are written so that they are read back bit for bit. A checkpoint marks how much of a journal belongs to it;
whoever goes on from there cuts off the rest. So the two cannot disagree, whatever a crash has left.
"""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pgrad.algorithms.iteration import METRICS
from pgrad.errors import RunError
from pgrad.rollouts.batch import Episodes
from pgrad.runs.atomic import open_own, require_regular_file

Floats = npt.NDArray[np.float64]


class Evaluated(NamedTuple):
    """What a frozen policy was worth at some iteration; a line of evaluation_curve.csv."""

    iteration: int
    total_steps: int
    mean_return: float
    low: float  # of its 95 % interval over episodes
    high: float
    mean_length: float
    episodes: int


class Mark(NamedTuple):
    """How much of a journal belongs to a checkpoint."""

    rows: int
    size: int  # bytes
    sha256: str  # of these


def mark_of(found: Any) -> Mark:
    """Return the mark that a checkpoint holds; raise RunError where it is none."""
    if not (isinstance(found, list) and [type(part) for part in found] == [int, int, str] and min(found[:2]) >= 0):
        raise RunError(f"a checkpoint's mark of a journal is {found!r:.80}: it is not as pgrad wrote it")
    return Mark(*found)


class Journal:
    """A CSV file that grows by rows at its end."""

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        """Say where it is to be; the first `append` makes it."""
        self.path, self.header = path, (",".join(columns) + "\n").encode()
        self.rows = self.size = 0
        self.digest = hashlib.sha256()

    def append(self, lines: Sequence[str]) -> None:
        """Append rows, and see to it that they outlive the machine; raise RunError where that cannot be done.

        Whatever is in the file after what this journal knows of, such as half of what a full disk took, is overwritten.
        """
        data = "".join(f"{line}\n" for line in lines).encode()
        if not self.size:
            data = self.header + data
        if not data:
            return
        try:
            with os.fdopen(open_own(self.path, 0), "wb") as file:
                file.truncate(self.size)
                file.seek(self.size)
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise RunError(f"cannot write {self.path}: {error.strerror or error}") from error
        self.digest.update(data)
        self.rows, self.size = self.rows + len(lines), self.size + len(data)

    def mark(self) -> Mark:
        """Return what a checkpoint of this moment says of the journal."""
        return Mark(self.rows, self.size, self.digest.hexdigest())

    def read(self, mark: Mark) -> list[list[str]]:
        """Return the fields of the rows that belong to a checkpoint; raise RunError where they are not as it left them.

        The file may have more, and is left alone: the next `append` goes where these end.
        """
        try:
            require_regular_file(self.path)
            with self.path.open("rb") as file:
                data = file.read(min(mark.size, self.path.stat().st_size))
        except OSError as error:
            raise RunError(f"cannot read {self.path}: {error.strerror or error}") from error
        digest = hashlib.sha256(data)
        if digest.hexdigest() != mark.sha256:
            raise RunError(f"{self.path} has changed since its checkpoint: it is damaged, or was edited")
        self.rows, self.size, self.digest = mark.rows, mark.size, digest
        return [line.split(",") for line in data.decode().splitlines()[1:]]


class Journals(NamedTuple):
    """The journals of one seed."""

    metrics: Journal  # one row an iteration
    episodes: Journal  # one row an episode, in the order of their ends
    evaluations: Journal  # one row an evaluation along the way; no file where there is none

    def append(self, metrics: Floats, episodes: Episodes, evaluations: Sequence[Evaluated] = ()) -> None:
        """Append what they lack of these, [iterations, len(METRICS)] and [E]; raise RunError as Journal.append."""
        self.metrics.append(metrics_rows(metrics, self.metrics.rows))
        self.episodes.append(episodes_rows(episodes, self.episodes.rows))
        if evaluations:
            self.evaluations.append([",".join(map(repr, one)) for one in evaluations[self.evaluations.rows :]])

    def marks(self) -> dict[str, Mark]:
        """Return what a checkpoint of this moment says of them."""
        return {name: journal.mark() for name, journal in self._asdict().items() if journal.size}

    def read(self, marks: dict[str, list[Any]]) -> tuple[Floats, Episodes, tuple[Evaluated, ...]]:
        """Return what belongs to a checkpoint, as `append` was given it; raise RunError as Journal.read."""
        metrics, episodes, evaluations = (
            journal.read(mark_of(marks[name])) if name in marks else [] for name, journal in self._asdict().items()
        )
        try:
            return metrics_of_rows(metrics), episodes_of_rows(episodes), evaluations_of_rows(evaluations)
        except (ValueError, OverflowError) as error:
            raise RunError(f"a journal in {self.metrics.path.parent} is not as pgrad wrote it: {error}") from error


def journals_in(folder: Path) -> Journals:
    """Return the journals of a seed's folder, of which nothing is written or read yet."""
    return Journals(
        Journal(folder / "metrics.csv", ("iteration", *METRICS)),
        Journal(folder / "episodes.csv", ("total_steps", "length", "episode_return")),
        Journal(folder / "evaluation_curve.csv", Evaluated._fields),
    )


def metrics_rows(metrics: Floats, start: int) -> list[str]:
    """Format the iterations from `start` on; fields are empty where something is not defined."""
    rows = []
    for iteration, (steps, episodes, *rest) in enumerate(metrics[start:].tolist(), start=start + 1):
        fields = [str(iteration), str(int(steps)), str(int(episodes))]
        rows.append(",".join(fields + ["" if value != value else repr(value) for value in rest]))
    return rows


def metrics_of_rows(rows: list[list[str]]) -> Floats:
    """Return the metrics that `metrics_rows` formatted, [iterations, len(METRICS)]."""
    numbers = [[float(field) if field else np.nan for field in fields[1:]] for fields in rows]
    return np.array(numbers, np.float64).reshape(-1, len(METRICS))


def episodes_rows(episodes: Episodes, start: int) -> list[str]:
    """Format the episodes from `start` on."""
    columns = (column[start:].tolist() for column in episodes)
    return [f"{steps},{length},{total!r}" for total, length, steps in zip(*columns, strict=True)]


def episodes_of_rows(rows: list[list[str]]) -> Episodes:
    """Return the episodes that `episodes_rows` formatted."""
    steps, lengths, returns = zip(*rows, strict=True) if rows else ((), (), ())
    return Episodes(
        np.array([*map(float, returns)], np.float64),
        np.array([*map(int, lengths)], np.int32),
        np.array([*map(int, steps)], np.int64),
    )


def evaluations_of_rows(rows: list[list[str]]) -> tuple[Evaluated, ...]:
    """Return the evaluations along the way that `Journals.append` formatted."""
    types = Evaluated.__annotations__.values()
    return tuple(Evaluated(*(kind(field) for kind, field in zip(types, row, strict=True))) for row in rows)
