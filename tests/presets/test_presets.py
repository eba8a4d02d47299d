"""Tuned presets: what ships is sound, which one is taken, and everything wrong with a file in one message."""

import tomllib
from pathlib import Path
from typing import Any

import gymnasium
import pytest

import pgrad
from pgrad.algorithms import ALGORITHMS
from pgrad.cli.train import request
from pgrad.config.resolve import resolve, to_toml
from pgrad.config.settings import FIELDS
from pgrad.envs.make import COMPILED
from pgrad.presets import preset as preset_module
from pgrad.presets.choose import choose
from pgrad.presets.preset import GENERAL, differing, parsed, read, shipped, spaces_of, written
from pgrad.training.prepare import prepare

GOOD: dict[str, Any] = {
    "format": 1,
    "env": "CartPole-v1",
    "spaces": {"observation": [4], "actions": "discrete", "sizes": [2]},
    "settings": {"algorithm": "reinforce", "learning_rate": 0.5, "num_envs": 3},
    "source": {
        "search": "random sampling",
        "trials": 7,
        "seeds": "1000 to 1002",
        "date": "2026-11-30",
        "pgrad": "0.1.0",
        "score": [498, 497.5, 499],
        "score_of": "sampling policies of seeds 0 to 9",
    },
}


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "mine.toml"
    path.write_text(written(parsed("mine", GOOD)), encoding="utf-8")
    return str(path)


# --------------------------------------------------------------------------------------------------- what is shipped


@pytest.mark.parametrize("name", shipped())
def test_a_shipped_preset_states_what_differs_and_where_it_comes_from(name: str) -> None:
    preset = read(name)
    assert (preset.name, preset.env) == (name, name)
    assert list(preset.settings.items()) == list(differing(vars(resolve(None, None, preset.settings))).items())
    assert all((preset.source.search, preset.source.seeds, preset.source.date, preset.source.pgrad))
    assert str(preset).startswith(f"preset {name} ({preset.algorithm}): ")
    assert parsed(name, tomllib.loads(written(preset))) == preset


@pytest.mark.parametrize("name", [name for name in shipped() if name in COMPILED])
@pytest.mark.parametrize("backend", ["compiled", "gymnasium"])
def test_a_shipped_presets_spaces_are_its_environments_however_it_is_stepped(name: str, backend: str) -> None:
    assert read(name).spaces == spaces_of(pgrad.make(name, backend))


def test_there_is_a_general_preset_for_any_spaces_of_ppo_with_running_normalisation() -> None:
    general = read(GENERAL)
    assert general.spaces is None
    assert general.algorithm == "ppo"
    assert general.settings["normalize_obs"] and general.settings["normalize_rewards"]


def test_presets_are_in_the_package() -> None:
    """A wheel holds what pyproject.toml names."""
    declared = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["package-data"]
    assert "presets/*.toml" in declared["pgrad"]


# ------------------------------------------------------------------------------------------------- which one is taken


def taken(env: Any, *layers: dict[str, Any]) -> str:
    config, _, preset = prepare(env, *layers)
    assert config.preset == (preset.name if preset else "none")
    return config.preset


def user_made() -> gymnasium.Env[Any, Any]:
    return gymnasium.wrappers.TransformReward(gymnasium.make("CartPole-v1"), lambda reward: 10 * float(reward))


@pytest.mark.parametrize(
    ("env", "settings", "expected"),
    [
        ("CartPole-v1", {}, "CartPole-v1"),
        ("CartPole", {}, "CartPole-v1"),
        ("CartPole-v1", {"backend": "gymnasium"}, "CartPole-v1"),
        ("CartPole-v1", {"algorithm": "ppo"}, "CartPole-v1"),
        ("CartPole-v1", {"algorithm": "reinforce"}, "none"),
        ("CartPole-v1", {"preset": "none"}, "none"),
        ("CartPole-v1", {"preset": "general"}, "general"),
        ("CartPole-v0", {}, "general"),
        ("CartPole-v0", {"algorithm": "ppo"}, "none"),
        ("CartPole-v0", {"preset": "CartPole-v1"}, "CartPole-v1"),
        (lambda: gymnasium.make("CartPole-v1"), {}, "CartPole-v1"),
        (gymnasium.make("CartPole-v1", sutton_barto_reward=True), {}, "general"),
        (user_made, {}, "general"),
    ],
)
def test_the_preset_is_the_environments_or_the_general_one(env: Any, settings: dict[str, Any], expected: str) -> None:
    assert taken(env, settings) == expected


def test_what_is_given_wins_over_the_preset_and_the_preset_over_its_algorithm() -> None:
    preset = read("Taxi-v4").settings
    config, env, _ = prepare("Taxi-v4", {"num_envs": 7}, {"learning_rate": "0.25"})
    assert (config.num_envs, config.learning_rate) == (7, 0.25)
    chosen = {name: value for name, value in preset.items() if name not in ("num_envs", "learning_rate")}
    assert {name: getattr(config, name) for name in chosen} == chosen
    rest = set(FIELDS) - preset.keys() - {"env", "preset", "num_envs", "learning_rate"}
    usual = resolve(None, preset["algorithm"])
    assert all(getattr(config, name) == getattr(usual, name) for name in rest)
    assert env.id == "Taxi-v4"


