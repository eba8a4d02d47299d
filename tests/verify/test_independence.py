"""Independence: that it holds on another seed, and that every measure sees the relation that it is about."""

import numpy as np
import pytest

from pgrad.exact.mdp import Floats
from pgrad.verify.check import MAX_Z
from pgrad.verify.independence import (
    ACTIONS,
    BITS,
    DYNAMICS,
    MEASURES,
    STARTS,
    Drawn,
    centred,
    components_z,
    dynamics_z,
    episodes_z,
    independence_checks,
    iterations_z,
    of_choices,
    sequences,
    steps_z,
    twice,
)

N, T = 500, 10


def run(seed: int = 0, batches: int = 3) -> list[Drawn]:
    """Drawn numbers that are independent."""
    rng = np.random.default_rng(seed)
    return [made(rng.random((3, N, T)), rng.random((N, T)), rng.random(N)) for _ in range(batches)]


def made(actions: Floats, dynamics: Floats, start: Floats) -> Drawn:
    """The record of uniform numbers."""
    return Drawn(
        np.array([centred(u) for u in actions]),
        centred(dynamics)[None],
        centred(start)[None, :, :, None],
        {ACTIONS: np.moveaxis(actions, 0, -1), DYNAMICS: dynamics, STARTS: start[None]},
    )


@pytest.mark.slow  # compiles for a minute what `pgrad verify` runs
def test_all_hold() -> None:
    checks = list(independence_checks(seed=3))
    assert len(checks) == 4 * 5 - 1 + 4 * 3
    assert [check for check in checks if not check.holds] == []


def test_independent_numbers_are_found_independent() -> None:
    for _, measure in MEASURES:
        assert measure(run()) < MAX_Z
    assert all(twice(run(), what, 50) == 0 for what in (ACTIONS, DYNAMICS, STARTS))


def test_equal_components_show() -> None:
    wrong = run()
    for seen in wrong:
        seen.actions[2] = seen.actions[0]
    assert components_z(wrong) > MAX_Z
    assert max(measure(wrong) for _, measure in MEASURES[1:]) < MAX_Z


@pytest.mark.parametrize("relation", [lambda u: 1 - u, lambda u: np.abs(2 * u - 1), lambda u: (u + 0.3) % 1])
def test_relations_of_other_forms_show(relation: object) -> None:
    rng = np.random.default_rng(1)
    u = rng.random((3, N, T))
    u[1] = relation(u[0])  # type: ignore[operator]
    assert components_z([made(u, rng.random((N, T)), rng.random(N))]) > MAX_Z


def test_an_environment_that_reads_the_policys_numbers_shows() -> None:
    rng = np.random.default_rng(2)
    u, start = rng.random((3, N, T)), rng.random(N)
    assert dynamics_z([made(u, u[1].copy(), start)]) > MAX_Z
    assert dynamics_z([made(u, rng.random((N, T)), u[0, :, 0].copy())]) > MAX_Z
    assert dynamics_z([made(u, rng.random((N, T)), start)]) < MAX_Z


def test_repeated_steps_episodes_and_iterations_show() -> None:
    rng = np.random.default_rng(3)
    u, dynamics, start = rng.random((3, N, T)), rng.random((N, T)), rng.random(N)
    each_step = np.repeat(dynamics[:, :1], T, axis=1)
    assert steps_z([made(u, each_step, start)]) > MAX_Z
    all_lanes = np.repeat(u[:, :1], N, axis=1)
    assert episodes_z([made(all_lanes, dynamics, start)]) > MAX_Z
    assert episodes_z([made(u, dynamics, np.repeat(start[::2], 2))]) > MAX_Z
    again = made(rng.random((3, N, T)), rng.random((N, T)), start)
    assert iterations_z([made(u, dynamics, start), again]) > MAX_Z
    assert iterations_z([made(u, dynamics, start), made(rng.random((3, N, T)), dynamics, rng.random(N))]) > MAX_Z


@pytest.mark.parametrize("lag", [1, 7, 400])
def test_a_repetition_at_any_distance_shows(lag: int) -> None:
    rng = np.random.default_rng(4)
    digits = rng.integers(0, 8, (N, 24)).astype(float)
    seen = Drawn(np.empty(0), np.empty(0), np.empty(0), {DYNAMICS: digits, STARTS: digits[:, :1].T})
    assert (twice([seen], DYNAMICS, 3), twice([seen], STARTS, 3)) == (0, 0)
    digits[lag] = digits[0]
    assert twice([seen], DYNAMICS, 3) == 24 - 20 + 1
    digits[lag : lag + 25, 0] = digits[:25, 0] if lag > 25 else digits[0, 0]
    assert twice([seen], STARTS, 3) > 0


def test_sequences_leave_out_what_is_not_known() -> None:
    draws = np.array([[1.0, 2, 3, np.nan], [5, 6, np.nan, np.nan]])
    assert sequences(draws, 2).tolist() == [[1, 2], [2, 3], [5, 6]]


def test_choices_have_mean_zero_under_their_probabilities() -> None:
    pi = np.array([[0.2], [0.5], [0.3]])
    each = np.array([of_choices(pi, np.array([float(a)]))[:, 0] for a in range(3)])
    np.testing.assert_allclose(pi[:, 0] @ each, 0, atol=1e-15)
    assert np.isnan(of_choices(pi, np.array([np.nan]))).all()


def test_every_head_is_looked_at() -> None:
    assert set(BITS) == {"softmax", "MultiDiscrete", "Gaussian", "gSDE"}
