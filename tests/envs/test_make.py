"""What can name an environment, what each kind becomes, and what a name out of a file may do."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

from pgrad.env_check.check import check
from pgrad.envs.cartpole import CartPole
from pgrad.envs.gymnasium_adapter import GymnasiumAdapter
from pgrad.envs.make import COMPILED, KINDS, OURS, Env, Original, find, make, make_named, original_of
from pgrad.errors import EnvError
from pgrad.vector import envpool
from pgrad.vector.select import choose_backend
from pgrad.watchdog import Watchdog

MODULE = """
import gymnasium
from gymnasium.envs.classic_control import CartPoleEnv

open("imported", "w").close()
gymnasium.register("Puppy-v0", "kennel_of_ids:CartPoleEnv", max_episode_steps=5)
gymnasium.register("Puppy-v2", "kennel_of_ids:CartPoleEnv", max_episode_steps=7)
gymnasium.register("Hound-v1", "kennel_of_ids:CartPoleEnv", max_episode_steps=9)


class Hound(CartPoleEnv):
    pass


def serve():
    open("called", "w").close()
"""


@pytest.fixture(autouse=True)
def own_registry() -> Iterator[None]:
    before = dict(gymnasium.registry)
    yield
    gymnasium.registry.clear()
    gymnasium.registry.update(before)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder, with a module that registers ids and leaves a trace when it is imported or called."""
    (tmp_path / "kennel_of_ids.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path
    sys.modules.pop("kennel_of_ids", None)


def cartpole() -> Any:
    return gymnasium.make("CartPole-v1")


@pytest.mark.parametrize(
    ("env", "title"),
    [
        (make("CartPole-v1"), "an Env that"),
        ("CartPole-v1", "the id of a compiled"),
        ("RobotArm-v0", "the id of a compiled"),
        ("my_env.py", "file.py:Name"),
        ("package.module:Name", "file.py:Name"),
        ("CartPole", "an id of Gymnasium"),
        ("minigrid:MiniGrid-Empty-5x5-v0", "an id of Gymnasium"),
        (CartPole, "a NamedTuple"),
        (CartPole(gravity=1.6), "a NamedTuple"),
        (cartpole(), "a gymnasium.Env"),
        (cartpole, "a function"),
        (GymnasiumAdapter, "a function"),
    ],
)
def test_every_value_is_of_one_kind(env: Any, title: str) -> None:
    kind = next(kind for kind in KINDS if kind.recognises(env))
    assert kind.title.startswith(title)


@pytest.mark.parametrize("env", [3, None, gymnasium.vector.SyncVectorEnv([cartpole])], ids=repr)
def test_what_is_not_an_environment_is_refused_with_all_kinds(env: Any) -> None:
    with pytest.raises(EnvError, match=r"not an environment: .*; pass the id of a compiled one, or .*a function that"):
        make(env)


def test_each_kind_becomes_an_env() -> None:
    compiled, short = make("CartPole-v1"), make("CartPole")
    assert short.id == "CartPole-v1" and short.compiled and compiled.compiled
    assert make(compiled) is compiled
    assert make(CartPole(gravity=1.6)).dynamics == CartPole(gravity=1.6) and make(CartPole).id == "CartPole"
    for env in (cartpole(), cartpole):
        assert not make(env).compiled and make(env).obs_size == 4
    assert isinstance(find("CartPole-v1"), Env) and find("Blackjack-v1") == Original("Blackjack-v1")


@pytest.mark.parametrize("env_id", COMPILED)
def test_results_are_reported_on_gymnasiums_own(env_id: str) -> None:
    original = original_of(make(env_id))
    assert not original.compiled and original.id == env_id and original.description is not None
    assert isinstance(original.description.make().unwrapped, GymnasiumAdapter) == (env_id in OURS)


# --- module:Name, a class or an id


def test_a_name_that_a_module_registers_but_does_not_define_is_an_id_without_its_version(folder: Path) -> None:
    made = make("kennel_of_ids:Puppy")
    assert (made.id, made.max_episode_steps) == ("kennel_of_ids:Puppy-v2", 7)
    assert check("kennel_of_ids:Puppy").name == "kennel_of_ids:Puppy"
    with pytest.raises(EnvError, match=r"'kennel_of_ids:Pupy' is not defined"):
        make("kennel_of_ids:Pupy")


def test_what_a_module_defines_comes_before_an_id_of_that_name(folder: Path) -> None:
    made = make("kennel_of_ids:Hound")
    assert (made.id, made.max_episode_steps) == ("kennel_of_ids:Hound", None)


# --- names out of files


@pytest.mark.parametrize(
    "name",
    [
        "kennel_of_ids.py:serve",
        "kennel_of_ids.py",
        "./kennel_of_ids.py:Hound",
        "kennel_of_ids:serve",
        "kennel_of_ids:Hound",
        "kennel_of_ids:Puppy-v0",
        "Puppy-v0",
        "RescaleAction(Pendulum-v1)",
        "kennel_of_ids",
        "",
    ],
)
def test_a_name_out_of_a_file_imports_and_calls_nothing(name: str, folder: Path) -> None:
    for look in (lambda: make_named(name), lambda: make_named(f"{name}", backend="gymnasium")):
        with pytest.raises(EnvError, match=r"(?s)the file names the environment '.*--env.*trust=True \(--trust\)"):
            look()
    assert not (folder / "imported").exists() and not (folder / "called").exists()
    assert "kennel_of_ids" not in sys.modules


def test_built_in_ids_out_of_a_file_are_made(folder: Path) -> None:
    assert make_named("CartPole-v1").compiled and make_named("RobotArm-v0").compiled
    assert make_named("CartPole-v1", backend="gymnasium", max_episode_steps=9).max_episode_steps == 9
    assert make_named("Blackjack-v1").id == "Blackjack-v1"


def test_a_trusted_file_may_name_anything(folder: Path) -> None:
    assert make_named("kennel_of_ids:Puppy-v0", trusted=True).max_episode_steps == 5
    assert (folder / "imported").exists()


# --- backend gymnasium


def test_the_gymnasium_backend_never_steps_through_envpool(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def no_backend(description: Any, *_: Any) -> tuple[None, None]:
        asked.append(description.name)
        return None, None

    monkeypatch.setattr(envpool, "backend", no_backend)
    for backend, expected in (("auto", ["Blackjack-v1"]), ("gymnasium", [])):
        asked.clear()
        description = make("Blackjack-v1", backend).description
        assert description is not None
        envs, _ = choose_backend(description, [1], "auto", None, Watchdog())
        envs.close()
        assert asked == expected


def test_an_array_among_the_arguments_can_be_trained_on() -> None:
    lake = gymnasium.make("FrozenLake-v1", desc=np.array([list("SFF"), list("FHF"), list("FFG")], dtype="c"))
    made = make(lake)
    assert made.id.startswith("FrozenLake-v1(desc=") and "\n" not in made.id
    assert made.description is not None and made.description.make().observation_space == lake.observation_space


SHOP = """
import gymnasium
from typing import NamedTuple
from pgrad.envs.cartpole import CartPole

class Shop(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(0, 1, (2,))
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, days: int = 3) -> None:
        self.days = days

moon = CartPole(gravity=1.6)
"""


def test_names_may_have_arguments(folder: Path) -> None:
    lake = make("FrozenLake-v1(map_name='8x8', is_slippery=False)")
    assert lake.id == "FrozenLake-v1(map_name='8x8', is_slippery=False)"
    assert lake.description is not None and lake.obs_size == 64 and not lake.compiled
    assert make(lake.id).id == make_named(lake.id).id == original_of(lake).id == lake.id
    assert make("FrozenLake-v1(map_name='4x4')").compiled, "that is how it is anyway"
    Path("shop.py").write_text(SHOP)
    shop = make("shop.py:Shop(days=5)")
    assert shop.description is not None and shop.description.make().unwrapped.days == 5
    assert make("shop.py:moon(gravity=3.7)").dynamics.gravity == 3.7  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("FrozenLake-v1(is_slipery=False)", "unexpected keyword argument 'is_slipery'"),
        ("shop.py:Shop(dayz=5)", r"'shop.py:Shop\(dayz=5\)' cannot be made: .*'dayz'"),
        ("shop.py:moon(gravy=5)", "cannot be made: .*'gravy'"),
    ],
)
def test_arguments_that_an_environment_does_not_take_are_named(name: str, message: str, folder: Path) -> None:
    Path("shop.py").write_text(SHOP)
    with pytest.raises(EnvError, match=message):
        make(name)


def test_a_file_gives_arguments_to_gymnasiums_own_environments_alone(folder: Path) -> None:
    """Others may import what an argument names, as the one that wraps environments of the old Gym does."""
    for name in ("GymV21Environment-v0(env_id='kennel_of_ids:Hound-v1')", "shop.py:Shop(days=5)", "Puppy(a=1)"):
        with pytest.raises(EnvError, match="could run any code"):
            make_named(name)
    assert not Path("imported").exists()
