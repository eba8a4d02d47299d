"""The allowed actions, in the forms in which environments and vector environments tell them."""

from typing import Any

import numpy as np
import pytest

from pgrad.vector.masks import mask_of_one, masks_of_batch, merged, require_choices
from pgrad.vector.step import EnvFailure

TAXI = np.array([1, 0, 1, 0, 0, 0], np.int8)


@pytest.mark.parametrize(
    ("given", "counts", "expected"),
    [
        (TAXI, (6,), TAXI),
        ([True, False], (2,), [1, 0]),
        ((np.array([1, 0]), np.array([0, 1, 1])), (2, 3), [1, 0, 0, 1, 1]),
        (np.array([1, 0, 0, 1, 1]), (2, 3), [1, 0, 0, 1, 1]),
        (((np.array([1, 0]),), (np.array([0, 1, 1]),)), (2, 3), [1, 0, 0, 1, 1]),
    ],
)
def test_of_one_environment(given: Any, counts: tuple[int, ...], expected: Any) -> None:
    mask = mask_of_one({"action_mask": given}, counts)
    assert mask is not None
    assert mask.dtype == np.bool_
    np.testing.assert_array_equal(mask, np.asarray(expected, bool))


def test_nothing_is_said() -> None:
    assert mask_of_one({}, (6,)) is None
    assert mask_of_one({"action_mask": np.ones(3)}, ()) is None, "masks mean nothing for a Box"
    assert masks_of_batch({"other": 1}, (6,), 2) is None
    assert merged([None, None], 6) is None


def test_of_a_batch() -> None:
    flat = np.array([[1, 0, 0, 1, 1], [0, 1, 1, 1, 0], [0, 0, 0, 0, 0]])
    tuples = np.empty(3, object)
    for n in range(3):
        tuples[n] = (flat[n, :2], flat[n, 2:])
    for given in (flat, tuples, (flat[:, :2], flat[:, 2:])):
        found = masks_of_batch({"action_mask": given, "_action_mask": np.array([True, True, False])}, (2, 3), 3)
        assert found is not None
        np.testing.assert_array_equal(found[0][:2], flat[:2].astype(bool))
        np.testing.assert_array_equal(found[0][2], True)  # it said nothing
        np.testing.assert_array_equal(found[1], [True, True, False])


def test_a_mask_of_the_wrong_size_is_refused() -> None:
    with pytest.raises(EnvFailure, match="has 5 entries, expected 6"):
        mask_of_one({"action_mask": np.ones(5)}, (6,))
    with pytest.raises(EnvFailure, match="has 5 entries, expected 6"):
        masks_of_batch({"action_mask": np.ones((2, 5))}, (6,), 2)


def test_a_state_without_a_choice_is_refused_where_one_is_to_act() -> None:
    mask = merged([np.array([1, 0, 0, 0, 0], bool), None], 5)
    assert mask is not None
    with pytest.raises(EnvFailure, match="allows none of the 3 choices of action part 1"):
        require_choices(mask, (2, 3), np.array([True, True]))
    require_choices(mask, (2, 3), np.array([False, True]))
    require_choices(mask, (5,), np.array([True, True]))
