"""The command as a user meets it: what it writes, what it says, and that bad input costs nothing but a message."""

import contextlib
import csv
import io
import itertools
import json
import os
import re
import signal
import subprocess
import sys
import sysconfig
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

import pgrad
from pgrad.algorithms import ALGORITHMS
from pgrad.algorithms.iteration import METRICS
from pgrad.cli import main as cli
from pgrad.cli import train as train_module
from pgrad.cli.train import request
from pgrad.config.resolve import resolve
from pgrad.config.settings import FIELDS
from pgrad.runs.folder import seeds_of
from pgrad.training import seeds as seeds_module
from pgrad.training.seeds import Snapshot
from pgrad.training.train import Interrupted

SHORT = ("--preset", "none", "--total-steps", "3000")
REFUSED, DIVERGED, INTERRUPTED = 2, 1, 130


def run(*argv: object) -> int:
    return cli.run([str(word) for word in argv])


def strict_json(path: Path) -> Any:
    """JSON as the standard has it: without NaN and Infinity."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)


def metrics_rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def tree(folder: Path) -> dict[str, bytes | None]:
    """Everything in a folder."""
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None for p in sorted(folder.rglob("*"))}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The run folder of a short training of two seeds, and what the command printed."""
    path, printed = tmp_path_factory.mktemp("trained") / "run", io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(io.StringIO()):
        code = run("train", "CartPole-v1", "--seeds", "4,11", "--evaluation-episodes", 20, "--out", path, *SHORT)
    assert code == 0
    return path, printed.getvalue()


