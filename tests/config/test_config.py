"""One configuration, however it is written down, and everything wrong with it in one message."""

import dataclasses
import math
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pgrad.algorithms import ALGORITHMS, DEFAULT_ALGORITHM
from pgrad.cli import train as cli
from pgrad.config.resolve import resolve, to_toml
from pgrad.config.settings import ARGUMENTS, FIELDS, Config, TrainSettings, check_arguments, checked
from pgrad.config.synonyms import SYNONYMS
from pgrad.errors import ConfigError


def from_flags(*argv: str) -> Config:
    """What the flags say, without a tuned preset below them."""
    return cli.request(["CartPole-v1", "--preset", "none", *argv]).config


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_preset_is_what_it_says_over_the_defaults(algorithm: str) -> None:
    config = resolve(None, algorithm)
    expected = {name: field.default for name, field in FIELDS.items()} | ALGORITHMS[algorithm]
    assert dataclasses.asdict(config) == expected | {"algorithm": algorithm}


def test_no_algorithm_is_the_default_and_the_dataclass_has_the_same() -> None:
    assert resolve() == resolve(None, DEFAULT_ALGORITHM) == Config()


def test_notebook_is_the_teaching_notebook() -> None:
    config = resolve(None, "notebook")
    assert (config.hidden, config.activation, config.initialization) == ((128,), "relu", "uniform")
    assert (config.estimator, config.baseline, config.discounting) == ("reward-to-go", "none", "dropped")
    assert (config.optimizer, config.learning_rate, config.discount) == ("adam", 0.01, 0.99)
    assert (config.episodes_per_iteration, config.num_iterations, config.normalizer) == (1, 300, "episode")


@pytest.mark.parametrize(
    ("name", "python", "toml", "flag"),
    [
        ("seeds", 3, "3", "3"),
        ("seeds", (7, 8, 9), "[7, 8, 9]", "7,8,9"),
        ("seeds", [7], "[7]", "7,"),
        ("hidden", (64, 32), "[64, 32]", "64,32"),
        ("hidden", [16], "16", "16"),
        ("hidden", (), "[]", "none"),
        ("learning_rate", 0.002, "2e-3", ".002"),
        ("learning_rate", np.float64(0.5), "0.5", "0.5"),
        ("discount", 1, "1", "1"),
        ("total_steps", 1_000_000, "1_000_000", "1e6"),
        ("num_envs", np.int64(5), "5.0", "5"),
        ("max_grad_norm", None, '"none"', "none"),
        ("activation", "relu", '"relu"', "relu"),
        ("standardize", "none", '"none"', "none"),
        ("checkpoint_every", None, '"none"', "none"),
    ],
)
def test_python_toml_and_flags_mean_the_same(name: str, python: Any, toml: str, flag: str) -> None:
    config = resolve("CartPole-v1", None, {name: python})
    assert config == resolve("CartPole-v1", None, tomllib.loads(f"{name} = {toml}"))
    assert config == from_flags(f"--{name.replace('_', '-')}", flag)
    assert getattr(config, name) != FIELDS[name].default


def test_one_seed_and_the_first_so_many_seeds_are_told_apart() -> None:
    assert from_flags("--seed", "7").seeds == (7,) == resolve(None, None, {"seeds": [7]}).seeds
    assert from_flags("--seeds", "7").seeds == tuple(range(7)) == resolve(None, None, {"seeds": 7}).seeds


def test_every_field_has_a_flag() -> None:
    flags = {flag for action in cli.parser()._actions for flag in action.option_strings}
    assert {f"--{name.replace('_', '-')}" for name in FIELDS if name != "env"} <= flags


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {
            "seeds": [2**63 - 1, 0],
            "hidden": (),
            "max_grad_norm": None,
            "value_learning_rate": 1e-300,
            "standardize": "none",
        },
        {"total_steps": 10**15, "num_iterations": 7, "max_grad_norm": math.inf, "discount": 0.1 + 0.2},
        {"num_iterations": 5, "total_steps": None, "damping": 1e30, "temperature": 3},
    ],
)
def test_the_resolved_configuration_reads_back_equal(tmp_path: Path, algorithm: str, settings: dict[str, Any]) -> None:
    config = resolve("CartPole-v1", algorithm, settings)
    path = tmp_path / "config.toml"
    path.write_text(to_toml(config), encoding="utf-8")
    assert from_flags("--config", str(path)) == config
    assert cli.request(["--config", str(path)]).config == config
    assert all(f"\n{name} = " in "\n" + path.read_text(encoding="utf-8") for name in FIELDS)


