"""Logs of episodes, one after another."""

import numpy as np

from pgrad.rollouts.batch import Episodes, concatenated, copied


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