@pytest.fixture
def refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs a command that has to be refused, in a folder that has to stay as it is; returns the message."""
    monkeypatch.chdir(tmp_path)

    def command(*argv: object) -> str:
        before = tree(tmp_path)
        assert run(*argv) == REFUSED
        out, err = capsys.readouterr()
        assert not out
        assert tree(tmp_path) == before
        assert all(line.startswith("pgrad: ") for line in err.splitlines())
        assert "Traceback" not in err
        return err

    return command


# --------------------------------------------------------------------------------------------- train, and what it left


def test_training_leaves_a_complete_folder(trained: tuple[Path, str]) -> None:
    path, _ = trained
    assert set(tree(path)) - {"evaluations.jsonl"} == {  # of `pgrad eval`, in another test
        "config.toml",
        "summary.json",
        "training_curve.png",
        "action_probabilities.png",
        *(f"seed-{seed}" for seed in (4, 11)),
        *(
            f"seed-{seed}/{name}"
            for seed in (4, 11)
            for name in (
                "policy.safetensors",
                "value.safetensors",
                "checkpoints.safetensors",
                "metrics.csv",
                "episodes.csv",
                "evaluation.csv",
                "resume.safetensors",
            )
        ),
    }


def test_the_summary_is_printed_and_names_the_folder(trained: tuple[Path, str]) -> None:
    path, printed = trained
    lines = printed.splitlines()
    assert lines[0].startswith("CartPole-v1 · actor-critic · 2 seeds · ")
    assert any(re.search(r"mean return +[\d.]+ \[[-\d.]+, [-\d.]+\].*over 2 seeds", line) for line in lines)
    for words in ("20 episodes each in Gymnasium's CartPole-v1", "worst seed", "0 of 2 [0 %, 84.2 %]"):
        assert words in printed
    assert lines[-1] == f"written to {path}"


def test_summary_json_agrees_with_the_other_files(trained: tuple[Path, str]) -> None:
    path, printed = trained
    summary = strict_json(path / "summary.json")
    assert [seed["seed"] for seed in summary["seeds"]] == [4, 11]
    assert summary["total_steps"] == sum(seed["total_steps"] for seed in summary["seeds"])
    assert summary["mean_return"]["value"] == pytest.approx(np.mean([s["mean_return"] for s in summary["seeds"]]))
    assert summary["mean_return"]["low"] <= summary["mean_return"]["value"] <= summary["mean_return"]["high"]
    assert f"{summary['mean_return']['value']:.1f} [" in printed
    assert summary["solved"] == 0
    assert summary["solved_share"]["value"] == summary["solved_share"]["low"] == 0.0
    assert summary["solved_share"]["high"] == pytest.approx(1 - 0.025**0.5)
    for seed in summary["seeds"]:
        rows = metrics_rows(path / f"seed-{seed['seed']}")
        assert list(rows[0]) == ["iteration", *METRICS]
        assert [int(row["iteration"]) for row in rows] == list(range(1, len(rows) + 1))
        assert int(rows[-1]["total_steps"]) == seed["total_steps"] >= 3000
        assert all(0 <= float(row["entropy"]) <= np.log(2) + 1e-6 for row in rows)
        with (path / f"seed-{seed['seed']}" / "episodes.csv").open(newline="") as file:
            episodes = list(csv.DictReader(file))
        assert sum(int(row["episodes"]) for row in rows) == len(episodes) > 10
        ended = sum(int(episode["length"]) for episode in episodes)
        assert ended <= seed["total_steps"], "no more steps in whole episodes than were taken"
        assert all(float(episode["episode_return"]) == int(episode["length"]) for episode in episodes)


def test_the_policies_are_those_that_the_library_trains(trained: tuple[Path, str]) -> None:
    path, _ = trained
    result = pgrad.train("CartPole-v1", seeds=[4, 11], preset="none", total_steps=3000, evaluation_episodes=0)
    for seed, policy in zip((4, 11), result.policies, strict=True):
        np.testing.assert_array_equal(pgrad.load(path, seed).parameters, policy.parameters)
    assert pgrad.load(path).metadata["seed"] == "4"
    assert not np.array_equal(pgrad.load(path, 4).parameters, pgrad.load(path, 11).parameters)


def test_the_written_configuration_repeats_the_run(trained: tuple[Path, str], tmp_path: Path) -> None:
    path, _ = trained
    again = tmp_path / "again"
    arguments = ("--config", path / "config.toml", "--out", again, "--no-figures", "--evaluation-episodes", 0)
    assert run("train", *arguments) == 0
    assert (again / "config.toml").read_bytes() == (path / "config.toml").read_bytes()
    for seed in (4, 11):
        for name in ("metrics.csv", "episodes.csv"):
            assert (again / f"seed-{seed}" / name).read_bytes() == (path / f"seed-{seed}" / name).read_bytes()
        policies = [pgrad.load(folder, seed) for folder in (path, again)]
        assert policies[0].parameters.tobytes() == policies[1].parameters.tobytes()
        assert policies[0].metadata == policies[1].metadata
    assert not list(again.glob("*.png"))
    assert "mean_return" not in strict_json(again / "summary.json")


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_algorithm_trains_from_its_resolved_file(tmp_path: Path, algorithm: str) -> None:
    common = ("--preset", "none", "--no-figures", "--evaluation-episodes", 0, "--num-iterations", 2)
    assert run("train", "CartPole-v1", "--algorithm", algorithm, "--out", tmp_path / "a", *common) == 0
    assert run("train", "--config", tmp_path / "a" / "config.toml", "--out", tmp_path / "b") == 0
    a, b = (pgrad.load(tmp_path / name).parameters for name in "ab")
    np.testing.assert_array_equal(a, b)
    assert f'algorithm = "{algorithm}"' in (tmp_path / "b" / "config.toml").read_text(encoding="utf-8")


def test_runs_are_numbered_where_no_folder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        assert run("train", "CartPole-v1", "--no-figures", "--evaluation-episodes", 0, "--num-iterations", 1) == 0
    assert sorted(path.name for path in Path("runs").iterdir()) == [f"CartPole-v1-ppo-{k}" for k in (1, 2)]


# ----------------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ("trian CartPole-v1", "unknown command 'trian': did you mean 'train'?"),
        (
            "zzz",
            "unknown command 'zzz': known: algorithms, check-env, diagnose, envs, eval, exercise, experiment, "
            "explain-failure, info, lesson, play, report, sweep, train, tune, verify, watch",
        ),
        ("train", "no environment: name one, as in `pgrad train CartPole-v1`"),
        ("train CartPole-v1 --clip-schedule=--", "--clip-schedule needs a value"),
        (f"eval {'9' * 400}", "File name too long: 999"),
        (f"train CartPole-v1 --out {'9' * 400}", "File name too long: "),
        ("exercise --grade=--", "--grade needs a value"),
        ("train CartPol-v1", "unknown environment 'CartPol-v1': did you mean 'CartPole-v1'?"),
        ("train Zzz-v1", "unknown environment 'Zzz-v1': `pgrad envs` lists the known ones"),
        ("train Blackjack-v1 --backend compiled", "'Blackjack-v1' has no compiled form"),
        ("train CliffWalking-v1 --algorithm reinforce", "'CliffWalking-v1' has no time limit"),
        (
            "train CartPole-v1 --vectorization async --backend compiled",
            "vectorization 'async' is for Gymnasium environments",
        ),
        ("train CartPole-v1 --vectorization parallel", "unknown vectorization 'parallel'"),
        ("train Pendulum-v1 --squash perhaps", "unexpected argument 'perhaps'"),
        ("train Pendulum-v1 --initial-std 0", "initial_std must be positive and finite, not 0.0"),
        (
            "train CartPole-v1 --squash true",
            "squash is for continuous actions, and 'CartPole-v1' has 2 actions: remove it",
        ),
        ("train CartPole-v1 --std state-dependent", "std is for continuous actions"),
        ("train CartPole-v1 --std gsde", "std is for continuous actions"),
        ("train Pendulum-v1 --noise-steps 4", "noise_steps is for std 'gsde'"),
        ("train Pendulum-v1 --use-sde", "did you mean '--std'?"),
        ("train CartPole-v1 --initial-std 2", "initial_std is for continuous actions"),
        ("train CartPole-v1 --action-distribution beta", "action_distribution is for continuous actions"),
        ("train Pendulum-v1 --action-distribution gamma", "unknown action_distribution 'gamma': known: beta, gaussian"),
        ("train nowhere.py:MyEnv", "there is no file 'nowhere.py'"),
        ("train CartPole-v1 --algorithm reinforc", "unknown algorithm 'reinforc': did you mean 'reinforce'?"),
        ("train CartPole-v1 --learnin-rate 1", "unknown flag '--learnin-rate': did you mean '--learning-rate'?"),
        ("train CartPole-v1 --learnin-rate=1", "unknown flag '--learnin-rate': did you mean '--learning-rate'?"),
        ("train CartPole-v1 --seed", "--seed needs a value"),
        ("train CartPole-v1 --total 5", "unknown flag '--total': did you mean '--total-steps'?"),
        ("train CartPole-v1 Acrobot-v1", "unexpected argument 'Acrobot-v1'"),
        ("train CartPole-v1 --learning-rate 0", "learning_rate must be positive and finite, not 0.0"),
        ("train CartPole-v1 --learning-rate -1", "learning_rate must be positive and finite, not -1.0"),
        ("train CartPole-v1 --learning-rate nan", "learning_rate must be positive and finite, not nan"),
        ("train CartPole-v1 --learning-rate inf", "learning_rate must be positive and finite, not inf"),
        ("train CartPole-v1 --learning-rate fast", "learning_rate must be a number, not 'fast'"),
        ("train CartPole-v1 --discount 1.01", "discount must be in [0, 1], not 1.01"),
        ("train CartPole-v1 --discount -0.1", "discount must be in [0, 1], not -0.1"),
        ("train CartPole-v1 --episodes-per-iteration 0", "episodes_per_iteration must be in 1 … 10¹⁵, not 0"),
        ("train CartPole-v1 --evaluation-episodes -1", "--evaluation-episodes must be in 0 … 10¹⁵, not -1"),
        ("train CartPole-v1 --seed -1", "--seed must be in 0 … 2⁶³ - 1, not -1"),
        ("train CartPole-v1 --seeds 3,-4", "seeds must be in 0 … 2⁶³ - 1, not -4"),
        ("train CartPole-v1 --seeds 0", "seeds must be a positive number of seeds"),
        ("train CartPole-v1 --seed 1 --seeds 2", "give either --seed or --seeds, not both"),
        ("train CartPole-v1 --hidden 64,0", "hidden must be in 1 … 10¹⁵, not 0"),
        ("train CartPole-v1 --threads 0", "--threads must be in 1 … 10¹⁵, not 0"),
        ("train CartPole-v1 --threads two", "--threads must be an integer, not 'two'"),
        ("train CartPole-v1 --config missing.toml", "cannot read --config missing.toml: No such file or directory"),
        ("train CartPole-v1 --config .", "cannot read --config .: it is not a regular file"),
        ("eval", "the following arguments are required: RUN"),
        ("eval nowhere", "nowhere is neither a policy file nor a run folder"),
        ("eval nowhere --episode 3", "unknown flag '--episode': did you mean '--episodes'?"),
        ("train CartPole-v1 --checkpoint-every 99999999999999999999", "checkpoint_every must be in 1 … 10¹⁵"),
        ("train CartPole-v1 --seeds 9-0", "seeds must be ranges like 0-9"),
        ("train CartPole-v1 --config /dev/zero", "cannot read --config /dev/zero: it is not a regular file"),
        ("envs --verbose", "unknown flag '--verbose'"),
        ("info please", "unexpected argument 'please'"),
    ],
)
def test_bad_input_is_one_message(refused: Callable[..., str], argv: str, message: str) -> None:
    said = refused(*argv.split())
    assert said.count("\n") == 1
    assert message in said


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("learnin_rate = 1", "unknown setting 'learnin_rate': did you mean 'learning_rate'?"),
        ("learning_rate = 0", "learning_rate must be positive and finite, not 0.0"),
        ("learning_rate = = 1", "settings.toml is not valid TOML: "),
        ('env = "CartPol-v1"', "unknown environment 'CartPol-v1': did you mean 'CartPole-v1'?"),
        ("env = 3", "env must be text, not 3"),
        ('algorithm = "notebok"', "unknown algorithm 'notebok': did you mean 'notebook'?"),
        ("[train]\nseeds = 3", "unknown setting 'train'"),
        ("algorithm = nan", "algorithm must be text, not nan"),
        ("# " + "x" * 1_000_000, "cannot read --config settings.toml: it has 1,000,002 bytes"),
        ("seeds = " + "[" * 100_000, "settings.toml is not valid TOML: it is nested too deeply"),
        ("seeds = " + "1" * 5_000, "settings.toml is not valid TOML: "),
        ("seeds = -3", "seeds must be a positive number of seeds, a range like 0-9, or a list, not -3"),
    ],
    ids=lambda text: text[:40],
)
def test_a_bad_file_is_one_message(refused: Callable[..., str], tmp_path: Path, toml: str, message: str) -> None:
    (tmp_path / "settings.toml").write_text(toml)
    env = () if toml.startswith("env") else ("CartPole-v1",)
    said = refused("train", *env, "--config", "settings.toml")
    assert said.count("\n") == 1
    assert message in said


def test_a_file_that_is_no_text_is_one_message(refused: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_bytes(b"env = \xff\xfe")
    assert "settings.toml is not valid TOML" in refused("train", "CartPole-v1", "--config", "settings.toml")


def test_a_pipe_as_a_file_is_refused_instead_of_waited_for(refused: Callable[..., str], tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "cannot read --config pipe: it is not a regular file" in refused("train", "CartPole-v1", "--config", "pipe")


def test_a_file_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text("num_envs = 3", encoding="utf-8-sig")
    assert request(["CartPole-v1", "--config", str(tmp_path / "settings.toml")]).config.num_envs == 3


@pytest.mark.parametrize(
    ("flags", "value"),
    [
        (("--normalize-obs",), True),
        (("--normalize-obs", "true"), True),
        (("--normalize-obs", "false"), False),
        (("--no-normalize-obs",), False),
    ],
    ids=str,
)
def test_a_boolean_needs_no_value(flags: tuple[str, ...], value: bool) -> None:
    asked = request([*flags, "CartPole-v1"])
    assert (asked.config.normalize_obs, asked.config.env) == (value, "CartPole-v1")


def test_everything_wrong_is_named_at_once(refused: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text("gama = 3\ndiscount = 3\nactivation = 'tan'")
    said = refused(
        *("train", "CartPol-v1", "--config", "settings.toml", "--seed", "-1", "--seeds", "3", "--learnig-rate", "2"),
        *("--learning-rate", "nan", "--threads", "-2", "--evaluation-episodes", "-3", "--algorithm", "notebok"),
    )
    named = [
        "'CartPol-v1'",
        "'gama'",
        "discount must be in [0, 1], not 3",
        "'tan'",
        "either --seed or --seeds",
        "not -1",
        "'--learnig-rate'",
        "not nan",
        "--threads must be in 1 … 10¹⁵, not -2",
        "--evaluation-episodes must be in 0 … 10¹⁵, not -3",
        "'notebok'",
    ]
    assert [words for words in named if words not in said] == []
    assert said.count("\n") == len(named)


def test_a_broken_file_does_not_hide_what_else_is_wrong(refused: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text("= 3")
    said = refused("train", "CartPol-v1", "--config", "settings.toml", "--discount", 7)
    assert said.count("\n") == 3
    assert all(words in said for words in ("not valid TOML", "'CartPol-v1'", "not 7"))


@pytest.mark.parametrize("flag", [("--threads", "two"), ("--seed",), ("--evaluation-episodes", "1e2.5")])
def test_argparses_complaints_do_not_hide_what_else_is_wrong(refused: Callable[..., str], flag: tuple[str]) -> None:
    said = refused("train", "CartPol-v1", "--discount", 7, *flag)
    assert all(words in said for words in (flag[0], "'CartPol-v1'", "not 7"))


@pytest.mark.parametrize("in_the_way", ["folder", "file", "file above"])
def test_a_run_folder_in_the_way_stays_as_it_is(refused: Callable[..., str], tmp_path: Path, in_the_way: str) -> None:
    path = tmp_path / "out"
    if in_the_way == "folder":
        path.mkdir()
        (path / "config.toml").write_text("precious")
    else:
        path.write_text("precious")
    said = refused("train", "CartPole-v1", "--out", path / "run" if in_the_way == "file above" else path)
    assert said.count("\n") == 1
    assert str(path) in said
    assert ("Not a directory" if in_the_way == "file above" else "exists already: choose another --out") in said


def test_a_run_folder_in_the_way_is_named_with_what_else_is_wrong(refused: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    said = refused("train", "CartPole-v1", "--out", tmp_path / "out", "--discount", 7)
    assert all(words in said for words in ("exists already", "not 7"))


def test_a_run_refused_before_its_first_step_leaves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], breaking: Callable[[str, int], str]
) -> None:
    out = tmp_path / "new" / "run"
    assert run("train", breaking("obs", 0), "--out", out, *SMALL_FLAGS, "--preset", "none") == REFUSED
    assert "observation[1] is inf" in capsys.readouterr().err
    assert tree(tmp_path) == {}


def test_an_error_that_nobody_foresaw_leaves_nothing_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(train_module, "train", fail)
    with pytest.raises(ZeroDivisionError):
        run("train", "CartPole-v1", "--evaluation-episodes", 0, "--no-figures", "--out", tmp_path / "new" / "run")
    assert tree(tmp_path) == {}


def test_a_folder_with_a_policy_in_it_stays_whatever_happens(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), train_module.removed_if_empty(tmp_path / "run"):
        (tmp_path / "run" / "seed-3").mkdir(parents=True)
        raise ZeroDivisionError
    with pytest.raises(ZeroDivisionError), train_module.removed_if_empty(tmp_path / "run"):
        raise ZeroDivisionError
    assert set(tree(tmp_path)) == {"run", "run/seed-3"}


def test_quiet_is_the_result_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("train", "CartPole-v1", "--out", tmp_path / "run", "--quiet", "--no-figures", *SHORT) == 0
    out, err = capsys.readouterr()
    assert not err
    assert out.splitlines()[-1] == f"written to {tmp_path / 'run'}"


@pytest.mark.parametrize("size", [("--num-envs", 10**13), ("--hidden", 10**13)])
def test_sizes_beyond_memory_are_refused(tmp_path: Path, size: tuple[str, int]) -> None:
    assert run("train", "CartPole-v1", "--out", tmp_path / "run", *size) == REFUSED
    assert not (tmp_path / "run").exists()


# ---------------------------------------------------------------------------------------------------------- divergence


class Breaking(gymnasium.Env[np.ndarray, int]):
    """Ten steps an episode, and from some step on what is observed or earned is not finite."""

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (2,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, what: str, after: int) -> None:
        self.what, self.after, self.steps = what, after, 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict]:
        super().reset(seed=seed)
        return np.zeros(2, np.float32), {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict]:
        self.steps += 1
        broken = self.steps > self.after
        obs = np.array([action, np.inf if broken and self.what == "obs" else 0], np.float32)
        reward = np.nan if broken and self.what == "reward" else 1.0
        return obs, reward, self.steps % 10 == 0, False, {}


@pytest.fixture
def breaking() -> Iterator[Callable[[str, int], str]]:
    """Registers the environment; returns its id."""
    names: list[str] = []

    def register(what: str, after: int) -> str:
        names.append(f"Breaking{what}{after}-v0")
        options = {"what": what, "after": after}
        gymnasium.register(names[-1], Breaking, max_episode_steps=20, disable_env_checker=True, kwargs=options)
        return names[-1]

    yield register
    for name in names:
        del gymnasium.registry[name]


BREAKS = pytest.mark.parametrize(("what", "said"), [("reward", "the reward is nan"), ("obs", "observation[1] is inf")])
SMALL: dict[str, Any] = {"num_envs": 2, "num_steps": 50, "hidden": 4, "learning_rate_schedule": "constant"}
SMALL_FLAGS = [word for name, value in SMALL.items() for word in (f"--{name.replace('_', '-')}", value)]


@BREAKS
def test_an_environment_that_breaks_ends_the_run_with_the_last_good_policy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], breaking: Callable[[str, int], str], what: str, said: str
) -> None:
    out = tmp_path / "run"
    argv = ("--out", out, "--evaluation-episodes", 3, *SMALL_FLAGS, *SHORT)
    assert run("train", breaking(what, 140), *argv) == REFUSED
    _, err = capsys.readouterr()
    assert f"pgrad: 'Breaking{what}140-v0': {said} (environment 0, seed " in err
    assert "Traceback" not in err
    assert strict_json(out / "summary.json")["seeds"][0]["finished"] is False
    rows = metrics_rows(out / "seed-0")
    assert 2 <= len(rows) <= 4, "two environments of 140 good steps, 50 an iteration"
    saved = pgrad.load(out).parameters
    assert np.isfinite(saved).all()
    whole = breaking(what, 10_000)
    last_good, before = (
        pgrad.train(whole, preset="none", num_iterations=iterations, evaluation_episodes=0, **SMALL).policies[0]
        for iterations in (len(rows), len(rows) - 1)
    )
    np.testing.assert_array_equal(saved, last_good.parameters)
    assert not np.array_equal(saved, before.parameters)


@BREAKS
def test_the_step_that_is_named_is_the_one_that_failed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], breaking: Callable[[str, int], str], what: str, said: str
) -> None:
    argv = ("--out", tmp_path / "run", "--evaluation-episodes", 0, "--no-figures", *SMALL_FLAGS, *SHORT)
    assert run("train", breaking(what, 143), *argv) == REFUSED
    named = re.search(r"episode (\d+), step (\d+); step (\d+) of the run", capsys.readouterr().err)
    assert named is not None
    assert tuple(map(int, named.groups())) == (14, 3, 2 * 143), "episodes of ten steps, two environments"


def test_policies_are_saved_along_the_way(tmp_path: Path) -> None:
    """A simulator that takes the whole process with it leaves the policy that was saved last."""
    out = tmp_path / "run"
    script = f"""
