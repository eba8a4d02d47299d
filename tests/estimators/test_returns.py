"""Returns over flat batches of interleaved trajectories, against a loop over one trajectory at a time."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pytest

from pgrad.estimators.returns import rewards_to_go, total_returns

Array = npt.NDArray[Any]


class Flat(NamedTuple):
    """B samples in the order of time, from N trajectories that end now and then and at the end."""

    reward: Array
    segment_end: Array
    trajectory: Array
    time: Array
    bootstrap_value: Array


def interleaved(num_trajectories: int, size: int, cuts: float, seed: int = 0) -> Flat:
    """Samples of envs in random order; some cuts are terminal, with bootstrap_value zero."""
    rng = np.random.default_rng(seed)
    trajectory = np.concatenate(
        [np.arange(num_trajectories), rng.integers(0, num_trajectories, size - num_trajectories)]
    ).astype(np.int32)
    rng.shuffle(trajectory)
    segment_end = rng.random(size) < cuts
    for n in range(num_trajectories):
        segment_end[np.flatnonzero(trajectory == n)[-1]] = True
    time, next_time = np.zeros(size, np.int32), [0] * num_trajectories
    for b, n in enumerate(trajectory):
        time[b] = next_time[n]
        next_time[n] = 0 if segment_end[b] else next_time[n] + 1
    bootstrap_value = np.where(segment_end & (rng.random(size) < 0.7), rng.normal(size=size), 0.0)
    return Flat(rng.normal(size=size), segment_end, trajectory, time, bootstrap_value)


def segments(batch: Flat) -> list[list[int]]:
    """The samples of each stretch between cuts, in the order of time."""
    found = []
    for n in range(batch.trajectory.max() + 1):
        current: list[int] = []
        for b in np.flatnonzero(batch.trajectory == n):
            current.append(int(b))
            if batch.segment_end[b]:
                found.append(current)
                current = []
        assert current == []
    return found


def flat(reward: Any, segment_end: Any, trajectory: Any, bootstrap_value: Any) -> tuple[Array, Array, Array, Array]:
    return (
        np.array(reward, float),
        np.array(segment_end, bool),
        np.array(trajectory, np.int32),
        np.array(bootstrap_value, float),
    )


def test_one_episode_by_hand() -> None:
    arguments = flat([1, 2, 4], [0, 0, 1], [0, 0, 0], [0, 0, 0])
    assert rewards_to_go(*arguments, 0.5, 1).tolist() == [1 + 1 + 1, 2 + 2, 4]


def test_a_tail_by_hand() -> None:
    """What lies beyond the segment_end counts as the return from there, discounted like the next reward."""
    arguments = flat([1, 2], [0, 1], [0, 0], [0, 8])
    assert rewards_to_go(*arguments, 0.5, 1).tolist() == [1 + 1 + 2, 2 + 4]


def test_two_interleaved_trajectories_and_a_second_episode_by_hand() -> None:
    """Trajectory 0: rewards 1, 2 | 10. Trajectory 1: rewards 100, 200, 300, segment_end with 1000 to come."""
    reward, trajectory = [1, 100, 2, 200, 300, 10], [0, 1, 0, 1, 1, 0]
    segment_end, bootstrap_value = [0, 0, 1, 0, 1, 1], [0, 0, 0, 0, 1000, 0]
    expected = [3, 1600, 2, 1500, 1300, 10]
    assert rewards_to_go(*flat(reward, segment_end, trajectory, bootstrap_value), 1.0, 2).tolist() == expected


@pytest.mark.parametrize("discount", [0.0, 0.5, 0.99, 1.0])
@pytest.mark.parametrize(("num_trajectories", "size", "cuts"), [(1, 30, 0.1), (4, 60, 0.2), (7, 7, 0.0), (3, 50, 1.0)])
def test_against_a_loop_over_trajectories(num_trajectories: int, size: int, cuts: float, discount: float) -> None:
    batch = interleaved(num_trajectories, size, cuts)
    expected = np.full(size, np.nan)
    for samples in segments(batch):
        for i, b in enumerate(samples):
            expected[b] = sum(discount**k * batch.reward[later] for k, later in enumerate(samples[i:]))
            expected[b] += discount ** len(samples[i:]) * batch.bootstrap_value[samples[-1]]
    result = rewards_to_go(
        batch.reward, batch.segment_end, batch.trajectory, batch.bootstrap_value, discount, num_trajectories
    )
    np.testing.assert_allclose(result, expected, rtol=1e-12, atol=1e-12)


def test_interleaving_changes_nothing() -> None:
    """Bit for bit: each trajectory alone gives what it gives among others."""
    batch = interleaved(5, 80, 0.15)
    together = rewards_to_go(batch.reward, batch.segment_end, batch.trajectory, batch.bootstrap_value, 0.97, 5)
    for n in range(5):
        own = batch.trajectory == n
        alone = rewards_to_go(
            batch.reward[own],
            batch.segment_end[own],
            np.zeros_like(batch.trajectory[own]),
            batch.bootstrap_value[own],
            0.97,
            1,
        )
        assert alone.tolist() == together[own].tolist()


def test_without_discounting_the_first_return_is_the_sum() -> None:
    batch = interleaved(3, 40, 0.2)
    result = rewards_to_go(batch.reward, batch.segment_end, batch.trajectory, batch.bootstrap_value, 1.0, 3)
    for samples in segments(batch):
        assert result[samples[0]] == pytest.approx(batch.reward[samples].sum() + batch.bootstrap_value[samples[-1]])


def test_a_bootstrap_value_counts_only_at_a_cut() -> None:
    batch = interleaved(3, 40, 0.2)
    expected = rewards_to_go(batch.reward, batch.segment_end, batch.trajectory, batch.bootstrap_value, 0.9, 3)
    elsewhere = np.where(batch.segment_end, batch.bootstrap_value, np.nan)
    assert (
        rewards_to_go(batch.reward, batch.segment_end, batch.trajectory, elsewhere, 0.9, 3).tolist()
        == expected.tolist()
    )


def test_total_returns_by_hand() -> None:
    to_go, trajectory = np.array([6.0, 60.0, 5.0, 3.0, 50.0]), np.array([0, 1, 0, 0, 1], np.int32)
    time = np.array([0, 0, 1, 2, 1], np.int32)
    assert total_returns(to_go, time, trajectory, 2).tolist() == [6, 60, 6, 6, 60]


def test_total_return_is_the_reward_to_go_of_the_first_step() -> None:
    batch = interleaved(6, 60, 0.0)
    to_go = rewards_to_go(batch.reward, batch.segment_end, batch.trajectory, batch.bootstrap_value, 0.9, 6)
    result = total_returns(to_go, batch.time, batch.trajectory, 6)
    for samples in segments(batch):
        expected = sum(0.9**t * batch.reward[b] for t, b in enumerate(samples))
        expected += 0.9 ** len(samples) * batch.bootstrap_value[samples[-1]]
        np.testing.assert_allclose(result[samples], expected, rtol=1e-12)


def test_the_arguments_are_left_as_they_are() -> None:
    batch = interleaved(3, 40, 0.2)
    before = [array.copy() for array in batch]
    to_go = rewards_to_go(batch.reward, batch.segment_end, batch.trajectory, batch.bootstrap_value, 0.9, 3)
    total_returns(to_go, batch.time, batch.trajectory, 3)
    for array, copy in zip(batch, before, strict=True):
        assert array.tolist() == copy.tolist()
