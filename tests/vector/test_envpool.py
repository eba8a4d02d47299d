"""EnvPool keeps to the same rows as Gymnasium: held step by step to Gymnasium's own environment in the same state."""

from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

pool = pytest.importorskip("envpool")

from pgrad.errors import EnvError  # noqa: E402
from pgrad.vector import envpool  # noqa: E402
from pgrad.vector.make import describe  # noqa: E402
from pgrad.vector.spec import quietly  # noqa: E402
from pgrad.vector.vector_env import VectorEnv  # noqa: E402


def cartpole_at(env: Any, obs: Any) -> None:
    env.unwrapped.state = np.asarray(obs, np.float64)
    env.unwrapped.steps_beyond_terminated = None


def acrobot_at(env: Any, obs: Any) -> None:
    env.unwrapped.state = np.array([np.arctan2(obs[1], obs[0]), np.arctan2(obs[3], obs[2]), obs[4], obs[5]])


def pendulum_at(env: Any, obs: Any) -> None:
    env.unwrapped.state = np.array([np.arctan2(obs[1], obs[0]), obs[2]])


def mountain_car_at(env: Any, obs: Any) -> None:
    env.unwrapped.state = tuple(map(float, obs))


@pytest.mark.parametrize(
    ("env_id", "put", "first", "kinds"),
    [
        ("CartPole-v1", cartpole_at, lambda obs: np.abs(obs) <= 0.05, {(True, False)}),
        ("Acrobot-v1", acrobot_at, lambda obs: np.abs(obs) <= [1, 0.1, 1, 0.1, 0.1, 0.1], {(False, True)}),
        ("MountainCar-v0", mountain_car_at, lambda obs: (obs[:, :1] >= -0.6) & (obs[:, 1:] == 0), {(False, True)}),
        ("MountainCarContinuous-v0", mountain_car_at, lambda obs: obs[:, :1] >= -0.6, {(False, True)}),
    ],
)
def test_every_row_is_gymnasiums(env_id: str, put: Any, first: Any, kinds: Any) -> None:
    """Observation, reward and end of each row; and each episode begins where Gymnasium's begin."""
    num_envs, random = 3, np.random.default_rng(0)
    description = describe(env_id)
    envs = VectorEnv(description, num_envs, 1)
    assert envs.note == f"{env_id}: stepped by EnvPool"
    original = gymnasium.make(env_id)
    original.reset()
    limit = description.max_episode_steps
    seen, steps, begun, recorded = set(), np.zeros(num_envs, int), np.ones(num_envs, bool), 0
    for _ in range(1010):
        obs, resetting = envs.obs, envs.resetting
        assert first(obs[begun]).all()
        action = description.actions.random(num_envs, random)
        step = envs.step(action)
        native = description.actions.native(action)
        for n in np.flatnonzero(~resetting):
            put(original, obs[n])
            right, reward, terminated, _, _ = original.unwrapped.step(native[n])
            steps[n] += 1
            np.testing.assert_allclose(step.after[n], right, atol=2e-5)
            assert abs(step.reward[n] - float(reward)) < 1e-4
            assert step.terminated[n] == terminated
            assert step.truncated[n] == (steps[n] == limit and not terminated)
            recorded += 1
            if terminated or step.truncated[n]:
                seen.add((bool(step.terminated[n]), bool(step.truncated[n])))
                steps[n] = 0
                assert envs.resetting[n]
        begun = resetting
        assert begun.sum() == 0 or (envs.obs[begun] == step.after[begun]).all()
    envs.close()
    assert seen == kinds
    assert envs.total_steps == recorded


def test_pendulum_is_still_another_one() -> None:
    """If not, its entry in envpool.DIFFERENT can go."""
    envs = pool.make_gymnasium("Pendulum-v1", num_envs=1, seed=1)
    with quietly():
        obs = envs.reset()[0]
    original: Any = gymnasium.make("Pendulum-v1").unwrapped
    differences = []
    for _ in range(200):
        faster = np.array([[2.0 if obs[0, 2] >= 0 else -2.0]], np.float32)
        pendulum_at(original, obs[0])
        original.state[1], original.last_u = obs[0, 2], None
        right = original.step(faster[0])[0]
        obs = envs.step(faster)[0]
        differences.append((abs(obs[0, 2]) == 8, np.abs(obs[0] - right).max()))
    limited, difference = map(np.array, zip(*differences, strict=True))
    assert difference[~limited].max() < 1e-5 < 1e-2 < difference[limited].max()
    with pytest.raises(EnvError, match="another one: it turns by its speed before that is limited"):
        VectorEnv(describe("Pendulum-v1"), 1, 1, "envpool")


def test_a_dict_is_read_in_gymnasiums_order() -> None:
    """EnvPool has `observation` first, Gymnasium sorts."""
    sorted_space = spaces.Dict(
        {
            "achieved_goal": spaces.Box(-np.inf, np.inf, (3,), np.float64),
            "desired_goal": spaces.Box(-np.inf, np.inf, (3,), np.float64),
            "observation": spaces.Box(-np.inf, np.inf, (10,), np.float64),
        }
    )

    class Reach(gymnasium.Env[Any, Any]):
        observation_space = sorted_space
        action_space = spaces.Box(-1, 1, (4,), np.float32)

    gymnasium.register("FetchReach-v4", Reach, max_episode_steps=50)
    try:
        description = describe("FetchReach-v4")
        envs = VectorEnv(description, 2, 1, "envpool")
        np.testing.assert_array_equal(envs.obs[:, :3], envs.obs[:, 6:9])  # the gripper is what is achieved
        assert (envs.obs[:, 3:6] != envs.obs[:, :3]).all()
        raw = pool.make_gymnasium("FetchReach-v4", num_envs=2, seed=envs.seeds[0])
        np.testing.assert_array_equal(envs.obs[:, 3:6], raw.reset()[0]["desired_goal"].astype(np.float32))
        envs.close()
    finally:
        gymnasium.registry.pop("FetchReach-v4")


