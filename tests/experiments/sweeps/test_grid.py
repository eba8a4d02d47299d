"""The grid: every combination, and all that is wrong with any of them in one message."""

from pathlib import Path
from typing import Any

import pytest

from pgrad.errors import ConfigError, EnvError
from pgrad.experiments.sweeps.grid import Grid, grid, values_of
from pgrad.experiments.sweeps.grid_file import read_grid


def test_every_combination_and_the_last_setting_changes_first() -> None:
    given = {"learning_rate": [0.001, 0.01], "hidden": [8, [16, 16]], "discount": 0.9}
    settings, made = grid("CartPole-v1", Grid(given), (3, 4))
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
    settings, _ = grid("CartPole-v1", Grid({"algorithm": ["notebook", "trpo"]}), (0,))
    assert [one.config.step for one in settings] == ["gradient", "trust-region"]
    settings, _ = grid("CartPole-v1", Grid({"preset": ["none", "auto"]}), (0,))
    assert [one.config.algorithm for one in settings] == ["actor-critic", "ppo"]
    settings, _ = grid("CartPole-v1", Grid({"algorithm": "trpo"}), (0,))
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
        grid("CartPole-v1", Grid(given), (0,))
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
        grid("CartPole-v1", Grid({"squash": True, "learning_rate": [0.1, 0.2]}), (0,))
    assert [problem for problem in caught.value.problems if "squash" in problem] == [
        "squash is for continuous actions, and 'CartPole-v1' has 2 actions: remove it"
    ]
    given = {"num_epochs": [2, 3], "discount": [0.9, 0.8], "clip_epsilon": None, "preset": "none"}
    with pytest.raises(ConfigError, match=r"num_epochs 2, discount 0.9 and 1 other setting: num_epochs 2 needs"):
        grid("CartPole-v1", Grid(given), (0,))


def test_an_environment_that_cannot_be_made_is_an_error_of_its_own_or_one_of_several() -> None:
    with pytest.raises(EnvError, match="CartPole-v7"):
        grid("CartPole-v7", Grid({"discount": [0.9, 0.8]}), (0,))
    with pytest.raises(ConfigError, match=r"(?s)gama.*CartPole-v7"):
        grid("CartPole-v7", Grid({"gama": 1}), (0,))


def test_a_grid_without_end_is_refused() -> None:
    with pytest.raises(ConfigError, match="the grid has 1,000,000 runs, and at most 100,000 are made"):
        grid("CartPole-v1", Grid({"discount": [k / 1e4 for k in range(1, 10_001)]}), tuple(range(100)))


def test_ranges_are_drawn_together_and_combined_with_the_rest() -> None:
    given = {"learning_rate": "1e-4..1e-1", "algorithm": ["reinforce", "ppo"], "num_envs": ["2..8"]}
    settings, _ = grid("CartPole-v1", Grid(given, trials=5), (0,))
    drawn = [(one.config.learning_rate, one.config.num_envs) for one in settings]
    assert len(set(drawn)) == 5 and drawn[:5] == drawn[5:]
    assert all(1e-4 <= rate <= 1e-1 and 2 <= envs <= 8 for rate, envs in drawn if rate is not None)
    assert list(settings[0].values) == ["algorithm", "learning_rate", "num_envs"]
    alone, _ = grid("CartPole-v1", Grid({"learning_rate": "1e-4..1e-1"}, trials=5), (0,))
    assert [one.config.learning_rate for one in alone] == [rate for rate, _ in drawn[:5]]
    other, _ = grid("CartPole-v1", Grid({"learning_rate": "1e-4..1e-1"}, trials=5, seed=1), (0,))
    assert not {one.config.learning_rate for one in other} & {rate for rate, _ in drawn}


def test_an_integer_that_is_drawn_twice_is_one_setting() -> None:
    settings, _ = grid("CartPole-v1", Grid({"num_envs": "2..3"}, trials=20), (0,))
    assert sorted(one.config.num_envs for one in settings) == [2, 3]


def test_cases_are_combined_with_the_rest_and_leave_out_what_is_as_before() -> None:
    cases: list[dict[str, Any]] = [{}, {"num_epochs": 4, "clip_epsilon": 0.2}, {"discount": "0.9"}]
    settings, _ = grid("CartPole-v1", Grid({"preset": "none", "learning_rate": [0.1, 0.2]}, cases), (0,))
    assert len(settings) == 6
    assert settings[0].values == {"learning_rate": 0.1} and settings[0].config.num_epochs == 1
    assert settings[1].config.clip_epsilon == 0.2 and settings[5].values["discount"] == 0.9


def test_what_is_wrong_with_ranges_and_cases_is_named_at_once() -> None:
    given = {"learning_rate": "0.1..0.01", "discount": "0.9..1.1", "gae_lambda": "0.5..0.9", "num_steps": 8}
    cases: list[dict[str, Any]] = [{"num_steps": 4}, {"hidden": [8, [8, 8]], "gamma": 1}]
    with pytest.raises(ConfigError) as caught:
        grid("CartPole-v1", Grid(given, cases), (0,))
    assert caught.value.problems == (
        "learning_rate: the range 0.1..0.01 must rise",
        "discount must be in [0, 1], not 1.1",
        "num_steps is in a case and in the rest of the grid: remove one",
        "hidden has 2 values in a case: give one, and several cases",
        "unknown setting 'gamma': did you mean 'discount'?",
        "gae_lambda: a range needs trials, the number of draws, such as 20",
    )
    for wrong in ([], 3, [3]):
        with pytest.raises(ConfigError, match="cases must be tables of settings, at least one"):
            grid("CartPole-v1", Grid({}, wrong), (0,))  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="trials is the number of draws from ranges"):
        grid("CartPole-v1", Grid({"discount": 0.9}, trials=3), (0,))
    with pytest.raises(ConfigError, match="the grid has 10,000,000 runs"):
        grid("CartPole-v1", Grid({"discount": "0.8..0.9"}, trials=10**7), (0,))


def test_a_grid_file_has_the_arguments_of_a_sweep(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('env = "CartPole-v1"\nseeds = 3\nhidden = [[8], [8, 8]]\n[[cases]]\n[[cases]]\ndiscount = 0.9\n')
    expected = {"env": "CartPole-v1", "seeds": 3, "hidden": [[8], [8, 8]], "cases": [{}, {"discount": 0.9}]}
    assert read_grid(file) == expected
    file.write_text('lerning_rate = 0.1\nout = "/tmp"\n')
    with pytest.raises(ConfigError, match=r"unknown setting 'lerning_rate': did you mean 'learning_rate'\?") as caught:
        read_grid(file)
    assert len(caught.value.problems) == 2
    with pytest.raises(ConfigError, match="cannot read --grid"):
        read_grid(tmp_path / "none.toml")
