"""Dynamics as a gymnasium.Env: what any library may ask of it."""

import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from pgrad.envs import Box, Discrete, MultiDiscrete, gymnasium_adapter, uniform
from pgrad.envs.dynamics import observe, reset, step
from pgrad.envs.gymnasium_adapter import GymnasiumAdapter, gymnasium_id, register
from pgrad.errors import EnvError
from pgrad.kernels.random import DYNAMICS_KEY, RESET_KEY, fold_in


class Slide(NamedTuple):
    """A box of two on a line, pushed."""

    friction: float = 0.1
    observation_space = Box((-5.0, -1.0), (5.0, 1.0))
    action_space = Box(-0.1, 0.1)
    max_episode_steps = 15
    render_fps = 1000

    def reset(self, key: int) -> tuple[float, float]:
        return uniform(key, 0, -0.5, 0.5), 0

    def step(self, state: Any, action: Any, key: int) -> Any:
        x, v = state
        v = min(max((1.0 - self.friction) * v + action[0] + uniform(key, 0, -0.01, 0.01), -1.0), 1.0)
        x = min(max(x + v, -5.0), 5.0)
        return (x, v), -abs(x), abs(x) > 1.0

    def render(self, state: Any) -> Any:
        return np.full((8, 10, 3), int(10 * abs(state[0])), np.uint8)


class Doors(NamedTuple):
    """Numbered rooms; the third door only opens from the last."""

    observation_space = Discrete(4)
    action_space = Discrete(3)
    max_episode_steps = 6

    def reset(self, key: int) -> tuple[int]:
        return (int(uniform(key, 0, 0, 4)),)

    def step(self, state: Any, action: int, key: int) -> Any:
        return (min(int(state[0]) + action, 3),), 1.0, action == 2

    def mask(self, state: Any) -> tuple[bool, ...]:
        return True, True, state[0] == 3.0


class Switches(NamedTuple):
    """Two of them."""

    observation_space = MultiDiscrete((2, 3))
    action_space = MultiDiscrete((2, 3))
    max_episode_steps = 5

    def reset(self, key: int) -> tuple[int, int]:
        return int(uniform(key, 0, 0, 2)), int(uniform(key, 1, 0, 3))

    def step(self, state: Any, action: Any, key: int) -> Any:
        return (action[0], action[1]), 1.0, False


@pytest.fixture(autouse=True)
def own_registry() -> Iterator[None]:
    before = dict(gymnasium.registry)
    yield
    gymnasium.registry.clear()
    gymnasium.registry.update(before)


