"""Running statistics of observations and rewards: against NumPy, against Gymnasium's wrapper, and in a whole run."""

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

import pgrad
from pgrad.algorithms.normalization import (
    new_normalization,
    observe,
    observe_batch,
    scaled_rewards,
    with_scaled_rewards,
)
from pgrad.config.resolve import resolve
from pgrad.kernels.jit import Included, Omitted
from pgrad.rollouts.batch import Batch
from pgrad.runs.folder import RunFolder, load_run
from pgrad.training.loops import new_loop

SCALES = np.array([1e3, 1e-3, 7.0])


def batch_of(seed: int, size: int = 40, num_envs: int = 4) -> Batch:
    """Environments in turn, as a fixed number of steps leaves them; some episodes begin inside."""
    rng = np.random.default_rng(seed)
    steps = size // num_envs
    env = np.tile(np.arange(num_envs, dtype=np.int32), steps)
    begun = rng.random(size) < 0.2
    time = np.full(size, 5, np.int32)
    time[begun] = 0
    return Batch(
        obs=(rng.normal(2.0, 1.0, (size, 3)) * SCALES).T.astype(np.float32).copy(),
        action=np.zeros(size, np.int32),
        reward=rng.normal(3.0, 50.0, size),
        terminated=np.zeros(size, np.bool_),
        truncated=np.zeros(size, np.bool_),
        trajectory=env,
        time=time,
        final_obs=np.empty((3, 0), np.float32),
        final_sample=np.empty(0, np.int64),
        num_trajectories=num_envs,
    )


def test_observations_have_the_mean_and_deviation_of_all_batches_together() -> None:
    normalization, batches = new_normalization(3, 0), [batch_of(k) for k in range(5)]
    for batch in batches:
        observe_batch(normalization, batch)
    seen = np.concatenate([batch.obs for batch in batches], axis=1).astype(np.float64)
    np.testing.assert_allclose(normalization.shift, seen.mean(axis=1), rtol=1e-5)
    np.testing.assert_allclose(normalization.scale, 1 / np.sqrt(seen.var(axis=1) + 1e-8), rtol=1e-5)


def test_nothing_seen_changes_nothing_and_a_constant_is_no_division_by_zero() -> None:
    normalization = new_normalization(3, 0)
    assert normalization.shift.tolist() == [0] * 3 and normalization.scale.tolist() == [1] * 3
    batch = batch_of(0)
    batch.obs[1] = 4.0
    observe_batch(normalization, batch)
    assert np.isfinite(normalization.scale).all() and normalization.shift[1] == 4.0


def test_rewards_are_scaled_by_the_deviation_of_the_discounted_return() -> None:
    """Plain Python: G ← γ G + r within an episode, over the ends of batches; statistics include the batch itself."""
    normalization, running, seen = new_normalization(0, 4), np.zeros(4), []
    for k in range(3):
        batch = batch_of(k)
        order = np.random.default_rng(k).integers(0, 4, batch.reward.size).astype(np.int32)
        batch = batch._replace(trajectory=order)  # lanes may stop before others
        scaled = scaled_rewards(normalization, batch, 0.9)
        for b in range(batch.reward.size):
            n = batch.trajectory[b]
            running[n] = (0.0 if batch.time[b] == 0 else 0.9 * running[n]) + batch.reward[b]
            seen.append(running[n])
        np.testing.assert_allclose(scaled, batch.reward / np.sqrt(np.var(seen) + 1e-8), rtol=1e-9)


def test_rewards_that_are_always_the_same_are_no_division_by_zero() -> None:
    normalization, batch = new_normalization(0, 4), batch_of(0)
    assert not scaled_rewards(normalization, batch._replace(reward=np.zeros(batch.reward.size)), 0.9).any()
    assert normalization.reward_scale[0] == pytest.approx(1e4, rel=1e-12)  # 1 / √ε, ε = 1e-8


