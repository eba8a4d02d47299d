"""What blocks hold: whole episodes, no two of them the same, whatever the number of threads."""

import dataclasses
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from pgrad.diagnostics import trajectories as module
from pgrad.diagnostics.trajectories import Block, collect, family_of, in_threads, require_memory, rolled_out, spec_of
from pgrad.diagnostics.value_fit import FIT
from pgrad.envs.make import Env, make
from pgrad.errors import ConfigError
from pgrad.estimators.advantages import multipliers
from pgrad.estimators.catalogue import CATALOGUE
from pgrad.estimators.spec import CONSTANT, GAE, REWARD_TO_GO, TOTAL_RETURN, VALUE, EstimatorSpec
from pgrad.kernels.random import fold_in
from pgrad.policies.mlp import MLPPolicy, MLPValue, initial_parameters

CHOICES = [spec_of(named, 0.99, 20.0) for named in CATALOGUE]
CARTPOLE = make("CartPole-v1")
GYMNASIUM = make("CartPole-v1", "gymnasium")


def networks(hidden: tuple[int, ...] = (5,)) -> tuple[MLPPolicy, MLPValue]:
    rng, policy, value = np.random.default_rng(0), (4, *hidden, 2), (4, *hidden, 1)
    return (
        MLPPolicy(initial_parameters(policy, "uniform", 1.0, rng), policy, env="CartPole-v1"),
        MLPValue(initial_parameters(value, "uniform", 1.0, rng), value),
    )


def collected(env: Env, number: int, size: int, seed: int) -> list[Block]:
    return collect(env, *networks(), CHOICES, number, size, seed)


def assert_same(one: list[Block], other: list[Block]) -> None:
    for a, b in zip(one, other, strict=True):
        assert a.steps == b.steps
        np.testing.assert_array_equal(a.returns, b.returns)
        for spec in CHOICES:
            np.testing.assert_array_equal(a.of(spec).a, b.of(spec).a)
            np.testing.assert_array_equal(a.estimate(spec), b.estimate(spec))


# ------------------------------------------------------------------------------------------------------------- families


def test_a_family_has_the_multipliers_of_its_members() -> None:
    """Whatever differs within a family is left to groups: Ψ and γ^t are the same numbers."""
    policy, critic = networks()
    batch = next(iter(rolled_out(dataclasses.replace(CARTPOLE, max_episode_steps=20), policy, [30], 0)))
    value = critic.value(batch.obs[:, : batch.reward.size].T)
    final = critic.value(batch.final_obs[:, : batch.final_sample.size].T)
    assert batch.final_sample.size > 0
    for spec in CHOICES:
        own, familys = (multipliers(each, batch, value, final) for each in (spec, family_of(spec)))
        np.testing.assert_allclose(own.psi, familys.psi, rtol=1e-12, atol=1e-9)
        np.testing.assert_array_equal(own.discount_power, familys.discount_power)


def test_there_are_as_few_families_as_can_be() -> None:
    families = {named.name: family_of(spec) for named, spec in zip(CATALOGUE, CHOICES, strict=True)}
    assert len(set(families.values())) == 7
    assert families["reward-to-go, whitened"] == families["reward-to-go, per step"] == EstimatorSpec(discount=0.99)
    assert families["GAE(λ=1)"] == families["reward-to-go, value"]
    assert len({families[f"GAE(λ={x})"] for x in ("1", "0.95", "0")}) == 3
    assert all(family_of(family) == family for family in families.values())
    # What does not enter must not tell families apart; what enters must.
    assert family_of(EstimatorSpec(REWARD_TO_GO, gae_lambda=0.5)) == family_of(EstimatorSpec(REWARD_TO_GO))
    assert family_of(EstimatorSpec(GAE, gae_lambda=0.5)) != family_of(EstimatorSpec(GAE, VALUE, gae_lambda=0.5))
    assert family_of(EstimatorSpec(TOTAL_RETURN, discount=0.9)) != family_of(EstimatorSpec(TOTAL_RETURN, discount=0.8))


def test_only_a_constant_baseline_is_given_the_constant() -> None:
    assert {spec.discount for spec in CHOICES} == {0.99}
    assert [spec.constant for spec in CHOICES if spec.baseline == CONSTANT] == [20.0]
    assert {spec.constant for spec in CHOICES if spec.baseline != CONSTANT} == {0.0}


# --------------------------------------------------------------------------------------------------------------- blocks


