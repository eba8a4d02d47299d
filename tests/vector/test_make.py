"""From an id, a factory or an instance to a description; and what is said of those that are not there."""

import dataclasses
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.error import DependencyNotInstalled
from gymnasium.wrappers import RescaleAction, TimeLimit

import pgrad
from pgrad.env_check.check import check
from pgrad.errors import EnvError
from pgrad.vector import envpool
from pgrad.vector import make as make_module
from pgrad.vector.hints import explain_failure
from pgrad.vector.make import describe, limited
from pgrad.vector.vector_env import VectorEnv


@pytest.fixture(autouse=True)
def without_envpool(monkeypatch: pytest.MonkeyPatch) -> None:
    """What Gymnasium cannot make, EnvPool might have."""
    monkeypatch.setattr(envpool, "installed", lambda: None)


@pytest.fixture
def own_registry() -> Iterator[None]:
    before = dict(gymnasium.registry)
    yield
    gymnasium.registry.clear()
    gymnasium.registry.update(before)


class Mine(gymnasium.Env[Any, Any]):
    observation_space: spaces.Space[Any] = spaces.Box(0, 1, (2,))
    action_space: spaces.Space[Any] = spaces.Discrete(2)

    def __init__(self, level: int = 1) -> None:
        self.level = level

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        return np.zeros(2, np.float32), {}

    def step(self, action: Any) -> Any:
        return np.zeros(2, np.float32), float(self.level), False, False, {}


def test_an_id() -> None:
    cartpole = describe("CartPole-v1")
    assert (cartpole.name, cartpole.max_episode_steps, cartpole.reward_threshold) == ("CartPole-v1", 500, 475.0)
    assert (cartpole.observations.size, cartpole.actions.counts, cartpole.notes) == (4, (2,), ())
    assert cartpole.by_id
    made, other = cartpole.make(), cartpole.make()
    assert made is not other
    assert made.spec is not None
    assert made.spec.id == "CartPole-v1"


def test_an_id_is_completed_and_an_old_version_is_noted_without_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert describe("CartPole").name == "CartPole-v1"
        assert describe("CartPole-v0").notes == ("this version is out of date: the newest is v1",)


