"""Parameters kept along a run: which iterations' they are, and how many."""

from typing import Any

import numpy as np
import pytest

from pgrad.algorithms.checkpoints import CHECKPOINT_BYTES, MAX_CHECKPOINTS, new_checkpoints
from pgrad.algorithms.checkpoints import keep as keep_parameters
from pgrad.algorithms.learner import Checkpoints
from pgrad.algorithms.normalization import new_normalization

ROOMS = [1, 2, 3, 4, 5, 8, 13]


def room_for(room: int, every: int) -> Checkpoints:
    """Filled with what must not be there afterwards."""
    return Checkpoints(
        np.full(room, -1, np.int64),
        np.full((room, 3), np.nan, np.float32),
        np.full((room, 2), np.nan, np.float32),
        np.full((room, 4), np.nan, np.float32),
        np.full((room, 4), np.nan, np.float32),
        np.full(room, np.nan),
        np.zeros(1, np.int64),
        np.array([every]),
    )


def keep(
    room: Checkpoints, iteration: int, policy: Any, critic: Any, shift: Any, scale: Any, reward_scale: float
) -> None:
    """Keep these parameters and statistics."""
    normalization = new_normalization(4, 0)
    normalization.shift[:], normalization.scale[:], normalization.reward_scale[0] = shift, scale, reward_scale
    keep_parameters(room, iteration, (policy, critic), normalization)


def parameters_at(iteration: int) -> tuple[Any, Any]:
    return np.float32([iteration, 7, -iteration]), np.float32([1000 + iteration, 0.5])


def normalization_at(iteration: int) -> tuple[Any, Any, float]:
    return np.full(4, iteration, np.float32), np.full(4, iteration + 0.5, np.float32), iteration + 0.25


def kept(checkpoints: Checkpoints) -> list[int]:
    result: list[int] = checkpoints.iteration[: checkpoints.kept[0]].tolist()
    return result


@pytest.mark.parametrize(
    ("room", "expected"),
    [
        (2, [[0], [0, 1], [0, 2], [0, 2], [0, 4], [0, 4], [0, 4], [0, 4], [0, 8]]),
        (3, [[0], [0, 1], [0, 1, 2], [0, 2], [0, 2, 4], [0, 2, 4], [0, 4], [0, 4], [0, 4, 8]]),
        (4, [[0], [0, 1], [0, 1, 2], [0, 1, 2, 3], [0, 2, 4], [0, 2, 4], [0, 2, 4, 6], [0, 2, 4, 6], [0, 4, 8]]),
    ],
)
def test_what_is_kept_by_hand(room: int, expected: list[list[int]]) -> None:
    checkpoints = room_for(room, 1)
    for iteration, then in enumerate(expected):
        keep(checkpoints, iteration, *parameters_at(iteration), *normalization_at(iteration))
        assert kept(checkpoints) == then


@pytest.mark.parametrize("every", [1, 3, 10])
@pytest.mark.parametrize("room", ROOMS)
def test_multiples_of_the_smallest_doubling_that_fits_with_the_parameters_of_their_iteration(
    room: int, every: int
) -> None:
    checkpoints = room_for(room, every)
    for iteration in range(16 * room * every + 1):
        keep(checkpoints, iteration, *parameters_at(iteration), *normalization_at(iteration))
        spacing = every
        while iteration // spacing + 1 > room:
            spacing *= 2
        expected = list(range(0, iteration + 1, spacing))
        assert kept(checkpoints) == expected
        for k, then in enumerate(expected):
            policy, critic = parameters_at(then)
            assert checkpoints.policy[k].tolist() == policy.tolist()
            assert checkpoints.critic[k].tolist() == critic.tolist()
            shift, scale, reward_scale = normalization_at(then)
            assert checkpoints.shift[k].tolist() == shift.tolist()
            assert checkpoints.scale[k].tolist() == scale.tolist()
            assert checkpoints.reward_scale[k] == reward_scale


def test_what_is_kept_is_a_copy() -> None:
    checkpoints, (policy, critic) = room_for(2, 1), parameters_at(0)
    keep(checkpoints, 0, policy, critic, *normalization_at(0))
    policy[:], critic[:] = np.nan, np.nan
    assert checkpoints.policy[0].tolist() == parameters_at(0)[0].tolist()
    assert checkpoints.critic[0].tolist() == parameters_at(0)[1].tolist()


@pytest.mark.parametrize("room", [0, 4])
def test_nothing_is_kept_where_nothing_is_wanted(room: int) -> None:
    checkpoints = room_for(room, 0)
    for iteration in range(10):
        keep(checkpoints, iteration, *parameters_at(iteration), *normalization_at(iteration))
    assert (kept(checkpoints), int(checkpoints.every[0])) == ([], 0)
    assert np.isnan(checkpoints.policy).all()


@pytest.mark.parametrize(
    ("policy_size", "critic_size", "room"),
    [
        (2, 2, MAX_CHECKPOINTS),
        (CHECKPOINT_BYTES // 4 // MAX_CHECKPOINTS - 5, 5, MAX_CHECKPOINTS),
        (CHECKPOINT_BYTES // 4 // MAX_CHECKPOINTS - 4, 5, MAX_CHECKPOINTS - 1),
        (5, CHECKPOINT_BYTES // 4 // 7 - 5, 7),
        (CHECKPOINT_BYTES // 4, 2, 2),
    ],
)
def test_large_networks_leave_room_for_few_but_two(policy_size: int, critic_size: int, room: int) -> None:
    checkpoints = new_checkpoints(10, policy_size, critic_size)
    shapes = [(room,), (room, policy_size), (room, critic_size), (room, 0), (room, 0), (room,), (1,), (1,)]
    assert [array.shape for array in checkpoints] == shapes
    assert (int(checkpoints.kept[0]), int(checkpoints.every[0])) == (0, 10)
    assert room == 2 or checkpoints.policy.nbytes + checkpoints.critic.nbytes <= CHECKPOINT_BYTES
    assert new_checkpoints(0, policy_size, critic_size).policy.nbytes == 0
