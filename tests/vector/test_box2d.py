"""Box2D's environments are stepped as Gymnasium steps them, row for row, and can be trained on."""

import gymnasium
import numpy as np
import pytest

import pgrad
from pgrad.vector.make import describe
from pgrad.vector.vector_env import VectorEnv, env_seed

pytest.importorskip("Box2D")


@pytest.mark.parametrize("env_id", ["LunarLander-v3", "LunarLanderContinuous-v3", "BipedalWalker-v3"])
def test_every_row_is_gymnasiums(env_id: str) -> None:
    seed, num_envs, random = 7, 2, np.random.default_rng(0)
    description = describe(env_id)
    envs = VectorEnv(description, num_envs, seed, "sync")
    originals = [gymnasium.make(env_id) for _ in range(num_envs)]
    right = [original.reset(seed=env_seed(seed, n))[0] for n, original in enumerate(originals)]
    ends = 0
    for _ in range(400):
        np.testing.assert_array_equal(envs.obs, right)
        action = description.actions.random(num_envs, random)
        step, native = envs.step(action), description.actions.native(action)
        for n, original in enumerate(originals):
            right[n], reward, terminated, truncated, _ = original.step(native[n])
            np.testing.assert_array_equal(step.after[n], right[n])
            assert step.reward[n] == float(reward)
            assert (step.terminated[n], step.truncated[n]) == (terminated, truncated)
            if terminated or truncated:
                right[n], ends = original.reset()[0], ends + 1
    envs.close()
    assert ends > 0


def test_lunar_lander_is_trained_on() -> None:
    result = pgrad.train("LunarLander-v3", preset="none", vectorization="sync", total_steps=512, evaluation_episodes=1)
    assert result.total_steps == 512
    assert np.isfinite(result.policies[0].parameters).all()
