"""The processes that make runs: an interruption ends them, however many requests are left."""

import itertools
from contextlib import closing

import pytest

from pgrad.experiments.running.workers import Worker, answers
from pgrad.experiments.sweeps.runs import answer


def test_when_the_iteration_stops_no_further_process_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The requests are none, so that a process dies over each, and another takes its place."""
    started, start = itertools.count(), Worker._start
    monkeypatch.setattr(Worker, "_start", lambda worker: (next(started), start(worker))[1])
    with closing(answers(answer, [{}] * 100, 2)) as answered:
        number, how = next(answered)
    assert number < 2 and how == "its process ended with code 1"
    assert next(started) <= 4, "the first two, and one that each may have begun before the end"