import os, sys, gymnasium, numpy as np
from pgrad.cli import main as cli
from pgrad.cli import train as train_module
from pgrad.cli.train import request

class Deadly(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(0, 1, (1,))
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        return np.zeros(1, np.float32), {{}}

    def step(self, action):
        if os.path.exists({str(out / "seed-0" / "policy.safetensors")!r}):
            os._exit(9)
        return np.zeros(1, np.float32), 1.0, False, False, {{}}

gymnasium.register("Deadly-v0", Deadly, max_episode_steps=9)
sys.argv[1:] = ["train", "Deadly-v0", "--out", {str(out)!r}, "--total-steps", "1e9", "--vectorization", "sync"]
sys.argv += ["--preset", "none", "--save-every", "0.1"]
cli.main()
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert done.returncode == 9, done.stderr
    assert np.isfinite(pgrad.load(out).parameters).all()


def test_a_learning_rate_too_large_ends_the_run_with_the_last_good_policy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    settings = ("--learning-rate", "1e38", "--seeds", "2,5", "--activation", "relu", "--hidden", "8,8")
    assert run("train", "CartPole-v1", "--out", out, "--evaluation-episodes", 3, *settings, *SHORT) == DIVERGED
    _, err = capsys.readouterr()
    for seed in (2, 5):
        assert f"infinite; a smaller learning_rate may help (seed {seed}, iteration 1)" in err
        assert np.isfinite(pgrad.load(out, seed).parameters).all()
    assert "Traceback" not in err
    assert [seed["failure"] is None for seed in strict_json(out / "summary.json")["seeds"]] == [False, False]
    assert (out / "training_curve.png").exists()


def test_a_policy_that_has_no_probabilities_is_not_the_last_good_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = ("--learning-rate", "1e30", "--activation", "relu", "--hidden", "8,8")
    code = run("train", "CartPole-v1", "--out", tmp_path / "run", "--evaluation-episodes", 3, *settings, *SHORT)
    assert code == DIVERGED
    assert "not finite" in capsys.readouterr().err
    assert np.isfinite(pgrad.load(tmp_path / "run").probabilities(np.zeros(4) + 0.1)).all()


def test_an_evaluation_that_breaks_loses_nothing(tmp_path: Path, breaking: Callable[[str, int], str]) -> None:
    out = tmp_path / "run"
    argv = ("--out", out, "--evaluation-episodes", 30, "--no-figures", *SMALL_FLAGS, *SHORT, "--total-steps", 100)
    assert run("train", breaking("reward", 55), *argv, "--num-envs", 10, "--num-steps", 10) == 0
    again = tmp_path / "again"
    argv = ("--out", again, "--evaluation-episodes", 1000, "--no-figures", *SMALL_FLAGS, *SHORT, "--total-steps", 100)
    assert run("train", breaking("reward", 33), *argv, "--num-envs", 10, "--num-steps", 10) == REFUSED
    for path in (out, again):
        assert np.isfinite(pgrad.load(path).parameters).all()
        assert strict_json(path / "summary.json")["seeds"][0]["total_steps"] == 100


# ---------------------------------------------------------------------------------------------------------------- eval


def test_eval_estimates_every_seed_or_one(trained: tuple[Path, str], capsys: pytest.CaptureFixture[str]) -> None:
    path, _ = trained
    assert run("eval", path, "--episodes", 10) == 0
    all_lines = capsys.readouterr().out.splitlines()
    assert re.fullmatch(
        r"all 2 seeds: mean [\d.]+ \[[-\d.]+, [-\d.]+\] \(nominal 95 %, .* over 2 seeds.*\)", all_lines.pop()
    )
    assert [line.split(":")[0] for line in all_lines] == ["seed 4", "seed 11"]
    assert all(
        re.search(r"mean return [\d.]+ \[[\d.]+, [\d.]+\] \(nominal 95 %, .* over 10 episodes.*\)$", line)
        for line in all_lines
    )
    assert run("eval", path, "--episodes", 10, "--seed", 11) == 0
    assert capsys.readouterr().out.splitlines() == all_lines[1:]
    assert run("eval", path / "seed-11" / "policy.safetensors", "--episodes", 10) == 0
    assert capsys.readouterr().out.splitlines() == [all_lines[1].removeprefix("seed 11: ")]


def test_eval_takes_its_choices_to_the_library(trained: tuple[Path, str], capsys: pytest.CaptureFixture[str]) -> None:
    path, _ = trained
    choices = ("--episodes", 7, "--discount", 0.98, "--evaluation-seed", 3, "--greedy", "--seed", 4)
    assert run("eval", path, *choices, "--env", "CartPole-v1") == 0
    asked = ("CartPole-v1", 7, 0.98, 3, True)
    expected = pgrad.evaluate(pgrad.load(path, 4), *asked)
    assert capsys.readouterr().out == f"seed 4: {expected}\n"
    assert "return (γ = 0.98)" in str(expected)
    for k, other in ((2, 0.97), (3, 4), (4, False)):
        assert str(pgrad.evaluate(pgrad.load(path, 4), *asked[:k], other, *asked[k + 1 :])) != str(expected)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("--seed", 3), "has no seed 3; it has 4, 11"),
        (("--env", "Acrobot-v1"), "'Acrobot-v1' has 6 observations and 3 actions; this policy was made for 4 and 2"),
        (("--env", "CartPol-v1"), "did you mean 'CartPole-v1'?"),
        (("--episodes", 0), "--episodes must be in 1 … 10¹⁵, not 0"),
        (("--discount", 1.5), "--discount must be in [0, 1], not 1.5"),
        (("--evaluation-seed", -1), "--evaluation-seed must be in 0 … 2⁶³ - 1, not -1"),
    ],
)
def test_eval_refuses_what_it_cannot_do(
    trained: tuple[Path, str], refused: Callable[..., str], argv: tuple[object, ...], message: str
) -> None:
    said = refused("eval", trained[0], *argv)
    assert message in said
    assert said.count("\n") == 1


