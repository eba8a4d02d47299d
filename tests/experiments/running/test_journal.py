"""The journal: whole lines are kept, damaged ones are set aside, and another search's is refused."""

from pathlib import Path
from typing import Any

import pytest

from pgrad.errors import RunError
from pgrad.experiments.running.journal import Journal, as_document, line
from pgrad.experiments.tuning.runs import Run

SEARCH: dict[str, Any] = {"trials": 3, "base": {"hidden": (64,), "discount": 0.99}}
RUNS = [Run(trial, 1000, 500, 1.5, None, 0.1) for trial in range(3)] + [Run(3, 1000, 500, None, None, 0.1, "no")]


def opened(path: Path, header: dict[str, Any] = SEARCH) -> Journal[Run]:
    return Journal(path, header, Run, "search")


def written(path: Path) -> str:
    with opened(path) as journal:
        for run in RUNS:
            journal.add(run)
    return path.read_text()


def test_what_is_added_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "new" / "journal.jsonl"
    text = written(path)
    assert len(text.splitlines()) == 1 + len(RUNS)
    with opened(path) as journal:
        assert journal.runs == RUNS
        assert not journal.set_aside
    assert path.read_text() == text


def test_a_line_is_on_disk_as_soon_as_it_is_added(tmp_path: Path) -> None:
    with opened(tmp_path / "journal.jsonl") as journal:
        journal.add(RUNS[0])
        assert as_document((tmp_path / "journal.jsonl").read_text().splitlines(True)[-1]) == RUNS[0]._asdict()


def test_wherever_the_last_line_was_cut_it_is_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    text = written(path)
    last = text.splitlines(keepends=True)[-1]
    for cut in range(1, len(last)):
        path.write_text(text[:-cut])
        with opened(path) as journal:
            assert journal.runs == RUNS[:-1]
            assert journal.set_aside == [1 + len(RUNS)]
            assert (tmp_path / "journal.jsonl.damaged").read_text().splitlines()[-1] == last[:-cut].rstrip("\n")
            journal.add(RUNS[-1])
        assert path.read_text() == text


def test_wherever_a_bit_has_changed_a_line_is_damaged() -> None:
    text = line(RUNS[0]._asdict())
    assert as_document(text) == RUNS[0]._asdict()
    for k, byte in enumerate(text.encode()):
        for bit in range(7):
            changed = text.encode()[:k] + bytes([byte ^ 1 << bit]) + text.encode()[k + 1 :]
            assert as_document(changed.decode()) is None, changed


def test_a_first_line_that_was_cut_is_no_search_yet(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_text('{"trials": ')
    with opened(path) as journal:
        assert journal.runs == []
    assert len(path.read_text().splitlines()) == 1


def test_a_journal_of_another_search_is_refused_with_what_differs(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    before = written(path)
    other = {"trials": 4, "base": {"hidden": (64, 64), "discount": 0.99}, "more": 1}
    with pytest.raises(RunError) as caught:
        opened(path, other)
    assert str(caught.value) == (
        f"{path} is of another search (trials was 3 and is 4; base.hidden was [64] and is [64, 64]; more was null and "
        "is 1): choose another --out, or remove it to begin anew"
    )
    assert path.read_text() == before


@pytest.mark.parametrize("line", ["{broken", '{"trial": 3}', "[1, 2]", "\x00\ufffd"])
def test_a_damaged_line_in_the_middle_is_set_aside_and_named_and_the_rest_used(tmp_path: Path, line: str) -> None:
    path = tmp_path / "journal.jsonl"
    lines = written(path).splitlines()
    path.write_text("\n".join([*lines[:2], line, *lines[3:]]) + "\n")
    with opened(path) as journal:
        assert journal.runs == [RUNS[0], *RUNS[2:]]
        assert journal.story() == [
            f"line 3 of {path}, damaged, set aside in journal.jsonl.damaged",
            "going on after 3 runs",
        ]
    assert (tmp_path / "journal.jsonl.damaged").read_text() == f"{line}\n"
    assert path.read_text().splitlines() == [*lines[:2], *lines[3:]]
    with opened(path) as journal:
        assert journal.set_aside == []


def test_without_its_first_line_nobody_knows_what_a_journal_is_of(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_text("{" + written(path))
    before = path.read_text()
    with pytest.raises(RunError, match="its first line is damaged"):
        opened(path)
    assert path.read_text() == before


def test_what_is_no_journal_is_refused(tmp_path: Path) -> None:
    (tmp_path / "journal.jsonl").write_text("[1]\n")
    with pytest.raises(RunError, match="its first line is damaged"):
        opened(tmp_path / "journal.jsonl")
    with pytest.raises(RunError, match="cannot write"):
        opened(tmp_path / "journal.jsonl" / "below")


def test_two_searches_do_not_share_one(tmp_path: Path) -> None:
    with (
        opened(tmp_path / "journal.jsonl"),
        pytest.raises(RunError, match="another process trains in"),
    ):
        opened(tmp_path / "journal.jsonl")
    with opened(tmp_path / "journal.jsonl"):
        pass