def test_whole_episodes_put_a_presets_steps_aside() -> None:
    config, _, _ = prepare("FrozenLake-v1", {"episodes_per_iteration": 4, "num_iterations": 3, "baseline": "value"})
    assert (config.num_steps, config.total_steps) == (None, None)


def test_a_presets_time_limit_is_the_environments() -> None:
    config, env, _ = prepare("CliffWalking-v1")
    assert config.max_episode_steps == env.max_episode_steps == 200
    assert prepare("CliffWalking-v1", {"max_episode_steps": 90})[1].max_episode_steps == 90


def test_settings_for_other_actions_are_left_out_of_a_preset_for_any(monkeypatch: pytest.MonkeyPatch) -> None:
    wide = parsed("wide", {**GOOD, "env": GENERAL, "settings": {"initial_std": 3.0, "discount": 0.5}})
    monkeypatch.setattr("pgrad.training.prepare.choose", lambda *_: wide)
    discrete, continuous = (prepare(env)[0] for env in ("CartPole-v1", "Pendulum-v1"))
    assert (discrete.initial_std, discrete.discount) == (FIELDS["initial_std"].default, 0.5)
    assert (continuous.initial_std, continuous.discount) == (3.0, 0.5)


def test_python_and_the_command_line_take_the_same() -> None:
    for flags, settings in (([], {}), (["--preset", "none"], {"preset": "none"}), (["--seeds", "3"], {"seeds": 3})):
        assert request(["Acrobot-v1", *flags]).config == prepare("Acrobot-v1", settings)[0]


def test_the_run_says_and_records_what_it_took() -> None:
    result = pgrad.train("CartPole-v1", num_iterations=1, evaluation_episodes=0)
    assert result.config.preset == "CartPole-v1"
    assert f"\n{read('CartPole-v1')}" in result.summary()
    without = pgrad.train("CartPole-v1", num_iterations=1, evaluation_episodes=0, preset="none")
    assert without.config == resolve("CartPole-v1", None, {"num_iterations": 1})
    assert "preset" not in without.summary()


def test_a_pytorch_module_takes_no_preset_unless_one_is_named() -> None:
    from pgrad.torch import PolicyNetwork

    options: dict[str, Any] = {"policy": PolicyNetwork(4, 2, 4), "num_iterations": 1, "evaluation_episodes": 0}
    assert pgrad.train("CartPole-v1", **options).config.preset == "none"
    assert pgrad.train("CartPole-v1", preset="CartPole-v1", **options).config.preset == "CartPole-v1"


# ---------------------------------------------------------------------------------------------------- one's own, again


@pytest.mark.parametrize("as_path", [False, True])
def test_a_file_of_ones_own(file: str, as_path: bool) -> None:
    config, _, preset = prepare("CartPole-v1", {"preset": Path(file) if as_path else file})
    assert (config.algorithm, config.learning_rate, config.num_envs) == ("reinforce", 0.5, 3)
    assert config.preset == file
    assert str(preset) == (
        f"preset {file} (reinforce): 7 trials of random sampling on seeds 1000 to 1002; 498.0 [497.5, 499.0] (sampling "
        "policies of seeds 0 to 9)"
    )


def test_a_runs_configuration_repeats_it_without_the_file(file: str, tmp_path: Path) -> None:
    config, _, _ = prepare("CartPole-v1", {"preset": file, "learning_rate": 0.125})
    (tmp_path / "config.toml").write_text(to_toml(config), encoding="utf-8")
    Path(file).unlink()
    assert request(["--config", str(tmp_path / "config.toml")]).config == config
    changed = request(["--config", str(tmp_path / "config.toml"), "--num-envs", "9"]).config
    assert (changed.num_envs, changed.learning_rate, changed.preset) == (9, 0.125, file)
    with pytest.raises(pgrad.ConfigError, match="preset 'general' changes nothing where every setting is given"):
        request(["--config", str(tmp_path / "config.toml"), "--preset", "general"])


# ----------------------------------------------------------------------------------------------------------- bad input


def test_a_newer_format_is_refused() -> None:
    with pytest.raises(pgrad.ConfigError, match="preset mine has format 2, and this pgrad reads 1: install a newer"):
        parsed("mine", {"format": 2, "anything": "else"})


def test_everything_wrong_with_a_preset_is_named_at_once() -> None:
    document = {
        "env": 3,
        "extra": 1,
        "spaces": {"observation": "four", "actions": "discret"},
        "settings": {"learnig_rate": 1, "discount": 7, "seeds": 3, "n_envs": 3},
        "source": {"search": "by hand", "seeds": "1000", "date": "today", "trials": "many", "score": 3, "why": ""},
    }
    with pytest.raises(pgrad.ConfigError) as caught:
        parsed("mine", document)
    assert list(caught.value.problems) == [
        "preset mine: format must be 1, not None",
        "preset mine: unknown key 'extra'",
        "preset mine: env must be text, not 3",
        "preset mine: unknown setting 'learnig_rate': did you mean 'learning_rate'?",
        "preset mine: discount must be in [0, 1], not 7.0",
        "preset mine: 'seeds' is not a preset's to set: remove it",
        "preset mine: unknown setting 'n_envs': did you mean 'num_envs'?",
        "preset mine: source.pgrad is missing",
        "preset mine: source.trials must be an integer, not 'many'",
        "preset mine: source.score must be [mean, low, high], not 3",
        "preset mine: unknown key 'source.why': known: date, pgrad, score, score_of, search, seeds, trials",
    ]


