"""What is read off an estimate from a probe: the weights that were put in."""

import numpy as np
import pytest

from pgrad.exact.trajectories import Trajectory
from pgrad.verify.probes import (
    as_if_terminated,
    estimate,
    ignored,
    probe,
    probes,
    read_weights,
    truncated_probes,
    with_one_reward,
    with_other_values,
)
from pgrad.verify.zoo import SCORES

BATCHES = probes(np.random.default_rng(0))


def test_probes_are_ragged_batches_of_one_to_five_in_which_no_state_comes_twice() -> None:
    assert [len(batch) for batch in BATCHES] == [1, 2, 3, 4, 5]
    assert max(len(one) for batch in BATCHES for one in batch) == 12
    for batch in BATCHES:
        states = np.concatenate([one.states for one in batch])
        assert len(set(states)) == len(states)
        assert len({len(one) for one in batch}) == len(batch)
        for one in batch:
            assert one.terminated and one.values[-1] == 0
            np.testing.assert_allclose(one.probabilities.sum(axis=1), 1)
            np.testing.assert_allclose(np.einsum("ta,tap->tp", one.probabilities, one.all_scores), 0, atol=1e-15)
            np.testing.assert_array_equal(one.scores, one.all_scores[np.arange(len(one)), one.actions])


@pytest.mark.parametrize("seed", [42, 61, 67, 77])
def test_one_trajectory_chosen_by_one_rule_is_never_that_of_another_everywhere(seed: int) -> None:
    """At these seeds the first or the last was also the longest or the best in every batch."""
    batch = probes(np.random.default_rng(seed))[-1]
    returns = [sum(one.discount**t * r for t, r in enumerate(one.rewards)) for one in batch]
    lengths = [len(one) for one in batch]
    places = [lengths.index(max(lengths)), returns.index(max(returns)), returns.index(min(returns))]
    assert sorted(places) == [1, 2, 3]


@pytest.mark.parametrize(("scores", "name"), SCORES, ids=lambda x: x if isinstance(x, str) else x.__name__)
def test_weights_are_read_back_from_any_score(scores: object, name: str) -> None:
    rng = np.random.default_rng(1)
    for batch in BATCHES:
        rows = np.concatenate([scores(one) for one in batch])  # type: ignore[operator]
        weights = rng.normal(size=len(rows))
        found = read_weights(weights @ rows, batch, scores)  # type: ignore[arg-type]
        assert found is not None
        np.testing.assert_allclose(found, weights, rtol=1e-10)


def test_what_is_no_sum_of_scores_has_no_weights() -> None:
    batch = BATCHES[2]
    assert read_weights(np.ones(batch[0].scores.shape[1]), batch) is None
    assert read_weights(batch[0].all_scores[0].sum(axis=0), batch) is None


def test_a_trajectory_without_weight_is_ignored() -> None:
    batch = BATCHES[1]
    assert ignored(batch[0].scores.sum(axis=0), batch)
    assert not ignored(sum(one.scores.sum(axis=0) for one in batch), batch)


def test_truncated_probes_are_truncated_and_their_last_value_counts() -> None:
    def last_values(batch: list[Trajectory]) -> np.ndarray:
        return np.sum([one.values[-1] * one.scores[0] for one in batch], axis=0)

    for batch in truncated_probes(np.random.default_rng(0)):
        assert [one.truncated for one in batch] == [False] + [True] * (len(batch) - 1)
        assert estimate(last_values, batch).any()
        assert not estimate(last_values, as_if_terminated(batch)).any()
        other = with_other_values(batch)
        assert all((one.values != two.values)[:-1].all() for one, two in zip(batch, other, strict=True))
        assert [one.values[-1] == two.values[-1] for one, two in zip(batch, other, strict=True)] == [
            not one.truncated for one in batch
        ]


def test_one_reward_is_left() -> None:
    batch = with_one_reward(probe([3, 2], np.random.default_rng(0), 0.5), 2)
    assert [one.rewards.tolist() for one in batch] == [[0, 0, 1], [0, 0]]
    assert not any(one.values.any() for one in batch)
    assert {one.discount for one in batch} == {0.5}
