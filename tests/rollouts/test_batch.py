"""Logs of episodes, one after another."""

import numpy as np
from tests.bare_samples import bare_batch

from pgrad.rollouts.batch import Episodes, chosen_samples, concatenated, copied


def test_logs_are_joined_in_order() -> None:
    first = Episodes(np.array([1.5]), np.array([3], np.int32), np.array([10]))
    second = Episodes(np.array([2.5, 0.5]), np.array([4, 5], np.int32), np.array([20, 30]))
    joined = concatenated([first, second])
    assert [column.tolist() for column in joined] == [[1.5, 2.5, 0.5], [3, 4, 5], [10, 20, 30]]
    assert [column.dtype for column in joined] == [np.float64, np.int32, np.int64]
    assert [column.size for column in concatenated([])] == [0, 0, 0]


def test_a_copy_is_of_the_first_few_and_stays_as_it_is() -> None:
    log = Episodes(np.array([2.5, 0.5]), np.array([4, 5], np.int32), np.array([20, 30]))
    some, whole = copied(log, 1), copied(log)
    for column in log:
        column[:] = 0
    assert [column.tolist() for column in some] == [[2.5], [4], [20]]
    assert [column.tolist() for column in whole] == [[2.5, 0.5], [4, 5], [20, 30]]


def test_chosen_samples_are_copies_of_their_own_numbers() -> None:
    obs, mask = np.arange(10, dtype=np.float32).reshape(2, 5), np.eye(3, 5, dtype=np.bool_)
    batch = bare_batch(obs, np.arange(5, dtype=np.int32), mask)._replace(reward=np.arange(5.0))
    chosen = np.array([4, 0, 2])
    part = chosen_samples(batch, chosen)
    for name in ("obs", "action", "reward", "mask"):
        found, whole = getattr(part, name), getattr(batch, name)
        np.testing.assert_array_equal(found, whole[..., chosen])
        assert found.dtype == whole.dtype and not np.shares_memory(found, whole)
