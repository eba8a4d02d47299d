"""Problems as arrays: what is made of them, and everything that can be wrong with them."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from pgrad import exact
from pgrad.errors import MDPError


def two_states(**changes: Any) -> dict[str, Any]:
    """State 0 by action 0 stays and by action 1 ends, in state 1."""
    transition = np.array([[[1.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [0.0, 1.0]]])
    given = {
        "transition": transition,
        "reward": np.array([[1.0, 2.0], [0.0, 0.0]]),
        "start": [1.0, 0.0],
        "terminal": [False, True],
        "discount": 0.9,
    }
    return given | changes


def changed(index: Any, value: float) -> np.ndarray:
    transition = two_states()["transition"].copy()
    transition[index] = value
    return transition


def test_arrays_become_read_only_float64() -> None:
    given = two_states(start=[1, 0], terminal=[0, 1], discount=1, time_limit=np.int64(3))
    mdp = exact.MDP(**given)
    for array in (mdp.transition, mdp.reward, mdp.start):
        assert array.dtype == np.float64
        assert not array.flags.writeable
    assert mdp.terminal.dtype == np.bool_
    assert (mdp.num_states, mdp.num_actions, mdp.time_limit, mdp.discount) == (2, 2, 3, 1.0)
    given["transition"][0, 0] = 7
    assert mdp.transition[0, 0].tolist() == [1, 0], "what was given is copied"


def test_rewards_of_states_and_actions_are_spread_over_next_states() -> None:
    mdp = exact.MDP(**two_states())
    assert mdp.reward[0].tolist() == [[1, 1], [2, 2]]
    assert mdp.expected_reward.tolist() == [[1, 2], [0, 0]]


def test_expected_reward_is_weighted_by_probability() -> None:
    reward = np.zeros((2, 2, 2))
    reward[0, 0] = [4.0, 8.0]
    mdp = exact.MDP(**two_states(transition=changed((0, 0), [0.25, 0.75]), reward=reward))
    assert mdp.expected_reward[0, 0] == 7.0


def test_rows_of_terminal_states_are_ignored() -> None:
    reward = np.array([[1.0, 2.0], [np.nan, 5.0]])
    mdp = exact.MDP(**two_states(transition=changed(1, np.nan), reward=reward))
    assert mdp.transition[1].tolist() == [[0, 1], [0, 1]]
    assert not mdp.reward[1].any()


def test_rows_are_scaled_to_sum_to_one() -> None:
    mdp = exact.MDP(**two_states(transition=changed((0, 0), [0.5, 0.5 + 8e-10])))
    assert abs(mdp.transition[0, 0].sum() - 1) < 1e-15


def test_replace_makes_another_problem() -> None:
    mdp = dataclasses.replace(exact.MDP(**two_states()), discount=0.5, time_limit=4)
    assert (mdp.discount, mdp.time_limit) == (0.5, 4)
    with pytest.raises(MDPError, match="discount"):
        dataclasses.replace(mdp, discount=2)


def test_repr_is_short() -> None:
    assert repr(exact.MDP(**two_states(time_limit=3, name="x"))) == (
        "<MDP: x, 2 states (1 terminal), 2 actions, discount 0.9, at most 3 steps>"
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"transition": np.ones((2, 2))}, r"transition must have shape \[\|S\|, A, \|S\|\].*not \(2, 2\)"),
        ({"transition": np.ones((2, 2, 3))}, r"transition must have shape"),
        ({"transition": np.ones((0, 2, 0))}, r"transition must have shape"),
        ({"transition": "text"}, "transition must be an array of real numbers"),
        ({"transition": [[[1.0], [1.0, 2.0]]]}, "transition must be an array of real numbers"),
        ({"reward": np.ones(2)}, r"reward must have shape \(2, 2, 2\) or \(2, 2\).*not \(2,\)"),
        ({"start": [1.0]}, r"start must have shape \(2,\).*not \(1,\)"),
        ({"terminal": [True]}, r"terminal must have shape \(2,\)"),
        ({"terminal": [0.5, 1]}, "terminal must hold a boolean"),
        ({"transition": changed((0, 1), [0.0, 0.9])}, r"transition of state 0, action 1 sums to 0\.9, not 1"),
        (
            {"transition": changed((0, 1), [-0.5, 1.5])},
            r"transition of state 0, action 1 has a negative probability, -0.5",
        ),
        ({"transition": changed((0, 1, 0), np.nan)}, "transition of state 0, action 1 sums to nan"),
        ({"start": [0.5, 0.0]}, r"start sums to 0\.5, not 1"),
        ({"start": [1.5, -0.5]}, "start has a negative probability"),
        ({"start": [0.5, 0.5]}, "terminal states: it is not in state 1"),
        ({"reward": np.array([[1.0, np.inf], [0, 0]])}, "reward must be finite: it is inf from state 0 by action 1"),
        ({"discount": 1.1}, r"discount must be in \[0, 1\], not 1.1"),
        ({"discount": float("nan")}, "discount must be"),
        ({"discount": "high"}, "discount must be"),
        ({"time_limit": 0}, "time_limit must be an integer, at least 1, not 0"),
        ({"time_limit": 1.5}, "time_limit must be"),
        ({"time_limit": True}, "time_limit must be"),
    ],
)
def test_what_is_wrong_is_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(MDPError, match=message):
        exact.MDP(**two_states(**change))


def test_everything_wrong_is_in_one_message() -> None:
    with pytest.raises(MDPError) as caught:
        exact.MDP(**two_states(transition=changed((0, 0), 0.0), start=[0.2, 0.2], discount=-1, time_limit=-1))
    lines = str(caught.value).splitlines()
    assert [line.split()[0] for line in lines] == ["discount", "time_limit", "transition", "start", "start"]
    with pytest.raises(MDPError) as caught:
        exact.MDP(**two_states(reward=[1.0], start=[1.0], terminal="no"))
    assert len(str(caught.value).splitlines()) == 1, "shapes wait until everything is numbers"


def test_many_faulty_rows_are_counted() -> None:
    with pytest.raises(MDPError, match="and 14 more rows of transition"):
        exact.MDP(np.zeros((10, 2, 10)), np.zeros((10, 2)), np.eye(10)[0], np.zeros(10), 0.9)


def test_a_problem_too_large_is_refused_before_it_is_allocated() -> None:
    huge = np.broadcast_to(np.float64(0), (100_000, 10, 100_000))
    with pytest.raises(MDPError, match=r"100,000 x 10 x 100,000 numbers would need 745 GiB"):
        exact.MDP(huge, np.zeros((1, 1)), np.zeros(1), np.zeros(1), 0.9)


def trap(start: list[float], **changes: Any) -> exact.MDP:
    """State 0 ends in state 2; state 1 stays in itself."""
    transition = np.array([[[0.0, 0, 1]], [[0.0, 1, 0]], [[0.0, 0, 1]]])
    given = {"discount": 1.0} | changes
    return exact.MDP(transition, np.ones((3, 1)), start, [False, False, True], **given)


def test_at_discount_one_every_state_must_have_a_way_out() -> None:
    ways_out = "mark states as terminal, or use discount < 1 or a time_limit"
    with pytest.raises(MDPError, match=rf"^state 1 can never .*\(not reachable from the start\).*{ways_out}"):
        trap([1, 0, 0])
    with pytest.raises(MDPError, match=r"^state 1 can never .*\(reachable from the start\)"):
        trap([0.5, 0.5, 0])
    trap([0.5, 0.5, 0], discount=0.999)
    trap([0.5, 0.5, 0], time_limit=5)
    with pytest.raises(MDPError, match=r"states 0, 1, 2, 3, 4, 5 and 2 more can never"):
        exact.MDP(np.eye(8)[:, None], np.ones((8, 1)), np.eye(8)[0], np.zeros(8), 1.0)