def test_strange_text_survives_toml() -> None:
    config = resolve('a "quoted" \\ name: γ')
    assert resolve(None, None, tomllib.loads(to_toml(config))) == config


def test_later_layers_win() -> None:
    config = resolve(None, "reinforce", {"learning_rate": 0.5, "num_envs": 3}, {"learning_rate": 0.25})
    assert (config.learning_rate, config.num_envs, config.baseline) == (0.25, 3, "leave-one-out")


def test_a_flag_wins_over_the_file(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_text('env = "Acrobot-v1"\nlearning_rate = 0.5\nnum_envs = 3\nalgorithm = "reinforce"\n')
    config = from_flags("--config", str(path), "--learning-rate", "0.25")
    assert (config.env, config.algorithm) == ("CartPole-v1", "reinforce")
    assert (config.learning_rate, config.num_envs, config.baseline) == (0.25, 3, "leave-one-out")


def test_another_algorithm_over_a_resolved_file_is_not_just_another_label(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(to_toml(resolve("CartPole-v1", "actor-critic")), encoding="utf-8")
    try:
        config = from_flags("--config", str(path), "--algorithm", "notebook")
    except ConfigError:
        return  # to refuse would be as clear
    assert (config.hidden, config.baseline) == ((128,), "none")


@pytest.mark.parametrize(
    ("chosen", "put_aside"),
    [
        ({"episodes_per_iteration": 4}, "num_steps"),
        ({"num_iterations": 4}, "total_steps"),
        ({"algorithm": "notebook", "total_steps": 400}, "num_iterations"),
        ({"algorithm": "reinforce", "baseline": "value", "num_steps": 400}, "episodes_per_iteration"),
    ],
)
def test_choosing_one_puts_the_presets_other_aside(chosen: dict[str, Any], put_aside: str) -> None:
    config = resolve(None, None, chosen)
    assert getattr(config, put_aside) is None
    assert all(getattr(config, name) == value for name, value in chosen.items())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"learning_rate": 0}, "learning_rate must be positive and finite, not 0"),
        ({"learning_rate": -1.5}, "learning_rate must be positive and finite, not -1.5"),
        ({"learning_rate": "nan"}, "learning_rate must be positive and finite, not nan"),
        ({"learning_rate": math.inf}, "learning_rate must be positive and finite, not inf"),
        ({"value_learning_rate": 0}, "value_learning_rate must be positive"),
        ({"temperature": 0}, "temperature must be positive"),
        ({"discount": 1.5}, "discount must be in [0, 1], not 1.5"),
        ({"discount": -0.1}, "discount must be in [0, 1], not -0.1"),
        ({"discount": math.nan}, "discount must be in [0, 1], not nan"),
        ({"gae_lambda": 2}, "gae_lambda must be in [0, 1], not 2.0"),
        ({"episodes_per_iteration": 0}, "episodes_per_iteration must be in 1 … 10¹⁵, not 0"),
        ({"num_envs": 0}, "num_envs must be in 1 … 10¹⁵, not 0"),
        ({"total_steps": -3}, "total_steps must be in 1 … 10¹⁵, not -3"),
        ({"seeds": [-1]}, "seeds must be in 0 … 2⁶³ - 1, not -1"),
        ({"seeds": [2**63]}, f"not {2**63}"),
        ({"seeds": 0}, "seeds must be a positive number of seeds"),
        ({"seeds": 10**9}, "use seed=1000000000"),
        ({"seeds": []}, "at least one seed"),
        ({"seeds": [1, 1]}, "differ from each other"),
        ({"hidden": (8, 0)}, "hidden must be in 1 … 10¹⁵, not 0"),
        ({"max_grad_norm": 0}, "max_grad_norm must be positive, or none, not 0"),
        ({"entropy_coef": -1}, "entropy_coef must be finite and not negative, not -1"),
        ({"total_steps": None}, "training would never end"),
        ({"num_steps": 5, "episodes_per_iteration": 5}, "exactly one of num_steps and episodes_per_iteration"),
        ({"num_steps": None}, "exactly one of num_steps and episodes_per_iteration"),
        (
            {"baseline": "mean", "estimator": "reward-to-go", "standardize": "none"},
            "baseline 'mean' cannot value a trajectory cut",
        ),
        ({"estimator": "total-return"}, "needs whole episodes"),
        ({"normalizer": "episode"}, "needs whole episodes"),
        ({"baseline": "none", "episodes_per_iteration": 4}, "estimator 'gae' needs baseline 'value'"),
        ({"algorithm": "reinforce", "episodes_per_iteration": 1}, "at least two episodes"),
        ({"clip_epsilon": 0.2}, "clip_epsilon limits how far several gradient steps go"),
        ({"target_kl": 0.1}, "target_kl limits how far several gradient steps go"),
        ({"value_clip_epsilon": 0.2}, "value_clip_epsilon limits how far several gradient steps go"),
        ({"num_epochs": 4}, "num_epochs 4 needs clip_epsilon or target_kl"),
        ({"algorithm": "ppo", "num_minibatches": 257}, "num_minibatches 257 is more than"),
        ({"algorithm": "reinforce", "num_minibatches": 9}, "num_minibatches 9 is more than"),
        ({"clip_schedule": "linear"}, "needs a clip_epsilon to decay"),
        ({"algorithm": "reinforce", "num_minibatches": 2, "value_clip_epsilon": 1}, "needs baseline 'value'"),
        ({"standardize": "minibatch"}, "needs several gradient steps an iteration"),
        ({"algorithm": "ppo", "standardize": "minibatch", "discounting": "exact"}, "takes all samples alike"),
        ({"learning_rate": None}, "step 'gradient' needs a learning_rate"),
        ({"max_kl": 0.1}, "max_kl is the length of natural steps"),
        ({"algorithm": "trpo", "learning_rate": 0.1}, "step 'trust-region' has no learning_rate"),
        ({"algorithm": "natural", "max_kl": None}, "step 'natural' needs max_kl"),
        ({"algorithm": "trpo", "num_minibatches": 2}, "uses all of a batch once"),
        ({"algorithm": "trpo", "entropy_coef": 0.1}, "set entropy_coef to 0"),
        ({"algorithm": "reinforce", "num_value_steps": 2}, "num_value_steps needs baseline 'value'"),
        ({"action_distribution": "beta", "squash": True}, "squash is for action_distribution 'gaussian'"),
        ({"action_distribution": "beta", "std": "state-dependent"}, "std is for action_distribution 'gaussian'"),
        ({"action_distribution": "beta", "initial_std": 0.5}, "initial_std is for action_distribution 'gaussian'"),
        ({"action_distribution": "beta", "std": "gsde"}, "std is for action_distribution 'gaussian'"),
        ({"noise_steps": 4}, "noise_steps is for std 'gsde', whose noise can be held, not 'state-independent'"),
        ({"std": "gsde", "noise_steps": 0}, "noise_steps must be in 1 … 10¹⁵, not 0"),
        ({"algorithm": "reinforce", "value_hidden": 32}, "value_hidden needs baseline 'value'"),
        ({"num_envs": 2.5}, "num_envs must be an integer, not 2.5"),
        ({"num_envs": True}, "num_envs must be an integer, not True"),
        ({"num_envs": None}, "num_envs must be an integer, not None"),
        ({"num_envs": "inf"}, "num_envs must be an integer, not 'inf'"),
        ({"learning_rate": "fast"}, "learning_rate must be a number, not 'fast'"),
        ({"learning_rate": True}, "learning_rate must be a number, not True"),
        ({"standardize": True}, "standardize must be text, not True"),
        ({"standardize": "epsode"}, "unknown standardize 'epsode': did you mean 'episode'?"),
        ({"standardize": "episode"}, "standardize 'episode' needs whole episodes"),
        ({"algorithm": "reinforce", "constant_baseline": 3}, "for baseline 'constant' only"),
        (
            {"algorithm": "notebook", "baseline": "constant", "constant_baseline": "inf"},
            "must be finite",
        ),
        ({"algorithm": "reinforce", "baseline": "mean"}, "baseline 'mean' has no effect where standardize 'batch'"),
        ({"algorithm": "reinforce", "standardize": "episode"}, "baseline 'leave-one-out' has no effect"),
        ({"baseline": "foo"}, "unknown baseline 'foo'"),
        ({"algorithm": "reinforce", "baseline": "optimal", "episodes_per_iteration": 1}, "at least two episodes"),
        ({"checkpoint_every": 0}, "checkpoint_every must be in 1 … 10¹⁵, not 0"),
        ({"hidden": "8,x"}, "'x'"),
        ({"activation": 3}, "activation must be text, not 3"),
        ({"activation": "tanch"}, "unknown activation 'tanch': did you mean 'tanh'?"),
        ({"algorithm": "reinforc"}, "unknown algorithm 'reinforc': did you mean 'reinforce'?"),
        ({"algorithm": "zzz"}, "known: actor-critic, natural, notebook, ppo, reinforce, reward-to-go"),
        ({"learnin_rate": 1}, "unknown setting 'learnin_rate': did you mean 'learning_rate'?"),
    ],
)
def test_what_is_wrong_is_named_alone(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        resolve(None, None, settings)
    assert len(caught.value.problems) == 1
    assert message in caught.value.problems[0]


def test_everything_wrong_is_named_at_once() -> None:
    wrong = {
        "lerning_rate": 1,
        "activation": "tan",
        "num_envs": "many",
        "learning_rate": math.nan,
        "discount": 2,
        "seeds": [-4],
    }
    with pytest.raises(ConfigError) as caught:
        resolve(None, "actor-critik", wrong)
    assert len(caught.value.problems) == len(wrong) + 1
    for word in ("'actor-critik'", "'lerning_rate'", "'tan'", "'many'", "not nan", "not 2", "not -4"):
        assert str(caught.value).count(word) == 1


def test_a_config_made_directly_is_checked_and_cannot_be_changed() -> None:
    with pytest.raises(ConfigError, match="learning_rate must be positive and finite") as caught:
        Config(learning_rate=-1, discount=3)
    assert len(caught.value.problems) == 2
    with pytest.raises(dataclasses.FrozenInstanceError):
        Config().learning_rate = 3  # type: ignore[misc]
    with pytest.raises(ConfigError):
        dataclasses.replace(Config(), num_envs=-1)


@pytest.mark.parametrize("wrong", [{"seeds": "x"}, {"learning_rate": "fast"}, {"hidden": 6.5}, {"num_envs": None}])
def test_a_config_made_directly_with_a_wrong_type_says_so(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        Config(**wrong)


@pytest.mark.parametrize("whole", ["100000", "1e5", 100_000, 1e5, np.float32(1e5)])
def test_whole_numbers_may_be_written_in_many_ways(whole: Any) -> None:
    value = checked("total_steps", whole)
    assert value == 100_000
    assert type(value) is int


def test_large_whole_numbers_are_not_rounded() -> None:
    assert checked("seeds", f"{2**63 - 1},") == (2**63 - 1,)


# ----------------------------------------------------------------------------------------------------------- arguments


def test_python_arguments_and_flags_are_checked_alike() -> None:
    expected = {"seed": 0, "evaluation_episodes": 100, "discount": 0.5, "step_timeout": None, "greedy": True}
    python = check_arguments(seed=0, evaluation_episodes=1e2, discount=0.5, step_timeout=None, greedy=True)
    flags = {"--seed": "0", "--evaluation-episodes": "1e2", "--discount": ".5", "--step-timeout": "none"}
    assert python == expected
    assert check_arguments(**flags, **{"--greedy": "true"}) == expected
    assert type(python["evaluation_episodes"]) is int


def test_all_arguments_that_are_wrong_are_named_as_they_were_given() -> None:
    with pytest.raises(ConfigError) as caught:
        check_arguments(**{"seed": 0.9, "--threads": "two", "discount": 1.5, "--episodes": "0", "greedy": "no"})
    assert caught.value.problems == (
        "seed must be an integer, not 0.9",
        "--threads must be an integer, not 'two'",
        "discount must be in [0, 1], not 1.5",
        "--episodes must be in 1 … 10¹⁵, not 0",
        "greedy must be true or false, not 'no'",
    )


@pytest.mark.parametrize("name", ARGUMENTS)
@pytest.mark.parametrize(
    "wrong", [math.nan, "zzz", object(), -1, 10**30, np.zeros(2)], ids=["nan", "text", "object", "-1", "1e30", "array"]
)
def test_every_argument_refuses_what_it_cannot_be_with_a_message(name: str, wrong: Any) -> None:
    try:
        check_arguments(**{name: wrong})
    except ConfigError as error:
        assert name in error.problems[0]


@pytest.mark.parametrize("timeout", [0, -1, math.nan, math.inf, 1e300], ids=repr)
def test_a_timeout_that_the_system_cannot_wait_for_is_refused(timeout: float) -> None:
    with pytest.raises(ConfigError, match="step_timeout must be positive and at most"):
        check_arguments(step_timeout=timeout)


@pytest.mark.parametrize(
    ("written", "seeds"),
    [
        ("0-9", tuple(range(10))),
        ("0-4,10", (0, 1, 2, 3, 4, 10)),
        (["0-2", 7, "9"], (0, 1, 2, 7, 9)),
        ("5-5", (5,)),
        (np.arange(3), (0, 1, 2)),
        (range(2, 4), (2, 3)),
    ],
    ids=repr,
)
def test_seeds_may_be_ranges(written: Any, seeds: tuple[int, ...]) -> None:
    assert checked("seeds", written) == seeds
    if isinstance(written, str):
        assert from_flags("--seeds", written).seeds == resolve(None, None, {"seeds": written}).seeds == seeds


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("9-0", "ranges like 0-9"),
        ("0-99999999", "at most 100,000"),
        ("0-4,3", "differ from each other"),
        ("0-4-9", "must be an integer, not '0-4-9'"),
        ("0-", "must be an integer, not '0-'"),
        (",", "must be an integer, not ''"),
        ("-3", "a range like 0-9"),
        ("3,-4", "in 0 … 2⁶³ - 1, not -4"),
    ],
)
def test_what_is_no_range_of_seeds_is_refused(written: str, message: str) -> None:
    with pytest.raises(ConfigError, match="seeds") as caught:
        resolve(None, None, {"seeds": written})
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("gamma", "discount"),
        ("n_steps", "num_steps"),
        ("n_envs", "num_envs"),
        ("total_timesteps", "total_steps"),
        ("lr", "learning_rate"),
        ("ent_coef", "entropy_coef"),
        ("entropy_coeff", "entropy_coef"),
        ("vf_coef", "value_learning_rate"),
        ("n_epochs", "num_epochs"),
        ("norm_adv", "standardize"),
        ("hidden_sizes", "hidden"),
        ("env_id", "env"),
    ],
)
def test_other_libraries_names_get_a_hint_at_ours(theirs: str, ours: str) -> None:
    with pytest.raises(ConfigError) as caught:
        resolve(None, None, {theirs: 1})
    (problem,) = caught.value.problems
    assert problem.startswith(f"unknown setting '{theirs}': ")
    assert ours in problem
    with pytest.raises(ConfigError) as caught:
        from_flags(f"--{theirs.replace('_', '-')}", "1")
    assert ours.replace("_", "-") in str(caught.value) or ours in str(caught.value)


def test_every_synonym_leads_somewhere() -> None:
    known = {*FIELDS, *ARGUMENTS}
    assert {meant for name, meant in SYNONYMS.items() if meant not in known or name in FIELDS} == set()


def test_the_keyword_arguments_for_editors_are_the_configurations_fields() -> None:
    named_by_train = {"env", "algorithm", "seeds", "optimizer"}
    assert set(TrainSettings.__annotations__) == set(FIELDS) - named_by_train