def test_a_presets_spaces_are_checked_too() -> None:
    with pytest.raises(pgrad.ConfigError) as caught:
        parsed("mine", {**GOOD, "spaces": {"observation": "four", "actions": "discret"}, "settings": 3})
    assert list(caught.value.problems) == [
        "preset mine: settings must be a table",
        "preset mine: spaces.observation must be an integer, not 'four'",
        "preset mine: spaces.sizes is missing",
        "preset mine: unknown spaces.actions 'discret': did you mean 'discrete'?",
    ]


def test_a_presets_settings_must_not_contradict_each_other() -> None:
    with pytest.raises(pgrad.ConfigError, match=r"preset mine: clip_epsilon limits how far"):
        parsed("mine", {**GOOD, "settings": {"clip_epsilon": 0.2}})


@pytest.mark.parametrize(
    ("env", "settings", "message"),
    [
        (
            "CartPole-v1",
            {"preset": "CartPol-v1"},
            r"unknown preset 'CartPol-v1' \(a file's name ends in .toml\): did you mean 'CartPole-v1'?",
        ),
        ("CartPole-v1", {"preset": "yours"}, r"unknown preset 'yours' .*: known: Acrobot-v1, CartPole-v1, "),
        ("CartPole-v1", {"preset": "no.toml"}, "cannot read preset no.toml: No such file or directory"),
        ("CartPole-v1", {"preset": 3}, "preset must be text, not 3"),
        (
            "CartPole-v1",
            {"preset": "Acrobot-v1"},
            r"preset 'Acrobot-v1' was tuned with observations of shape \(6,\) and 3 discrete actions, and "
            r"'CartPole-v1' has observations of shape \(4,\) and 2 discrete actions: use preset 'general'",
        ),
        (
            "Pendulum-v1",
            {"preset": "Pendulum-v1", "algorithm": "trpo"},
            "preset 'Pendulum-v1' is for algorithm '[a-z-]+', not 'trpo': remove one of the two",
        ),
    ],
)
def test_a_preset_that_cannot_be_taken_is_refused(env: str, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(pgrad.ConfigError, match=message):
        prepare(env, settings)


def test_a_contradiction_with_a_preset_that_nobody_named_says_whose_the_rest_is() -> None:
    whose = "what is not given is as in preset 'CartPole-v1'; preset 'none' takes the algorithm's own"
    with pytest.raises(pgrad.ConfigError) as caught:
        prepare("CartPole-v1", {"num_epochs": 1, "num_minibatches": 1})
    assert caught.value.problems[-1] == whose
    with pytest.raises(pgrad.ConfigError) as caught:
        prepare("CartPole-v1", {"num_epochs": 1, "num_minibatches": 1, "discount": 7})
    assert whose not in caught.value.problems, "it would not help"
    with pytest.raises(pgrad.ConfigError) as caught:
        prepare("CartPole-v1", {"squash": True})
    assert whose not in caught.value.problems


def test_what_is_given_is_not_held_against_a_preset_that_cannot_be_read() -> None:
    with pytest.raises(pgrad.ConfigError) as caught:
        prepare("CartPole-v1", {"preset": "yours", "clip_epsilon": 0.1, "discount": 7})
    assert [problem.split()[0] for problem in caught.value.problems] == ["unknown", "discount"]


def test_a_preset_that_is_no_toml(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("= 3")
    with pytest.raises(pgrad.ConfigError, match=r"preset .*mine\.toml is not valid TOML"):
        read(str(tmp_path / "mine.toml"))


def test_an_environment_that_changed_under_its_name_takes_the_general_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preset_module, "FOLDER", tmp_path)
    (tmp_path / "general.toml").write_text(written(parsed("general", {**GOOD, "env": GENERAL})))
    six = {**GOOD, "spaces": {**GOOD["spaces"], "observation": [6]}}
    (tmp_path / "CartPole-v1.toml").write_text(written(parsed("CartPole-v1", six)))
    found = choose("auto", pgrad.make("CartPole-v1"), None)
    assert found is not None and found.name == GENERAL


def test_presets_say_nothing_of_algorithms_that_do_not_exist() -> None:
    assert {read(name).algorithm for name in shipped()} <= set(ALGORITHMS)


def test_a_presets_held_noise_is_left_out_with_another_std() -> None:
    held, other = (prepare("MountainCarContinuous-v0", layer)[0] for layer in ({}, {"std": "state-independent"}))
    assert (held.std, held.noise_steps) == ("gsde", 16)
    assert (other.std, other.noise_steps) == ("state-independent", 1)
