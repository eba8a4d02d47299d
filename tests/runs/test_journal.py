"""Journals: what is read back is what was written, bit for bit, and nothing else is taken for it."""

from pathlib import Path

import numpy as np
import pytest

from pgrad.algorithms.iteration import METRICS
from pgrad.errors import RunError
from pgrad.rollouts.batch import Episodes
from pgrad.runs.journal import Journals, journals_in


def histories(rows: int) -> tuple[np.ndarray, Episodes]:
    rng = np.random.default_rng(0)
    metrics = rng.standard_normal((rows, len(METRICS))) * 10.0 ** rng.integers(-300, 300, (rows, len(METRICS)))
    metrics[:, :2] = np.arange(2 * rows).reshape(rows, 2)
    metrics[1:, 3], metrics[2:, 4] = np.nan, np.inf
    lengths, steps = np.arange(rows, dtype=np.int32), 10**12 + np.arange(rows)
    return metrics, Episodes(rng.standard_normal(rows), lengths, steps)


def written(folder: Path, *ends: int) -> tuple[Journals, list[dict[str, list[object]]]]:
    """Journals of histories that grew to each of these lengths, and their marks then."""
    journals, marks = journals_in(folder), []
    for end in ends:
        metrics, episodes = histories(50)
        journals.append(metrics[:end], Episodes(*(column[:end] for column in episodes)))
        marks.append({name: list(mark) for name, mark in journals.marks().items()})
    return journals, marks


@pytest.mark.parametrize("end", [0, 1, 50])
def test_histories_come_back_bit_for_bit(tmp_path: Path, end: int) -> None:
    _, (mark,) = written(tmp_path, end)
    metrics, episodes, _ = journals_in(tmp_path).read(mark)
    expected, log = histories(50)
    np.testing.assert_array_equal(metrics, expected[:end])
    for column, wanted in zip(episodes, log, strict=True):
        assert (column.dtype, column.tobytes()) == (wanted.dtype, wanted[:end].tobytes())


def test_a_journal_that_grew_is_the_one_that_was_written_at_once(tmp_path: Path) -> None:
    (tmp_path / "once").mkdir()
    written(tmp_path, 0, 3, 3, 20, 50)
    written(tmp_path / "once", 50)
    for name in ("metrics.csv", "episodes.csv"):
        assert (tmp_path / name).read_bytes() == (tmp_path / "once" / name).read_bytes()


@pytest.mark.parametrize("torn", [b"", b"4,7,", b"4,7,1,0.5\n" * 3000])
def test_what_a_crash_left_after_a_checkpoint_is_overwritten(tmp_path: Path, torn: bytes) -> None:
    (tmp_path / "once").mkdir()
    written(tmp_path / "once", 50)
    _, (mark,) = written(tmp_path, 7)
    for name in ("metrics.csv", "episodes.csv"):
        (tmp_path / name).write_bytes((tmp_path / name).read_bytes() + torn)
    journals = journals_in(tmp_path)
    metrics, _, _ = journals.read(mark)
    assert len(metrics) == 7
    journals.append(*histories(50))
    for name in ("metrics.csv", "episodes.csv"):
        assert (tmp_path / name).read_bytes() == (tmp_path / "once" / name).read_bytes()


@pytest.mark.parametrize("name", ["metrics.csv", "episodes.csv"])
def test_a_journal_that_has_changed_is_refused(tmp_path: Path, name: str) -> None:
    _, (early, late) = written(tmp_path, 3, 9)
    whole = (tmp_path / name).read_bytes()
    for damaged in (whole[:-1], whole[:20], whole.replace(b"1", b"2"), whole[:-2] + b"\x00\n"):
        (tmp_path / name).write_bytes(damaged)
        with pytest.raises(RunError, match=rf"{name} has changed since its checkpoint"):
            journals_in(tmp_path).read(late)
    (tmp_path / name).write_bytes(whole[:-1])
    assert len(journals_in(tmp_path).read(early)[0]) == 3, "what belongs to an earlier checkpoint is whole"
    (tmp_path / name).unlink()
    with pytest.raises(RunError, match=rf"cannot read .*{name}"):
        journals_in(tmp_path).read(late)


def test_a_journal_that_cannot_be_written_is_as_it_was(tmp_path: Path) -> None:
    journals, _ = written(tmp_path, 3)
    (tmp_path / "metrics.csv").rename(tmp_path / "kept")
    (tmp_path / "metrics.csv").mkdir()
    with pytest.raises(RunError, match=r"cannot write .*metrics\.csv"):
        journals.append(*histories(5))
    assert journals.metrics.rows == 3
    (tmp_path / "metrics.csv").rmdir()
    (tmp_path / "kept").rename(tmp_path / "metrics.csv")
    journals.append(*histories(5))
    assert (tmp_path / "metrics.csv").read_bytes().count(b"\n") == 6