@pytest.mark.parametrize("env", [CARTPOLE, GYMNASIUM], ids=["compiled", "gymnasium"])
def test_blocks_are_of_whole_episodes_and_all_different(env: Env, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PART", 8)
    found = collected(env, 3, 20, seed=4)
    assert [block.returns.size for block in found] == [20] * 3
    for block in found:
        assert block.returns.sum() == block.steps, "CartPole pays 1 a step"
        assert block.returns.min() >= 7, "no pole falls sooner"
        for spec in CHOICES:
            pieces = block.of(spec)
            assert pieces.a.shape == pieces.u.shape == (20, networks()[0].num_parameters)
    rows = np.concatenate([block.of(CHOICES[0]).u for block in found])
    assert len(np.unique(rows, axis=0)) == 60, "no trajectory comes twice, in blocks or their parts"
    assert_same(found, collected(env, 3, 20, seed=4))
    other = np.concatenate([block.of(CHOICES[0]).u for block in collected(env, 3, 20, seed=5)])
    assert len(np.unique(np.concatenate([rows, other]), axis=0)) == 120


def test_a_block_is_its_parts_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PART", 8)
    (block,) = collected(CARTPOLE, 1, 20, seed=4)
    batches = rolled_out(CARTPOLE, networks()[0], [8, 8, 4], fold_in(4, 0))
    returns = [np.bincount(batch.trajectory, weights=batch.reward) for batch in batches]
    assert [part.size for part in returns] == [8, 8, 4]
    np.testing.assert_array_equal(block.returns, np.concatenate(returns))


def test_long_and_short_episodes_come_as_often_as_they_are() -> None:
    """One episode after another in Gymnasium has the same mean length; 4 standard errors."""
    ours = np.concatenate([block.returns for block in collected(CARTPOLE, 4, 250, seed=1)])
    theirs = np.concatenate([block.returns for block in collected(GYMNASIUM, 2, 150, seed=2)])
    error = np.sqrt(ours.var() / ours.size + theirs.var() / theirs.size)
    assert abs(ours.mean() - theirs.mean()) < 4 * error
    assert error < 1.0


@pytest.mark.parametrize("threads", [None, 1, 2, 7])
def test_the_same_bits_on_any_number_of_threads(threads: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = collected(CARTPOLE, 5, 30, seed=3)
    monkeypatch.setattr(module, "available_cores", lambda: threads)
    assert_same(collected(CARTPOLE, 5, 30, seed=3), expected)


def test_threads_are_as_many_as_cores_and_keep_the_order(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []

    class Pool(ThreadPoolExecutor):
        def __init__(self, size: int) -> None:
            sizes.append(size)
            super().__init__(size)

    monkeypatch.setattr(module, "available_cores", lambda: 3)
    monkeypatch.setattr(module, "ThreadPoolExecutor", Pool)
    assert in_threads(lambda k: k * k, range(6)) == [0, 1, 4, 9, 16, 25]
    assert sizes == [3]
    with pytest.raises(ZeroDivisionError):
        in_threads(lambda k: 1 // k, range(2))


def test_what_does_not_fit_is_refused_with_the_number_that_does() -> None:
    policy, _ = networks((64,))
    with pytest.raises(ConfigError, match=r"at most [\d,]+ for 450 parameters, not 1,000,000,000.* GiB") as raised:
        require_memory(policy, CHOICES, 10**9)
    fitting = int(str(raised.value).split("at most ")[1].split(" for")[0].replace(",", ""))
    require_memory(policy, CHOICES, fitting)
    with pytest.raises(ConfigError):
        require_memory(policy, CHOICES, fitting + 1)
    held = 4 * policy.num_parameters * fitting * len({family_of(spec) for spec in CHOICES})
    assert module.MAX_BYTES / 2 < held < module.MAX_BYTES


@pytest.mark.parametrize(
    "env",
    [
        CARTPOLE,
        GYMNASIUM,
    ],
    ids=["compiled", "gymnasium"],
)
def test_a_value_is_fitted_to_other_trajectories_than_are_looked_at(env: Env) -> None:
    batch = next(iter(rolled_out(env, networks()[0], [100], fold_in(3, FIT))))  # as value_fit.fitted_value has it
    fitted, (block,) = np.bincount(batch.trajectory, weights=batch.reward), collected(env, 1, 100, 3)
    assert (fitted != block.returns).any()
