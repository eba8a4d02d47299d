"""What people see while they wait."""

import dataclasses
import io
import math
import types

import pytest

import pgrad
from pgrad.training import console as console
from pgrad.training.console import ConsoleProgress, StepProgress, compile_notice, describe
from pgrad.training.seeds import Snapshot

NOTICE = console.COMPILE_NOTICE_SECONDS
SNAPSHOT = Snapshot(
    seconds=3.0,
    stage="training",
    seeds=4,
    finished=1,
    solved=0,
    total_steps=2_000_000,
    planned_steps=5_000_000,
    mean_return=123.45,
    recent_steps_per_second=1.5e6,
)


class Clock:
    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(console, "time", types.SimpleNamespace(monotonic=clock.monotonic))
    return clock


def shown(*snapshots: Snapshot, clock: Clock, apart: float = 10.0) -> list[str]:
    """The plain lines that snapshots make."""
    stream = io.StringIO()
    with ConsoleProgress(stream) as progress:
        for snapshot in snapshots:
            progress(snapshot)
            clock.now += apart
    return stream.getvalue().splitlines()


def at(**changes: object) -> Snapshot:
    return dataclasses.replace(SNAPSHOT, **changes)  # type: ignore[arg-type]


def test_stopping_is_told_at_once(clock: Clock) -> None:
    _, told = shown(SNAPSHOT, at(stage="stopping"), clock=clock, apart=0.1)
    assert told == "stopping after this iteration; a second signal stops at once"


def test_a_snapshot_in_one_line() -> None:
    assert describe(SNAPSHOT) == (
        "2,000,000 steps · 1.50 M steps/s · return 123.5 · seeds 1/4 done, 0 solved · 2 s left"
    )


@pytest.mark.parametrize(
    ("changes", "absent"),
    [
        ({"mean_return": math.nan}, "return"),
        ({"seeds": 1}, "seeds"),
        ({"planned_steps": None}, "left"),
        ({"recent_steps_per_second": 0.0}, "left"),
        ({"total_steps": 500}, "left"),
    ],
)
def test_what_is_not_known_is_not_told(changes: dict[str, object], absent: str) -> None:
    assert absent in describe(SNAPSHOT)
    assert absent not in describe(at(**changes))


def test_more_steps_than_planned_leave_no_negative_time() -> None:
    assert describe(at(total_steps=6_000_000)).endswith("0 s left")


@pytest.mark.parametrize(("seeds", "words"), [(1, "1 frozen policy"), (2, "2 frozen policies")])
def test_evaluating(seeds: int, words: str) -> None:
    assert words in describe(at(stage="evaluating", seeds=seeds))


def test_plain_lines_without_a_terminal(clock: Clock) -> None:
    lines = shown(SNAPSHOT, at(stage="evaluating"), clock=clock)
    assert lines == [describe(SNAPSHOT), describe(at(stage="evaluating"))]
    assert not any(character in "".join(lines) for character in "\x1b\r")


def test_plain_lines_come_every_few_seconds_only(clock: Clock) -> None:
    snapshots = [at(total_steps=k) for k in range(1, 101)]
    lines = shown(*snapshots, clock=clock, apart=0.1)
    assert 3 <= len(lines) <= 1 + 10 / console.PLAIN_SECONDS
    assert lines[0] == describe(snapshots[0])


def test_the_compilation_is_announced_once_and_has_no_speed(clock: Clock) -> None:
    waiting = [at(stage="compiling", total_steps=124, seconds=NOTICE * factor) for factor in (0.2, 0.9, 1.1, 5.0, 15.0)]
    lines = shown(*waiting, SNAPSHOT, clock=clock)
    assert lines == ["compiling for this environment (15 to 20 s, kept for next time)", describe(SNAPSHOT)]


def test_the_live_line_of_a_compilation_is_its_elapsed_time() -> None:
    assert describe(at(stage="compiling", seconds=12.3)) == "compiling … 12 s"


def test_what_is_read_from_the_cache_is_not_announced(clock: Clock) -> None:
    assert shown(at(stage="compiling", seconds=0.9 * NOTICE), clock=clock) == []


def test_the_announcement_says_when_it_will_be_needed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "CACHE_FOLDER", None)
    assert compile_notice() == "compiling (15 to 20 s, not kept: no cache folder can be written)"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("last", [SNAPSHOT, at(stage="compiling")], ids=["training", "compiling"])
def test_one_live_line_in_a_terminal(monkeypatch: pytest.MonkeyPatch, last: Snapshot) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")
    stream = Terminal()
    with ConsoleProgress(stream) as progress:
        progress(at(stage="compiling", total_steps=0))
        progress(last)
        assert progress.live is not None and progress.live.is_started
    assert not progress.live.is_started
    assert stream.getvalue().count("compiling for this environment") == 1
    assert describe(last) in stream.getvalue()


class Compiled:
    def __init__(self, in_cache: bool) -> None:
        self.in_cache = in_cache


def test_steps_are_told_now_and_then(clock: Clock) -> None:
    stream = io.StringIO()
    with StepProgress(Compiled(in_cache=True), stream) as progress:
        for name in ("first", "second", "third", "fourth"):
            progress(name)
            clock.now += 1.1
    assert stream.getvalue() == "third\n"


@pytest.mark.parametrize("in_cache", [True, False])
def test_steps_say_whether_something_is_compiled_first(in_cache: bool) -> None:
    stream = io.StringIO()
    with StepProgress(Compiled(in_cache), stream) as progress:
        assert not stream.getvalue(), "what is refused before its first step compiles nothing"
        progress("first")
        progress("second")
    assert stream.getvalue().count("compiling (15 to 20 s") == (0 if in_cache else 1)


def test_steps_spin_in_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    with StepProgress(Compiled(in_cache=True), Terminal()) as progress:
        progress("going through every batch")
        assert progress.status is not None and progress.status.status == "going through every batch"


@pytest.mark.parametrize("somebody_looks", [True, False])
def test_a_long_compilation_is_announced_from_python_where_somebody_looks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], somebody_looks: bool
) -> None:
    monkeypatch.setattr(console.sys.stderr, "isatty", lambda: somebody_looks)
    with console.shown_to_people(None) as report:
        assert (report is not None) == somebody_looks
        for seconds in (0.1, NOTICE + 1, NOTICE + 2):
            if report is not None:
                report(at(stage="compiling", seconds=seconds, total_steps=0))
        if report is not None:
            report(SNAPSHOT)
    assert capsys.readouterr().err.count("compiling for this environment") == somebody_looks
    assert "steps/s" not in capsys.readouterr().err


def test_python_shows_the_same_lines_as_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    settings: dict[str, object] = {"algorithm": "notebook", "num_iterations": 2, "evaluation_episodes": 0}
    pgrad.train("CartPole-v1", **settings, preset="none", progress=False)  # type: ignore[arg-type]
    assert capsys.readouterr().err == ""
    pgrad.train("CartPole-v1", **settings, preset="none", progress=True)  # type: ignore[arg-type]
    assert "steps" in capsys.readouterr().err
    told: list[Snapshot] = []
    pgrad.train("CartPole-v1", **settings, preset="none", progress=told.append)  # type: ignore[arg-type]
    assert told and told[-1].total_steps > 0