def test_bounds_of_actions_and_kinds_of_observations() -> None:
    """In MuJoCo, actions and observations are float64."""
    description = envpool.describe_envpool("HalfCheetah-v5")
    assert description is not None
    envs = VectorEnv(description, 3, 1, "envpool")
    assert (description.actions.space.low, description.max_episode_steps) == ((-1.0,) * 6, 1000)  # type: ignore[union-attr]
    before = envs.obs
    kept = before.copy()
    step = envs.step(np.ones((3, 6), np.float32))
    assert (before.dtype, step.reward.dtype) == (np.float32, np.float64)
    np.testing.assert_array_equal(before, kept)
    assert (envs.obs != before).any()
    envs.close()


def test_the_seed_decides() -> None:
    starts = [VectorEnv(describe("CartPole-v1"), 3, seed, "envpool").obs for seed in (1, 1, 2)]
    np.testing.assert_array_equal(starts[0], starts[1])
    assert (starts[0] != starts[2]).all()
    assert np.unique(starts[0]).size == 12


class Other(gymnasium.Env[Any, Any]):
    observation_space: spaces.Space[Any] = spaces.Box(-1, 1, (4,))
    action_space: spaces.Space[Any] = spaces.Discrete(2)


class OtherActions(Other):
    action_space = spaces.Discrete(3)


class OtherObservations(Other):
    observation_space = spaces.Box(-1, 1, (5,))


@pytest.mark.parametrize(
    ("env", "limit", "difference"),
    [
        (Other, 300, "it ends after 500 steps, not 300"),
        (OtherActions, 500, r"its actions are Discrete\(2\), not Discrete\(3\)"),
        (OtherObservations, 500, "observation is Box"),
        (Other, 500, None),
    ],
)
def test_another_environment_of_the_same_name_is_not_taken(
    env: Any, limit: int, difference: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = gymnasium.envs.registration.EnvSpec("CartPole-v1", env, max_episode_steps=limit)
    monkeypatch.setitem(gymnasium.registry, "CartPole-v1", spec)
    description = describe("CartPole-v1")
    if difference is None:
        assert VectorEnv(description, 1, 1, "envpool").note == "CartPole-v1: stepped by EnvPool"
    else:
        with pytest.raises(EnvError, match=f"EnvPool's 'CartPole-v1' is another one: {difference}"):
            VectorEnv(description, 1, 1, "envpool")


def test_actions_with_other_bounds_are_another_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stronger(gymnasium.Env[Any, Any]):
        observation_space = spaces.Box(-1, 1, (2,))
        action_space = spaces.Box(-2, 2, (1,))

    name = "MountainCarContinuous-v0"
    spec = gymnasium.envs.registration.EnvSpec(name, Stronger, max_episode_steps=999)
    monkeypatch.setitem(gymnasium.registry, name, spec)
    with pytest.raises(EnvError, match=r"its actions are Box\(-1.0, 1.0.*not Box\(-2.0, 2.0"):
        VectorEnv(describe(name), 1, 1, "envpool")


def test_what_is_not_the_registered_environment_is_not_envpools() -> None:
    envs = VectorEnv(describe(gymnasium.make("CartPole-v1", sutton_barto_reward=True)), 2, 1)
    assert "in this process" in (envs.note or "")
    assert "EnvPool" not in (VectorEnv(describe("CartPole-v1"), 2, 1, "gymnasium").note or "")


def test_what_envpool_does_not_have_is_said() -> None:
    with pytest.raises(EnvError, match="EnvPool has no 'Taxi-v4'"):
        VectorEnv(describe("Taxi-v4"), 1, 1, "envpool")


def test_what_gymnasium_cannot_make_is_there_through_envpool() -> None:
    pong = describe("Pong-v5")
    assert pong.observations.shape == (4, 84, 84)
    with pytest.raises(EnvError, match="through EnvPool only"):
        pong.make()


def test_the_extra_step_is_nothing_but_a_reset() -> None:
    """What `Autoreset` takes for granted, and what it cannot see: a limit hides a terminal state in the same step."""
    envs: Any = pool.make_gymnasium("CartPole-v1", num_envs=8, seed=1, max_episode_steps=10)
    with quietly():
        envs.reset()
    assert envs.metadata["autoreset_mode"] == gymnasium.vector.AutoresetMode.NEXT_STEP
    ended, hidden, order = np.zeros(8, bool), 0, []
    for _ in range(300):
        obs, reward, terminated, truncated, info = envs.step(np.zeros(8, np.int64))
        order.append(info["env_id"])
        assert (reward[ended] == 0).all()
        assert (info["elapsed_step"][ended] == 0).all()
        assert not (terminated | truncated)[ended].any()
        hidden += int((truncated & (np.abs(obs[:, 2]) > 0.2095)).sum())
        ended = terminated | truncated
    assert hidden > 0
    np.testing.assert_array_equal(order, [np.arange(8)] * 300)