@pytest.mark.parametrize("kind", [Slide, Doors, Switches])
def test_gymnasiums_own_check_finds_nothing(kind: Any) -> None:
    env = gymnasium.make(register(kind, "Checked-v0"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        if kind is Slide:  # that bounds of actions had better be ±1
            warnings.filterwarnings("ignore", ".*For Box action spaces.*")
        check_env(env.unwrapped)


def test_whole_episodes_are_the_dynamics_own_with_gymnasiums_time_limit() -> None:
    env, rng = gymnasium.make(register(Slide(friction=0.5), "Slide-v0")), np.random.default_rng(0)
    ends = []
    for episode in range(30):
        obs, _ = env.reset(seed=episode)
        key = int(np.random.Generator(np.random.PCG64(episode)).integers(0, 2**64, dtype=np.uint64))
        state, t, ended = reset(Slide(), fold_in(key, RESET_KEY)), 0, False
        while not ended:
            np.testing.assert_array_equal(obs, np.array(observe(Slide(), state), np.float32))
            assert obs.dtype == np.float32
            action = rng.uniform(-0.1, 0.1, 1).astype(np.float32)
            numbers = (min(max(float(action[0]), -0.1), 0.1),)
            state, reward, terminated = step(Slide(0.5), state, numbers, fold_in(fold_in(key, DYNAMICS_KEY), t))
            obs, expected_reward, expected_end, truncated, _ = env.step(action)
            t += 1
            assert (reward, terminated) == (expected_reward, expected_end)
            assert truncated == (t >= 15)
            ended = terminated or truncated
        ends.append(terminated)
    assert any(ends) and not all(ends)


def test_a_seed_gives_the_same_episodes_and_none_other_ones() -> None:
    env = GymnasiumAdapter(Slide())
    first, second, third = env.reset(seed=3)[0], env.reset()[0], env.reset(seed=3)[0]
    assert first.tolist() == third.tolist() != second.tolist()
    assert env.reset()[0].tolist() == second.tolist()


def test_spaces_and_observations_are_gymnasiums() -> None:
    for kind, space in ((Doors, gymnasium.spaces.Discrete(4)), (Switches, gymnasium.spaces.MultiDiscrete([2, 3]))):
        env = GymnasiumAdapter(kind())
        assert env.observation_space == space
        assert env.observation_space.contains(env.reset(seed=0)[0])
    assert GymnasiumAdapter(Slide()).action_space == gymnasium.spaces.Box(-0.1, 0.1, (1,), np.float32)


def test_masks_are_in_info() -> None:
    env = GymnasiumAdapter(Doors())
    seen = set()
    for seed in range(20):
        obs, info = env.reset(seed=seed)
        assert info["action_mask"].tolist() == [1, 1, int(obs == 3)] and info["action_mask"].dtype == np.int8
        obs, _, _, _, info = env.step(env.action_space.sample(info["action_mask"]))
        assert info["action_mask"].tolist() == [1, 1, int(obs == 3)]
        seen.add(int(obs) == 3)
    assert seen == {True, False}
    assert "action_mask" not in GymnasiumAdapter(Slide()).reset()[1]


@pytest.mark.parametrize(
    ("kind", "action"),
    [
        (Slide, [0.2]),
        (Slide, [0.0, 0.0]),
        (Slide, [float("nan")]),
        (Slide, "left"),
        (Doors, 3),
        (Doors, -1),
        (Doors, 0.5),
        (Switches, [1]),
        (Switches, [1, 3]),
    ],
)
def test_an_action_outside_the_space_is_refused(kind: Any, action: Any) -> None:
    env = GymnasiumAdapter(kind())
    env.reset(seed=0)
    with pytest.raises(EnvError, match=r"is not in .*'s action space"):
        env.step(action)


def test_the_largest_float32_action_is_the_bound_itself() -> None:
    """0.1 is 0.10000000149 in float32."""

    class Recorder(Slide):
        def step(self, state: Any, action: Any, key: int) -> Any:
            assert -0.1 <= action[0] <= 0.1
            return state, action[0], False

    env = GymnasiumAdapter(Recorder())
    env.reset(seed=0)
    assert [env.step(np.array([a], np.float32))[1] for a in (0.1, -0.1)] == [0.1, -0.1]


def test_images() -> None:
    env = gymnasium.make(register(Slide, "Slide-v0"), render_mode="rgb_array")
    obs, _ = env.reset(seed=1)
    image: Any = env.render()
    assert (image == int(10 * abs(float(obs[0])))).all() and image.shape == (8, 10, 3)
    assert env.unwrapped.metadata == {"render_modes": ["rgb_array", "human"], "render_fps": 1000}
    with pytest.raises(EnvError, match="Doors has no render"):
        GymnasiumAdapter(Doors(), "rgb_array")
    with pytest.raises(EnvError, match="unknown render_mode 'ansi'"):
        GymnasiumAdapter(Slide(), "ansi")


def test_a_window(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    pygame = pytest.importorskip("pygame")
    env = GymnasiumAdapter(Slide(), "human")
    env.reset(seed=1)
    env.step([0.1])
    shade = int(10 * abs(env.state[0]))  # type: ignore[index]
    assert pygame.display.get_surface().get_at((0, 0))[:3] == (shade, shade, shade)
    assert env.render() is None
    env.close()
    assert not pygame.display.get_init()


def test_an_image_of_another_form_is_refused() -> None:
    class Grey(Slide):
        def render(self, state: Any) -> Any:
            return np.zeros((8, 10))

    env = GymnasiumAdapter(Grey(), "rgb_array")
    with pytest.raises(EnvError, match="before reset"):
        env.render()
    env.reset(seed=0)
    with pytest.raises(EnvError, match=r"render returned float64 \[8, 10\]; it must be uint8"):
        env.render()


def test_parameters_through_make_and_copies_side_by_side() -> None:
    env_id = register(Slide, "Slide-v0")
    env: Any = gymnasium.make(env_id, friction=0.7).unwrapped
    assert env.dynamics == Slide(friction=0.7)
    with pytest.raises(EnvError, match="Slide has no parameter 'frictoin'; it has friction"):
        gymnasium.make(env_id, frictoin=0.7)
    envs = gymnasium.make_vec(env_id, num_envs=3, vectorization_mode="sync")
    obs, _ = envs.reset(seed=[1, 2, 1])
    assert obs.shape == (3, 2) and obs[0].tolist() == obs[2].tolist() != obs[1].tolist()
    for _ in range(15):
        _, _, terminated, truncated, _ = envs.step(np.zeros((3, 1), np.float32))
    assert (terminated | truncated).all()


def test_registering_again_is_silent_and_another_environments_id_is_left_alone() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        register(Slide, "Slide-v0")
        register(Doors, "Slide-v0")
    assert isinstance(gymnasium.make("Slide-v0").unwrapped.dynamics, Doors)  # type: ignore[attr-defined]
    with pytest.raises(EnvError, match="'CartPole-v1' belongs to another environment"):
        register(Slide, "CartPole-v1")
    assert gymnasium.make("CartPole-v1").spec is not None
    with pytest.raises(EnvError, match="'a b' cannot be an id"):
        register(Slide, "a b")
    with pytest.raises(EnvError, match=r"(?s)'int' is not a valid environment:.*not a NamedTuple"):
        register(int, "Int-v0")


FILE = """
from typing import NamedTuple
from pgrad.envs import Box, Discrete, uniform
from pgrad.envs.gymnasium_adapter import register


class Walk(NamedTuple):
    observation_space = Box(-9.0, 9.0)
    action_space = Discrete(2)
    max_episode_steps = 4

    def reset(self, key): return (uniform(key, 0),)
    def step(self, state, action, key): return (state[0] + action,), SIZE, False


SIZE = 1.0
register(Walk, "Walk-v0")
"""


def test_an_id_for_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gymnasium_adapter, "OWNERS", {})
    for name, size in (("one", 1.0), ("two", 2.0)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "my walk.py").write_text(FILE.replace("SIZE = 1.0", f"SIZE = {size}"))
    first, second = (gymnasium_id(f"{tmp_path / name / 'my walk.py'}:Walk") for name in ("one", "two"))
    assert first == "my-walk/Walk-v0" != second and second.startswith("my-walk-")
    assert gymnasium_id(f"{tmp_path / 'one' / 'my walk.py'}") == first
    for env_id, size in ((first, 1.0), (second, 2.0)):
        env = gymnasium.make(env_id)
        env.reset(seed=0)
        assert env.step(0)[1] == size


def test_gymnasium_finds_a_file_that_registers_itself(tmp_path: Path) -> None:
    (tmp_path / "my_walk.py").write_text(FILE)
    code = """if True:
        import gymnasium, sys
        env = gymnasium.make("my_walk:Walk-v0")
        env.reset(seed=0)
        print(env.step(1)[1:4], [env.step(1)[3] for _ in range(3)])
        from pgrad.env_check.check import check
        print(*(check(name).verdict for name in ("my_walk:Walk-v0", "my_walk.py:Walk", "my_walk:Walk")), sep=" / ")
    """
    done = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", "-c", code], capture_output=True, text=True, cwd=tmp_path
    )
    assert not done.returncode, done.stderr
    first, second = done.stdout.splitlines()
    assert first == "(1.0, False, False) [False, False, True]"
    assert second == "fine: nothing found / fine: 1 hint / fine: 1 hint"