def test_the_running_return_is_gymnasiums() -> None:
    """Beside gymnasium.wrappers.NormalizeReward on one environment, whose statistics begin with a count of 1e-4."""
    env = gymnasium.wrappers.NormalizeReward(gymnasium.make("Pendulum-v1"), gamma=0.95)
    env.reset(seed=3)
    env.action_space.seed(3)
    rewards, theirs = [], 0.0
    plain = gymnasium.make("Pendulum-v1")
    plain.reset(seed=3)
    for _ in range(150):
        action = env.action_space.sample()
        _, theirs, *_ = env.step(action)
        rewards.append(float(plain.step(action)[1]))
    batch = batch_of(0, 150, 1)._replace(reward=np.array(rewards), time=np.arange(150, dtype=np.int32))
    ours = scaled_rewards(new_normalization(0, 1), batch, 0.95)[-1]
    assert ours == pytest.approx(float(theirs), rel=2e-3)


def test_what_is_not_needed_does_not_happen() -> None:
    normalization, batch = new_normalization(3, 4), batch_of(0)
    assert with_scaled_rewards(Omitted(), normalization, batch, 0.9) is batch
    observe(Omitted(), normalization, batch)
    assert normalization.seen.tolist() == [0, 0]
    assert (with_scaled_rewards(Included(), normalization, batch, 0.9).reward != batch.reward).all()
    observe(Included(), normalization, batch)
    assert normalization.seen.tolist() == [40, 40]


SETTINGS: dict[str, Any] = {
    "preset": "none",
    "normalize_obs": True,
    "normalize_rewards": True,
    "num_envs": 8,
    "hidden": (16,),
}


def test_a_policy_keeps_its_statistics_frozen_and_saved(tmp_path: Path) -> None:
    result = pgrad.train("Pendulum-v1", seed=1, total_steps=20_000, evaluation_episodes=3, **SETTINGS)
    policy, seed = result.policies[0], result.seeds[0]
    assert (policy.shift != 0).all() and (policy.scale != 1).all()
    folder = RunFolder(tmp_path / "run", result.config)
    folder.save(result)
    run = load_run(tmp_path / "run")
    assert (run.policy.shift.tobytes(), run.policy.scale.tobytes()) == (policy.shift.tobytes(), policy.scale.tobytes())
    first, again = (pgrad.evaluate(p, episodes=3, seed=5).returns for p in (policy, run.policy))
    assert first.tolist() == again.tolist()
    assert policy.shift.tobytes() == run.policy.shift.tobytes(), "evaluation leaves them alone"
    earlier, _ = run.at(20)
    assert (earlier.shift != policy.shift).all(), "a checkpoint has the statistics of its own time"
    assert seed.critic is not None and run.critic is not None
    obs = np.array([[1.0, 0.0, 0.5], [-1.0, 0.1, -3.0]])
    assert run.critic.value(obs).tolist() == seed.critic.value(obs).tolist()


def test_the_saved_value_is_in_the_environments_rewards() -> None:
    """The learner's V is of scaled rewards; the published one times their deviation."""
    loop = new_loop(resolve("Pendulum-v1", None, {**SETTINGS, "total_steps": 5_000}), pgrad.make("Pendulum-v1"), 0)
    while not loop.finished:
        loop.advance()
    learner = loop.learner.record  # type: ignore[attr-defined]
    scale = float(learner.normalization.reward_scale[0])
    assert scale < 0.5
    obs = np.array([0.3, 0.9, 1.0])
    weights = loop.trained.critic.layers[-1][0]  # type: ignore[union-attr]
    kept = learner.critic.parameters[-1 - weights.size : -1]
    np.testing.assert_allclose(weights.ravel() * scale, kept, rtol=1e-5)
    assert np.isfinite(loop.trained.critic.value(obs))  # type: ignore[union-attr]


def test_observations_of_any_size_are_learnt_from() -> None:
    """Cart positions in micrometres: with statistics the default learns as ever, without them it does not."""

    class Tiny(gymnasium.ObservationWrapper[Any, Any, Any]):
        def __init__(self) -> None:
            super().__init__(gymnasium.make("CartPole-v1"))
            self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (4,), np.float64)

        def observation(self, observation: Any) -> Any:
            return observation.astype(np.float64) * 1e-4

    options = {"preset": "none", "total_steps": 30_000, "num_envs": 16, "evaluation_episodes": 20}
    with_them, without = (
        pgrad.train(Tiny, seed=0, normalize_obs=on, **options).mean_returns[0] for on in (True, False)
    )
    assert with_them > 2 * without