def test_eval_names_all_that_is_wrong(trained: tuple[Path, str], refused: Callable[..., str]) -> None:
    said = refused("eval", trained[0], "--episodes", 0, "--discount", 7, "--evaluation-seed", -3)
    assert all(words in said for words in ("not 0", "not 7", "not -3"))


OWN = """
from pathlib import Path
from gymnasium.envs.classic_control import CartPoleEnv

Path(__file__).with_name("imported").touch()

class Own(CartPoleEnv):
    pass
"""


def test_eval_and_diagnose_run_the_code_that_a_run_names_only_where_it_is_trusted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "own.py").write_text(OWN)
    env, out = f"{tmp_path / 'own.py'}:Own", tmp_path / "run"
    common = ("--quiet", "--no-figures", "--evaluation-episodes", 0, "--max-episode-steps", 20, *SHORT)
    assert run("train", env, "--out", out, *common) == 0
    (tmp_path / "imported").unlink()
    (tmp_path / "own.py").write_text(OWN + "# so that it is imported again")
    for command in (("eval", out, "--episodes", 2), ("diagnose", out, "--no-figures", "--trajectories", 200)):
        assert run(*command) == REFUSED
        assert "--trust" in capsys.readouterr().err
        assert not (tmp_path / "imported").exists()
    assert run("eval", out, "--episodes", 2, "--quiet", "--env", "CartPole-v1") == 0
    assert not (tmp_path / "imported").exists()
    assert run("eval", out, "--episodes", 2, "--quiet", "--trust") == 0
    assert (tmp_path / "imported").exists()
    assert capsys.readouterr().err == ""
    assert len((out / "evaluations.jsonl").read_text().splitlines()) == 2


