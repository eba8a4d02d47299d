"""The grid: every combination, and all that is wrong with any of them in one message."""

from typing import Any

import pytest

from pgrad.errors import ConfigError, EnvError
from pgrad.experiments.sweeps.grid import grid, values_of


def test_every_combination_and_the_last_setting_changes_first() -> None:
    given = {"learning_rate": [0.001, 0.01], "hidden": [8, [16, 16]], "discount": 0.9}
    settings, made = grid("CartPole-v1", given, (3, 4))
    assert made.id == "CartPole-v1"
    assert [str(one) for one in settings] == [
        "learning_rate 0.001, hidden 8",
        "learning_rate 0.001, hidden 16-16",
        "learning_rate 0.01, hidden 8",
        "learning_rate 0.01, hidden 16-16",
    ]
    assert settings[1].values == {"learning_rate": 0.001, "hidden": (16, 16)}
    assert settings[2].config.hidden == (8,) and settings[2].config.learning_rate == 0.01
    assert all(one.config.discount == 0.9 and one.config.seeds == (3, 4) for one in settings)


def test_algorithms_and_presets_are_settings_too() -> None:
    settings, _ = grid("CartPole-v1", {"algorithm": ["notebook", "trpo"]}, (0,))
    assert [one.config.step for one in settings] == ["gradient", "trust-region"]
    settings, _ = grid("CartPole-v1", {"preset": ["none", "auto"]}, (0,))
    assert [one.config.algorithm for one in settings] == ["actor-critic", "ppo"]
    settings, _ = grid("CartPole-v1", {"algorithm": "trpo"}, (0,))
    assert str(settings[0]) == "trpo", "where nothing differs"


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("learning_rate", 0.01, [0.01]),
        ("learning_rate", ["0.01", 1e-3, None], [0.01, 0.001, None]),
        ("hidden", [64, 64], [(64, 64)]),
        ("hidden", [64, [64, 64]], [(64,), (64, 64)]),
        ("hidden", ["64", "64,64", "none"], [(64,), (64, 64), ()]),
        ("hidden", "64,64", [(64, 64)]),
        ("value_hidden", [None, [32]], [None, (32,)]),
        ("squash", ["true", False], [True, False]),
    ],
)
def test_values_are_one_or_a_list(name: str, given: Any, expected: list[Any]) -> None:
    assert values_of(name, given) == expected


def test_everything_wrong_with_any_setting_is_named_at_once() -> None:
    given = {
        "gamma": 0.9,
        "discount": [0.9, 1.5, "x"],
        "hidden": [],
        "num_envs": [4, 8, 4],
        "num_epochs": [1, 2],
        "clip_epsilon": None,
        "preset": "none",
    }
    with pytest.raises(ConfigError) as caught:
        grid("CartPole-v1", given, (0,))
    assert caught.value.problems == (
        "unknown setting 'gamma': did you mean 'discount'?",
        "discount must be in [0, 1], not 1.5",
        "discount must be a number, not 'x'",
        "hidden has no values: give one or more",
        "num_envs has 4 twice: remove one",
        "num_epochs 2: num_epochs 2 needs clip_epsilon or target_kl, or the policy moves away from the one that acted",
    )


def test_a_problem_of_every_setting_is_said_once() -> None:
    with pytest.raises(ConfigError) as caught:
        grid("CartPole-v1", {"squash": True, "learning_rate": [0.1, 0.2]}, (0,))
    assert [problem for problem in caught.value.problems if "squash" in problem] == [
        "squash is for continuous actions, and 'CartPole-v1' has 2 actions: remove it"
    ]
    given = {"num_epochs": [2, 3], "discount": [0.9, 0.8], "clip_epsilon": None, "preset": "none"}
    with pytest.raises(ConfigError, match=r"num_epochs 2, discount 0.9 and 1 other setting: num_epochs 2 needs"):
        grid("CartPole-v1", given, (0,))


def test_an_environment_that_cannot_be_made_is_an_error_of_its_own_or_one_of_several() -> None:
    with pytest.raises(EnvError, match="CartPole-v7"):
        grid("CartPole-v7", {"discount": [0.9, 0.8]}, (0,))
    with pytest.raises(ConfigError, match=r"(?s)gama.*CartPole-v7"):
        grid("CartPole-v7", {"gama": 1}, (0,))


def test_a_grid_without_end_is_refused() -> None:
    with pytest.raises(ConfigError, match="the grid has 1,000,000 runs, and at most 100,000 are made"):
        grid("CartPole-v1", {"discount": [k / 1e4 for k in range(1, 10_001)]}, tuple(range(100)))
