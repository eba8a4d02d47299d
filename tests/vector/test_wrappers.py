"""Wrappers that normalise by statistics of their own are named, with what to use in their place."""

from typing import Any

import gymnasium
from gymnasium.wrappers import ClipAction, NormalizeObservation, NormalizeReward, TimeLimit

from pgrad.vector.make import describe
from pgrad.vector.wrappers import stateful_notes


class Mine(NormalizeReward[Any, Any]):
    """A subclass."""


def both() -> Any:
    return Mine(TimeLimit(NormalizeObservation(ClipAction(gymnasium.make("Pendulum-v1"))), 50))


def test_wrappers_with_statistics_are_found_anywhere_in_the_chain() -> None:
    assert [note.split()[0] for note in stateful_notes(both())] == ["Mine", "NormalizeObservation"]
    assert stateful_notes(ClipAction(gymnasium.make("Pendulum-v1"))) == ()


def test_the_user_is_told_what_happens_and_what_to_use() -> None:
    assert describe(both).notes == (
        "Mine starts its statistics anew in every copy, so that returns are reported in scaled rewards: use "
        "normalize_rewards=True in its place, whose statistics are saved with the policy and frozen",
        "NormalizeObservation starts its statistics anew in every copy, so that the policy sees other numbers in each "
        "copy and at evaluation: use normalize_obs=True in its place, whose statistics are saved with the policy and "
        "frozen",
    )
    assert len(describe(NormalizeObservation(gymnasium.make("Pendulum-v1"))).notes) == 1
    assert describe("Pendulum-v1").notes == ()