@pytest.mark.parametrize("content", [b"", b"no policy", b"\x08" + b"\x00" * 40])
def test_a_corrupt_policy_is_one_message(refused: Callable[..., str], tmp_path: Path, content: bytes) -> None:
    (tmp_path / "seed-3").mkdir()
    (tmp_path / "seed-3" / "policy.safetensors").write_bytes(content)
    said = refused("eval", ".")
    assert "cannot read the policy seed-3/policy.safetensors" in said
    assert said.count("\n") == 1


def test_a_truncated_policy_is_one_message(
    trained: tuple[Path, str], refused: Callable[..., str], tmp_path: Path
) -> None:
    whole = (trained[0] / "seed-4" / "policy.safetensors").read_bytes()
    (tmp_path / "half").write_bytes(whole[: len(whole) // 2])
    assert "cannot read the policy half" in refused("eval", "half")


def test_eval_does_not_call_one_seed_another(trained: tuple[Path, str], refused: Callable[..., str]) -> None:
    assert "3" in refused("eval", trained[0] / "seed-4", "--seed", 3, "--episodes", 1)


# ------------------------------------------------------------------------------------------------------------ the rest


@pytest.mark.parametrize("argv", [(), ("--help",), ("-h",), ("help",)])
def test_the_overview_names_every_command(capsys: pytest.CaptureFixture[str], argv: tuple[str, ...]) -> None:
    assert run(*argv) == 0
    printed = capsys.readouterr().out
    assert all(f"\n  pgrad {command} " in printed for command in cli.COMMANDS)


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_every_command_explains_itself(capsys: pytest.CaptureFixture[str], command: str) -> None:
    with pytest.raises(SystemExit) as leaving:
        run(command, "--help")
    assert leaving.value.code == 0
    printed = capsys.readouterr().out
    assert printed.startswith(f"usage: pgrad {command}")
    assert len(printed.splitlines()) >= 6


def test_the_help_of_train_tells_every_setting_its_choices_and_its_default() -> None:
    help_of = {action.dest: action.help for action in train_module.parser()._actions}
    for name, default in {**vars(resolve()), "preset": "auto"}.items():
        if name == "env":
            continue
        field = FIELDS[name].metadata
        shown = ",".join(map(str, default)) if isinstance(default, tuple) else str(default)
        told = [" | ".join(field["choices"])] if field["choices"] else []
        assert help_of[name].lower() == f"{field['help']} ({'; '.join([*told, f'default {shown}'])})".lower()


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--version") == 0
    assert capsys.readouterr().out == f"{pgrad.__version__}\n"


def test_info(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("info") == 0
    printed = capsys.readouterr().out
    assert all(
        f"\n{name}" in "\n" + printed for name in ("pgrad", "python", "numba", "processor", "GPU", "extra torch")
    )


def test_the_command_and_the_module_are_the_same_program() -> None:
    script = Path(sysconfig.get_path("scripts")) / "pgrad"
    for command in ([str(script)], [sys.executable, "-m", "pgrad"]):
        done = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True, timeout=120)
        assert done.stdout == f"{pgrad.__version__}\n"
        argv = [*command, "train", "CartPol-v1"]
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == REFUSED
        assert done.stderr == "pgrad: unknown environment 'CartPol-v1': did you mean 'CartPole-v1'?\n"


# -------------------------------------------------------------------------------------------------------------- Ctrl-C


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts the command as a process that a SIGINT reaches, and that ends with the test."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # an ignored signal would be inherited
    processes: list[subprocess.Popen[str]] = []

    def command(*argv: object) -> subprocess.Popen[str]:
        words = [sys.executable, "-m", "pgrad", *map(str, argv)]
        processes.append(subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        alarm = threading.Timer(240, processes[-1].kill)
        alarm.daemon = True
        alarm.start()
        return processes[-1]

    yield command
    signal.signal(signal.SIGINT, before)
    for process in processes:
        process.kill()
        process.communicate()


def wait_for_line(process: subprocess.Popen[str], words: str) -> None:
    assert process.stderr is not None
    lines = list(itertools.takewhile(lambda line: words not in line, process.stderr))
    assert process.poll() is None, "".join(lines)


def test_ctrl_c_stops_and_saves_what_there_is(start: Callable[..., subprocess.Popen[str]], tmp_path: Path) -> None:
    out = tmp_path / "run"
    process = start("train", "CartPole-v1", "--seeds", 3, "--threads", 2, "--total-steps", 10**10, "--out", out)
    wait_for_line(process, " steps · ")
    process.send_signal(signal.SIGINT)
    code = process.wait()
    assert process.stdout is not None
    assert process.stderr is not None
    assert code == INTERRUPTED
    assert f"of 3 seeds had begun; saved to {out}; `pgrad train --resume {out}` goes on" in process.stderr.read()
    assert process.stdout.read().startswith("CartPole-v1 · ppo · ")
    seeds = seeds_of(out)
    assert seeds
    summary = strict_json(out / "summary.json")
    assert [seed["seed"] for seed in summary["seeds"]] == seeds
    for seed in seeds:
        assert np.isfinite(pgrad.load(out, seed).parameters).all()
        rows = metrics_rows(out / f"seed-{seed}")
        assert [int(row["iteration"]) for row in rows] == list(range(1, len(rows) + 1))
    assert summary["total_steps"] > 0


HANGING = """
import os, time
from pathlib import Path
from gymnasium import Env, spaces

class Hanging(Env):
    observation_space, action_space = spaces.Discrete(3), spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        return 0, {}

    def step(self, action):
        Path(__file__).with_name(f"{os.getpid()}.hanging").touch()
        time.sleep(200)
"""


def is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_ctrl_c_leaves_no_worker_that_hangs(start: Callable[..., subprocess.Popen[str]], tmp_path: Path) -> None:
    (tmp_path / "hanging.py").write_text(HANGING)
    process = start(
        "train", tmp_path / "hanging.py:Hanging", "--num-steps", 5, "--vectorization", "async", "--num-envs", 2,
        "--step-timeout", "none", "--preset", "none", "--out", tmp_path / "run",
    )  # fmt: skip
    while process.poll() is None and not (hanging := list(tmp_path.glob("*.hanging"))):
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    assert process.wait() == INTERRUPTED
    waiting, deadline = [int(path.stem) for path in hanging], time.monotonic() + 10
    while waiting and time.monotonic() < deadline:
        waiting = [worker for worker in waiting if is_running(worker)]
    for worker in waiting:
        os.kill(worker, signal.SIGKILL)
    assert waiting == []


def test_what_ctrl_c_saves_is_of_one_moment(start: Callable[..., subprocess.Popen[str]], tmp_path: Path) -> None:
    out = tmp_path / "run"
    process = start("train", "CartPole-v1", "--threads", 1, "--total-steps", 10**10, "--out", out)
    wait_for_line(process, " steps · ")
    process.send_signal(signal.SIGINT)
    process.communicate()
    rows, (seed,) = metrics_rows(out / "seed-0"), strict_json(out / "summary.json")["seeds"]
    trained = pgrad.load(out).metadata
    assert (int(trained["iterations"]), int(trained["total_steps"])) == (len(rows), seed["total_steps"])
    assert int(rows[-1]["total_steps"]) == seed["total_steps"] > 0


def test_ctrl_c_before_the_first_step_leaves_nothing(
    start: Callable[..., subprocess.Popen[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cache").mkdir()
    monkeypatch.setenv("PGRAD_CACHE_DIR", str(tmp_path / "cache"))  # empty, so that the first step takes a while
    out = tmp_path / "new" / "run"
    process = start("train", "CartPole-v1", "--out", out)
    while process.poll() is None and not (out / "config.toml").exists():
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    printed, err = process.communicate()
    assert process.returncode == INTERRUPTED
    assert not printed
    assert "Traceback" not in err
    assert [path.name for path in tmp_path.iterdir()] == ["cache"]


def test_ctrl_c_waits_for_the_chunk_so_that_nothing_changes_what_is_saved(monkeypatch: pytest.MonkeyPatch) -> None:
    loops, new_loop = [], seeds_module.new_loop

    def slow(*arguments: Any) -> Any:
        loops.append(loop := new_loop(*arguments))

        def advance() -> None:
            if loop.total_steps == 2:
                os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.2)
            loop.total_steps += 1

        monkeypatch.setattr(loop, "advance", advance)
        return loop

    monkeypatch.setattr(seeds_module, "new_loop", slow)
    monkeypatch.setattr(seeds_module, "STOP_SECONDS", 60.0)
    with pytest.raises(Interrupted) as caught:
        pgrad.train("CartPole-v1", evaluation_episodes=0)
    time.sleep(0.5)  # a chunk that was not waited for would have ended by now
    assert caught.value.result is not None
    assert caught.value.result.total_steps == loops[0].total_steps == 3


def test_ctrl_c_while_one_seed_cannot_stop_keeps_the_seeds_that_are_done(monkeypatch: pytest.MonkeyPatch) -> None:
    release, new_loop = threading.Event(), seeds_module.new_loop

    def blocking(config: Any, env: Any, seed: int, *rest: Any) -> Any:
        loop, watchdog = new_loop(config, env, seed, *rest), rest[1]

        def hang() -> None:
            with watchdog.call("step()"):
                release.wait(60)

        if seed == 1:
            monkeypatch.setattr(loop, "advance", hang)
        return loop

    def interrupt(snapshot: Snapshot) -> None:
        if snapshot.finished == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(seeds_module, "new_loop", blocking)
    try:
        with pytest.raises(Interrupted) as caught:
            pgrad.train("CartPole-v1", seeds=2, threads=1, num_iterations=2, progress=interrupt)
    finally:
        release.set()
    assert caught.value.result is not None
    assert caught.value.result.seeds[0].seed == 0
