"""What is drawn: that it is as claimed on another seed, and that each statistic sees what it is about."""

from typing import Any

import numpy as np
import pytest

from pgrad.kernels import random
from pgrad.spaces import Box
from pgrad.verify import draws
from pgrad.verify.check import MAX_Z
from pgrad.verify.deviations import chi_squared_z, product_z, repeated, sum_z
from pgrad.verify.draws import CASES, claimed_z, draw_checks, forbidden, maze_batch, within
from pgrad.verify.heads import policy_of
from pgrad.verify.recorded import noise_batches

SEED = 3
FEW = 400
RNG = np.random.default_rng(5)


def test_all_hold() -> None:
    assert [check for check in draw_checks(SEED) if not check.holds] == []


def test_standard_errors_are_what_they_are_called() -> None:
    """On 400 samples of 200 numbers: mean square 1 within four of its standard errors, which is √(2/400) or so."""
    numbers = RNG.normal(size=(400, 200)) * 3
    z = [sum_z(row[None]) for row in numbers]
    assert np.mean(np.square(z)) == pytest.approx(1, abs=4 * np.sqrt(2 / 400))
    pairs = [product_z(a[None], b[None]) for a, b in zip(numbers[:200], numbers[200:], strict=True)]
    assert np.mean(np.square(pairs)) == pytest.approx(1, abs=4 * np.sqrt(2 / 200))
    flat = np.array([chi_squared_z(RNG.random(6_400)) for _ in range(FEW)])
    assert flat.mean() == pytest.approx(0, abs=4 / np.sqrt(FEW))
    assert flat.std() == pytest.approx(1, abs=4 / np.sqrt(2 * FEW))


def test_statistics_see_a_mean_a_relation_and_a_shape() -> None:
    x = RNG.normal(size=(1, 10_000))
    assert sum_z(x + 0.1) > MAX_Z
    assert product_z(x, 0.1 * x + RNG.normal(size=x.shape)) > MAX_Z
    holes = np.where(np.arange(10_000) % 2, x, np.nan)
    assert product_z(holes, x) > MAX_Z
    assert chi_squared_z(RNG.random(10_000) ** 1.2) > MAX_Z
    assert repeated(np.array([[1, 2], [2, 1], [1, 2], [1, 2]])) == 2


@pytest.mark.parametrize(("env", "head"), CASES, ids=lambda value: getattr(value, "name", ""))
def test_another_policy_is_not_the_one_that_acted(env: Any, head: Any) -> None:
    batch = noise_batches(env, policy_of(head, SEED, 4), SEED, 1)[0]
    assert claimed_z(policy_of(head, SEED + 1, 4), batch) > MAX_Z
    hotter = head._replace(temperature=1.2 * head.temperature)
    if not isinstance(head.actions, Box):
        assert claimed_z(policy_of(hotter, SEED, 4), batch) > MAX_Z


def test_a_wrong_shape_of_normal_numbers_shows() -> None:
    env, head = CASES[2]
    policy = policy_of(head, SEED, 4)
    batch = noise_batches(env, policy, SEED, 1)[0]
    mean, sigma = policy.outputs(batch.obs.T).T, np.exp(policy.log_std)[:, None]  # type: ignore[arg-type]
    flat = np.sqrt(12) * (np.random.default_rng(0).random(batch.action.shape) - 0.5)  # of the same mean and variance
    assert claimed_z(policy, batch._replace(action=mean + sigma * flat)) > MAX_Z


def test_forbidden_actions_are_counted() -> None:
    env, head = CASES[1]
    batch = noise_batches(env, policy_of(head, SEED, 4), SEED, 1)[0]
    assert forbidden(batch) == 0
    mask = batch.mask.copy()
    mask[8 + batch.action[1, 7], 7] = False
    assert forbidden(batch._replace(mask=mask)) == 1


def test_what_the_environment_gets_is_compared_with_what_was_drawn() -> None:
    env, head = CASES[2]
    batch = noise_batches(env, policy_of(head, SEED, 4), SEED, 1)[0]
    assert within(head, batch) < 1e-7
    assert within(head._replace(squash=True), batch) > 0.1
    obs = batch.obs.copy()
    obs[3, np.flatnonzero(batch.time > 0)[0]] += 0.1
    assert within(head, batch._replace(obs=obs)) == pytest.approx(0.1 / 3, rel=1e-4)


def test_wrong_random_numbers_show(monkeypatch: pytest.MonkeyPatch) -> None:
    assert draws.wrong_bits() == 0
    monkeypatch.setattr(draws, "normal", lambda key, k: 1.1 * random.normal(key, k))
    assert draws.numbers_z(SEED) > MAX_Z
    monkeypatch.setattr(draws, "fold_in", lambda key, k: random.fold_in(key, k + 1))
    assert draws.wrong_bits() == 3


def test_the_maze_forbids_actions() -> None:
    head = CASES[0][1]._replace(actions=draws.Discrete(4))
    batch = maze_batch(policy_of(head, SEED), SEED)
    assert not batch.mask.all()
    assert batch.mask.any(axis=0).all()