def test_a_module_with_an_id(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_environments.py").write_text(
        "import gymnasium\n"
        "gymnasium.register('Mine-v0', 'gymnasium.envs.classic_control:CartPoleEnv', max_episode_steps=7)\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [folder for folder in sys.path if folder not in ("", ".")])
    try:
        mine = describe("my_environments:Mine-v0")
        assert (mine.name, mine.registered, mine.max_episode_steps) == ("my_environments:Mine-v0", "Mine-v0", 7)
        assert mine.make().spec is not None
        result = pgrad.train("my_environments:Mine-v0", preset="none", total_steps=200, evaluation_episodes=0)
        policy = result.policies[0]
        del gymnasium.registry["Mine-v0"], sys.modules["my_environments"]  # as in another process
        assert pgrad.evaluate(policy, episodes=3, trust=True).lengths.max() <= 7
        with closing(VectorEnv(mine, 2, 1, "async")) as envs:
            envs.step(np.zeros(2, np.int64))
    finally:
        gymnasium.registry.pop("Mine-v0", None)


def test_what_a_module_with_ids_raises_is_told(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_environments.py").write_text("shares = 1 / 0\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    for look in (describe, check):
        with pytest.raises(EnvError, match=r"(?s)'broken_environments' raised when it was imported:.*line 1.*ZeroDiv"):
            look("broken_environments:Mine-v0")
        with pytest.raises(EnvError, match="'no_environments:Mine-v0' needs the package no_environments"):
            look("no_environments:Mine-v0")


@pytest.mark.parametrize("factory", [Mine, partial(Mine, 3), lambda: TimeLimit(Mine(2), 9)])
def test_a_factory(factory: Any) -> None:
    mine = describe(factory)
    assert mine.name == "Mine"
    assert not mine.by_id
    assert mine.make() is not mine.make()
    assert mine.make().unwrapped.level == factory().unwrapped.level  # type: ignore[attr-defined]


def test_the_time_limit_of_a_factory() -> None:
    assert describe(lambda: RescaleAction(TimeLimit(Pushing(), 9), -1.0, 1.0)).max_episode_steps == 9
    assert describe(Mine).max_episode_steps is None


@pytest.mark.parametrize("steps", [3, 300])
@pytest.mark.parametrize(
    "env",
    [
        "MountainCar-v0",
        gymnasium.make("MountainCar-v0"),
        lambda: TimeLimit(gymnasium.make("MountainCar-v0"), 9),
        lambda: gymnasium.make("MountainCar-v0").unwrapped,
    ],
    ids=["id", "instance", "factory", "without a limit"],
)
def test_a_time_limit_takes_the_place_of_what_there_is(env: Any, steps: int) -> None:
    asked = limited(describe(env), steps)
    made = asked.make()
    made.reset(seed=1)
    assert asked.max_episode_steps == steps
    assert [made.step(1)[3] for _ in range(steps)] == [False] * (steps - 1) + [True]


def test_envpools_own_time_limits_stay() -> None:
    there = dataclasses.replace(describe("CartPole-v1"), original=False)
    with pytest.raises(EnvError, match=r"'CartPole-v1' is only available through EnvPool.*remove max_episode_steps"):
        limited(there, 9)


class Pushing(Mine):
    action_space = spaces.Box(-2, 2, (1,))


def test_an_instance_is_made_anew_with_its_wrappers() -> None:
    wrapped = RescaleAction(TimeLimit(gymnasium.make("Pendulum-v1", g=5.0), 9), np.float32(-0.5), np.float32(0.5))
    pendulum = describe(wrapped)
    assert (pendulum.name, pendulum.max_episode_steps) == (
        "RescaleAction(Pendulum-v1(g=5.0, max_episode_steps=9))",
        9,
    )
    assert not pendulum.by_id, "its vector form and EnvPool's would be another environment"
    assert pendulum.actions.space.low == (-0.5,)  # type: ignore[union-attr]
    made = pendulum.make()
    assert made is not wrapped
    assert made.unwrapped.g == 5.0  # type: ignore[attr-defined]
    made.reset(seed=1)
    made.action_space.seed(1)
    assert [made.step(made.action_space.sample())[3] for _ in range(9)] == [False] * 8 + [True]


class Silent(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Does not record its arguments."""


@pytest.mark.parametrize("instance", [Mine(5), Silent(Mine(5)), Silent(gymnasium.make("CartPole-v1"))])
def test_an_instance_that_no_spec_can_make_is_copied(instance: Any) -> None:
    described = describe(instance)
    one, two = described.make(), described.make()
    assert type(one) is type(instance)
    assert one.unwrapped is not two.unwrapped
    assert one.unwrapped is not instance.unwrapped
    assert vars(one.unwrapped).get("level") == vars(instance.unwrapped).get("level")


def test_an_instance_that_cannot_be_copied_needs_a_factory() -> None:
    instance = Mine()
    instance.lock = threading.Lock()  # type: ignore[attr-defined]
    with pytest.raises(EnvError, match=r"this Mine cannot be copied \(TypeError: .*lock.*pass a function"):
        describe(instance)


@pytest.mark.parametrize(
    ("env", "message"),
    [
        (lambda: 3, r"the factory <lambda> returned 3, expected a gymnasium.Env"),
        (lambda: 1 // 0, r"the factory <lambda> raised ZeroDivisionError"),
        ("Kartpole-v1", "unknown environment 'Kartpole-v1': did you mean 'CartPole-v1'?"),
        ("Qwertz-v1", "unknown environment 'Qwertz-v1': `pgrad envs` lists"),
        ("no id!", "unknown environment 'no id!'"),
        ("LunarLander-v2", "no 'LunarLander-v2': did you mean 'LunarLander-v3'?"),
        ("CartPole-v9", "no 'CartPole-v9': did you mean 'CartPole-v1'?"),
        ("no_such_module:Thing-v0", "needs the package no_such_module: pip install 'no-such-module'"),
        (
            "MiniGrid-Empty-5x5-v0",
            "unknown environment .*another package needs its module, as in 'module:MiniGrid-Empty",
        ),
        ("Hopper-v3", "'Hopper-v3' .*; its newest version is 'Hopper-v5'|pip install"),
    ],
)
def test_what_is_not_there_is_said_with_a_explain_failure(env: Any, message: str) -> None:
    with pytest.raises(EnvError, match=message):
        describe(env)


@pytest.mark.parametrize(
    ("env_id", "module", "installation"),
    [
        ("minigrid:MiniGrid-Empty-5x5-v0", "minigrid", "pip install 'minigrid'"),
        ("highway_env:highway-v0", "highway_env", "pip install 'highway-env'"),
        ("gymnasium_robotics:FetchReach-v4", "gymnasium_robotics", "pip install 'gymnasium-robotics'"),
    ],
)
def test_a_package_that_is_missing(
    env_id: str, module: str, installation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(EnvError, match=installation):
        describe(env_id)


@pytest.mark.parametrize(
    ("env_id", "said", "way"),
    [
        ("LunarLander-v3", "Box2D is not installed, you can install it by run `pip install swig`", "'pgrad[box2d]'"),
        ("Ant-v5", "MuJoCo is not installed, run `pip install 'gymnasium[mujoco]'`", "'gymnasium[mujoco]'"),
    ],
)
def test_the_extra_that_is_missing(env_id: str, said: str, way: str) -> None:
    message = explain_failure(env_id, DependencyNotInstalled(said))
    assert message.endswith(f"pip install {way}")


def test_a_dependency_that_pgrad_does_not_know() -> None:
    other = DependencyNotInstalled("frobnicate is not installed")
    assert explain_failure("Mine-v5", other).endswith("frobnicate is not installed")


def test_what_is_left_out_is_noted() -> None:
    class Speaking(Mine):
        observation_space = spaces.Dict({"mission": spaces.Text(9), "x": spaces.Box(0, 1, (2,))})

    assert describe(Speaking).notes == ("the policy does not see what is not a number: observation['mission']: Text",)


def test_the_checker_of_gymnasium_is_left_out() -> None:
    assert "PassiveEnvChecker" not in str(describe("CartPole-v1").make())
    assert "PassiveEnvChecker" not in str(describe(gymnasium.make("CartPole-v1")).make())


class Spaceless(gymnasium.Env[Any, Any]):
    """Has not been given its spaces."""


class Unclosable(Mine):
    def close(self) -> None:
        raise RuntimeError("the simulator is gone")


def test_spaces_that_are_missing_are_named() -> None:
    with pytest.raises(EnvError, match=r"'Spaceless' has no observation_space: set `self.observation_space` in its"):
        describe(Spaceless)


def test_an_instance_that_cannot_be_closed_is_given_up() -> None:
    assert describe(Unclosable).name == "Unclosable"


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("kennel_with_ids:Dog-v0", "Gymnasium has no 'kennel_with_ids:Dog-v0': did you mean 'kennel_with_ids:Dog-v3'"),
        (
            "kennel_with_ids:Dogg-v3",
            r"unknown environment 'kennel_with_ids:Dogg-v3': did you mean 'kennel_with_ids:Dog-v3'",
        ),
        (
            "kennel_with_ids:Aardvark-v1",
            r"unknown environment 'kennel_with_ids:Aardvark-v1': kennel_with_ids has Dog-v3",
        ),
        (
            "cattery_without:Cat-v1",
            r"importing cattery_without registers no environments.*'cattery_without.envs:Cat-v1'",
        ),
        ("aviary:Bird-v1", r"'aviary:Bird-v1' needs a package that is not installed: pip install 'opencv-python'"),
        (
            "kennel_with_ids:Shy-v0",
            r"cannot be made: AssertionError in .*kennel_with_ids/__init__.py, line 7: `assert bone is not None`",
        ),
    ],
)
def test_ids_of_packages_keep_their_package(
    asked: str, message: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    kennel_with_ids = """import gymnasium

class Shy(gymnasium.Env):
    def __init__(self):
        import os
        bone = os.environ.get("NO_SUCH_BONE")
        assert bone is not None

gymnasium.register("Dog-v3", "kennel_with_ids:Shy")
gymnasium.register("Shy-v0", "kennel_with_ids:Shy")
"""
    for name, text in (("kennel_with_ids", kennel_with_ids), ("cattery_without", ""), ("aviary", "import cv2\n")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(sys.modules, "cv2", None)
    try:
        with pytest.raises(EnvError, match=message):
            describe(asked)
    finally:
        for env_id in ("Dog-v3", "Shy-v0"):
            gymnasium.registry.pop(env_id, None)
        for name in ("kennel_with_ids", "cattery_without", "aviary"):
            sys.modules.pop(name, None)


def test_what_is_changed_has_another_name_and_no_threshold() -> None:
    """A policy that learnt something else must not be evaluated on the plain environment of that id."""
    plain = gymnasium.make("CartPole-v1")
    scaled = gymnasium.wrappers.TransformReward(plain, lambda reward: 10 * reward)
    names = {"CartPole-v1": plain, "TransformReward(CartPole-v1)": scaled}
    names["FrozenLake-v1(is_slippery=False)"] = gymnasium.make("FrozenLake-v1", is_slippery=False)
    names["Acrobot-v1"] = gymnasium.make("Acrobot-v1", render_mode="rgb_array")
    names["CartPole-v1(max_episode_steps=50)"] = lambda: gymnasium.make("CartPole-v1", max_episode_steps=50)
    for name, env in names.items():
        assert describe(env).name == name
    assert [describe(env).reward_threshold for env in (plain, scaled)] == [475, None]


class Table:
    """Compares element by element, as a pandas.DataFrame does, and refuses to be a boolean."""

    def __init__(self, numbers: Any) -> None:
        self.numbers = np.asarray(numbers)
        self.shape = self.numbers.shape

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return self.numbers

    def __eq__(self, other: object) -> Any:
        return Table(self.numbers == np.asarray(other))

    def __bool__(self) -> bool:
        raise ValueError("The truth value of a Table is ambiguous.")

    __hash__ = None  # type: ignore[assignment]


class Trading(Mine):
    def __init__(self, df: Any = None) -> None:
        self.df = df


@pytest.mark.parametrize("kind", [Table, np.array, list, lambda numbers: {"prices": np.array(numbers)}])
def test_arguments_that_are_no_single_value_are_compared_as_a_whole(kind: Any, own_registry: None) -> None:
    gymnasium.register("Trading-v0", Trading, kwargs={"df": kind([1.0, 2.0])})
    for numbers in ([1.0, 3.0], [1.0], [[1.0, 2.0], [1.0, 2.0]]):
        assert describe(gymnasium.make("Trading-v0", df=kind(numbers))).name.startswith("Trading-v0(df=")
    if kind in (Table, np.array, list):
        assert describe(gymnasium.make("Trading-v0", df=kind([1.0, 2.0]))).name == "Trading-v0"
        assert describe("Trading-v0").name == "Trading-v0"


def test_ids_that_can_be_made_here_and_packages_that_others_need(
    own_registry: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    gymnasium.register("Here-v0", Mine)
    gymnasium.register("Elsewhere-v0", "no_such_package.envs:Elsewhere")
    monkeypatch.setattr(make_module, "_is_installed", lambda module: module in ("gymnasium", "mujoco"))
    present, missing = make_module.installed_ids()
    assert {"CartPole-v1", "Taxi-v4", "Here-v0", "Ant-v5"} <= set(present)
    assert missing["no-such-package"] == ["Elsewhere-v0"]
    assert "LunarLander-v3" in missing["pgrad[box2d]"] and "phys2d/CartPole-v1" in missing["gymnasium[jax]"]
    listed = {*present, *(env_id for ids in missing.values() for env_id in ids)}
    assert "Hopper-v2" not in listed, "Gymnasium only says where it has gone"
    assert listed <= set(gymnasium.registry)


def test_ids_that_are_listed_as_made_here_can_be_made() -> None:
    present, _ = make_module.installed_ids()
    assert "CartPole-v1" in present
    for env_id in present:
        make_module.make_gymnasium(env_id).close()
