"""Rollouts against dice thrown in Python: that they agree on another seed, and that wrong rows are counted."""

import numpy as np
import pytest

from pgrad.rollouts.compiled import Plan
from pgrad.verify import bookkeeping, recorded
from pgrad.verify.bookkeeping import CHECKS, different, episode_rows, key_of, recorded_rows, wrong_log

SEED, EPISODES, LANES = 3, 40, (1, 7, 30)


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer episodes: the code is the same."""
    monkeypatch.setattr(bookkeeping, "EPISODES", EPISODES)
    monkeypatch.setattr(bookkeeping, "LANES", LANES)


@pytest.mark.parametrize(("name", "count"), CHECKS, ids=[name for name, _ in CHECKS])
def test_nothing_is_wrong(name: str, count: object) -> None:
    assert count(SEED) == 0, name  # type: ignore[operator]


@pytest.mark.parametrize("name", [name for name, _ in CHECKS[:3]])
def test_other_keys_are_other_dice(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    count = dict(CHECKS)[name]
    right = bookkeeping.throw
    monkeypatch.setattr(bookkeeping, "throw", lambda key, episode, t, state: right(key, episode + 1, t, state))
    assert count(SEED) > 50


def test_each_column_of_a_record_counts() -> None:
    plan = Plan(EPISODES, 0, recorded.LIMIT, np.uint64(key_of(SEED)))
    (batch,) = recorded.dice_batches(plan, 7, 1)
    rows, episodes = sorted(recorded_rows(batch)), [episode_rows(key_of(SEED), e, e) for e in range(EPISODES)]
    expected = [row for episode in episodes for row in episode]
    assert different(rows, expected) == 0
    assert (batch.truncated.any(), batch.terminated.any()) == (True, True)
    for column in range(len(rows[0])):
        wrong = [list(row) for row in rows]
        wrong[5][column] += 1
        assert different([tuple(row) for row in wrong], expected) == 1
    assert different(rows[:-2], expected) == 2
    assert wrong_log(batch, episodes) == 0
    batch.episodes.length[3] += 1
    assert wrong_log(batch, episodes) >= 1


def test_actions_that_are_not_the_best_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    right = bookkeeping.formulas.perceptron
    monkeypatch.setattr(bookkeeping.formulas, "perceptron", lambda *given: -right(*given))
    assert bookkeeping.not_greedy(SEED) > 1000
