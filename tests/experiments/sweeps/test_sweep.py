"""A sweep: what it runs, that no failure is dropped, and that an interruption anywhere changes nothing."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import pgrad
from pgrad.config.resolve import resolve
from pgrad.config.settings import Config
from pgrad.errors import ConfigError, RunError
from pgrad.experiments.over_seeds import FAILED
from pgrad.experiments.sweeps import sweep as sweep_module
from pgrad.experiments.sweeps.result import Sweep
from pgrad.experiments.sweeps.runs import Run, env_here, key_of, make_run, request_of

GRID: dict[str, Any] = {"learning_rate": [0.001, 0.01, 0.1], "hidden": [8, [8, 8]]}
REPRODUCED = ("results.csv", "summary.json", "sweep.json", "best.toml", "training_curves.png", "sensitivity.png")

Made = list[tuple[float | None, tuple[int, ...], int]]


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Made:
    """The (learning rate, hidden, seed) that are run, which take no time here; best are 0.01 and one layer."""
    made: Made = []

    def quick(env: Any, config: Config, episodes: int, key: str) -> Run:
        made.append((config.learning_rate, config.hidden, config.seeds[0]))
        seed, rate = config.seeds[0], config.learning_rate or 0
        curve = {"episodes": [1.0, 9.0], "steps": [5.0, 100.0 + seed], "returns": [0.0, 9.0]}
        if rate > 0.05 and seed % 2:
            return Run(key, seed, None, None, 50, curve, 0.1, "parameters are infinite")
        value = 500 - abs(rate - 0.01) * 1000 - 30 * len(config.hidden) - seed % 7
        return Run(key, seed, value, None, 100, curve, 0.1)

    monkeypatch.setattr(sweep_module, "make_run", quick)
    return made


def swept(folder: Path, **settings: Any) -> Sweep:
    return pgrad.sweep("CartPole-v1", **{**GRID, "seeds": 10, "processes": 1, "out": folder, **settings})


def files(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in REPRODUCED}


# ------------------------------------------------------------------------------------------------------- what is found


def test_every_setting_is_run_on_every_seed_once(runs: Made, tmp_path: Path) -> None:
    found = swept(tmp_path)
    assert sorted(runs) == sorted((rate, (8,) * n, s) for rate in (0.001, 0.01, 0.1) for n in (1, 2) for s in range(10))
    assert [str(one.setting) for one in found.settings][:2] == [
        "learning_rate 0.001, hidden 8",
        "learning_rate 0.001, hidden 8-8",
    ]
    assert all([run.seed for run in one.runs] == list(range(10)) for one in found.settings)
    assert found.settings[2].returns.tolist() == [470 - seed % 7 for seed in range(10)]
    assert str(found.settings[found.best].setting) == "learning_rate 0.01, hidden 8"
    assert found.improvement(2, 3).value == 1.0


def test_a_failed_run_counts_and_is_named(runs: Made, tmp_path: Path) -> None:
    found = swept(tmp_path)
    hot = found.statistics[4]
    assert (hot.n, hot.failures, hot.worst, hot.mean.value) == (10, 5, FAILED, FAILED)
    assert hot.solved_share.value == 0 and found.improvement(2, 4).value == 1.0
    assert found.table().count("failed: parameters are infinite") == 10
    lines = (tmp_path / "results.csv").read_text().splitlines()
    assert lines[0] == "learning_rate,hidden,seed,mean_return,steps_to_solve,total_steps,fresh,failure"
    assert lines[1] == "0.001,8,0,461.0,,100,0,"
    assert lines[42] == "0.1,8,1,,,50,0,parameters are infinite"
    assert len(lines) == 61
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["settings"][4]["failures"] == 5
    assert summary["settings"][4]["mean_return"] == {"value": None, "low": None, "high": None}
    assert summary["best"] == 2 and summary["doubt"] is None
    assert summary["settings"][3]["best_is_better"]["value"] == 1.0


def test_the_table_has_a_line_a_setting_and_says_what_to_doubt(runs: Made, tmp_path: Path) -> None:
    lines = swept(tmp_path / "ten").table().splitlines()
    assert lines[0].split()[:4] == ["learning_rate", "hidden", "seeds", "failed"]
    assert lines[3].split()[:4] == ["0.01", "8", "10", "0"] and lines[3].endswith("best")
    assert lines[7].startswith("best: learning_rate 0.01, hidden 8; worst seed 464.0: with 10 seeds, 74 % of future")
    assert "--select best" in lines[8]
    assert "may be as good" not in "".join(lines)
    few = swept(tmp_path / "few", seeds=3).table()
    assert "with 3 seeds no interval can be trusted" in few


def test_a_best_that_others_may_equal_is_said_to_be_one(runs: Made, tmp_path: Path) -> None:
    found = swept(tmp_path, learning_rate=[0.009, 0.011, 0.001], hidden=8)
    assert "  1 of 2 others may be as good: P(best is better) may be 0.5 there" in found.remarks()


def test_the_best_is_tried_on_seeds_that_did_not_choose_it(runs: Made, tmp_path: Path) -> None:
    found = swept(tmp_path, select="best", seeds="5-14")
    assert found.fresh is not None
    assert [run.seed for run in found.fresh.runs] == list(range(15, 25))
    assert {seed for rate, hidden, seed in runs if (rate, hidden) != (0.01, (8,))} == set(range(5, 15))
    table = found.table()
    assert "on the seeds that chose it, 5 to 14: 466.7 [464.7, 468.8]" in table
    assert "on fresh seeds, 15 to 24: 46" in table
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["best_on_fresh_seeds"]["seeds"] == "15 to 24"
    assert (tmp_path / "results.csv").read_text().splitlines()[-1] == "0.01,8,24,467.0,,100,1,"


def test_best_toml_trains_the_best(runs: Made, tmp_path: Path) -> None:
    swept(tmp_path)
    text = (tmp_path / "best.toml").read_text()
    assert "learning_rate = 0.01 " in text and "hidden = [8] " in text


# --------------------------------------------------------------------------------------------------------- interrupted


@pytest.mark.parametrize("after", [0, 1, 29, 59, 60, 65])
def test_an_interrupted_sweep_goes_on_to_the_same_bytes(
    runs: Made, tmp_path: Path, after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    swept(tmp_path / "whole", select="best")
    expected, made = list(runs), sweep_module.make_run
    runs.clear()

    def interrupted(*arguments: Any) -> Run:
        if len(runs) == after:
            raise KeyboardInterrupt
        return made(*arguments)

    monkeypatch.setattr(sweep_module, "make_run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        swept(tmp_path / "parts", select="best")
    monkeypatch.setattr(sweep_module, "make_run", made)
    swept(tmp_path / "parts", select="best")
    assert runs == expected, "only what is missing runs"
    assert files(tmp_path / "parts") == files(tmp_path / "whole")


def test_whatever_ends_first_the_results_are_the_same_bytes(
    runs: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    swept(tmp_path / "forwards")
    made: Callable[..., Any] = sweep_module.made
    monkeypatch.setattr(sweep_module, "made", lambda env, jobs, *rest: made(env, jobs[::-1], *rest))
    swept(tmp_path / "backwards")
    journals = [(tmp_path / name / "journal.jsonl").read_text() for name in ("forwards", "backwards")]
    assert journals[0] != journals[1]
    assert files(tmp_path / "backwards") == files(tmp_path / "forwards")


def test_more_seeds_and_values_run_only_what_is_missing(runs: Made, tmp_path: Path) -> None:
    swept(tmp_path)
    runs.clear()
    told: list[str] = []
    swept(tmp_path, seeds=11, learning_rate=[0.02, 0.01, 0.1], announce=told.append)
    assert len(runs) == 2 * 11 + 4 * 1
    assert told[1] == "going on after 60 runs"
    assert swept(tmp_path, seeds=11, learning_rate=[0.02, 0.01, 0.1], discount=0.5).settings
    assert len(runs) == 2 * 11 + 4 * 1 + 66, "another configuration's runs are none of these"


def test_a_damaged_line_is_set_aside_and_its_run_made_again(runs: Made, tmp_path: Path) -> None:
    swept(tmp_path / "whole")
    swept(tmp_path / "other")
    path = tmp_path / "other" / "journal.jsonl"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:5], lines[5][:-9], *lines[6:]]) + "\n")
    runs.clear()
    told: list[str] = []
    swept(tmp_path / "other", announce=told.append)
    assert told[1] == f"line 6 of {path}, damaged, set aside in journal.jsonl.damaged"
    assert runs == [(0.001, (8,), 4)]
    assert files(tmp_path / "other") == files(tmp_path / "whole")


def test_of_two_sweeps_in_one_folder_the_second_is_refused(
    runs: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = sweep_module.make_run

    def meanwhile(*arguments: Any) -> Run:
        monkeypatch.setattr(sweep_module, "make_run", made)
        with pytest.raises(RunError, match="another process trains in"):
            swept(tmp_path)
        return made(*arguments)

    monkeypatch.setattr(sweep_module, "make_run", meanwhile)
    swept(tmp_path)
    assert len(runs) == 60


def test_a_journal_of_another_environment_is_refused(runs: Made, tmp_path: Path) -> None:
    swept(tmp_path)
    with pytest.raises(RunError, match=r"is of another sweep \(env was \"CartPole-v1\" and is \"Acrobot-v1\"\)"):
        pgrad.sweep("Acrobot-v1", seeds=1, processes=1, out=tmp_path)


def test_progress_says_what_is_done_failed_and_left(runs: Made, tmp_path: Path) -> None:
    told: list[str] = []
    swept(tmp_path, seeds=2, progress=told.append)
    assert told[0].startswith("1 of 12 done, 0 failed, 11 left · learning_rate 0.001, hidden 8, seed 0: 461.0 in 0.1 s")
    assert told[-1].startswith(
        "12 of 12 done, 2 failed, 0 left · learning_rate 0.1, hidden 8-8, seed 1: failed: parameters are infinite"
    )


def test_everything_wrong_is_named_before_anything_runs(runs: Made, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        swept(tmp_path, seeds=0, processes=0, episodes=0, select="bets", learning_rate=[-1], gama=1)
    said = str(caught.value)
    for words in ("seeds must", "processes must", "episodes must be in 1", "unknown select 'bets'"):
        assert words in said
    assert "learning_rate must be positive" in said and "unknown setting 'gama'" in said
    assert not runs and not list(tmp_path.iterdir())


# ----------------------------------------------------------------------------------------------------------- real runs

SMALL: dict[str, Any] = {"algorithm": "reinforce", "num_iterations": 2, "hidden": 8}


def test_a_run_is_the_training_and_the_evaluation_that_pgrad_offers() -> None:
    config = resolve("CartPole-v1", "reinforce", {"seeds": [3], "num_iterations": 12})
    run = make_run("CartPole-v1", config, 5, "key")
    result = pgrad.train(config=config, evaluation_episodes=5)
    assert (run.key, run.seed, run.failure, run.total_steps) == ("key", 3, None, result.total_steps)
    assert run.mean_return == result.mean_returns[0]
    episodes = result.seeds[0].history.episodes
    assert run.curve["steps"] == episodes.total_steps.tolist(), "fewer than a hundred episodes are all kept"
    assert run.curve["episodes"] == list(range(1, episodes.length.size + 1))
    assert run.curve["returns"][-1] == pytest.approx(episodes.episode_return[-50:].mean(), rel=1e-5)


def test_what_diverges_is_a_failed_run_with_its_reason() -> None:
    config = resolve("CartPole-v1", None, {"learning_rate": 1e40, "optimizer": "sgd", "max_grad_norm": None})
    run = make_run("CartPole-v1", config, 5, "key")
    assert run.mean_return is None and run.failure is not None
    assert "infinite; a smaller learning_rate may help" in run.failure


def test_processes_give_the_same_bytes_as_this_one(tmp_path: Path) -> None:
    for n in (1, 2):
        pgrad.sweep(
            "CartPole-v1",
            seeds=3,
            learning_rate=[0.001, 0.01],
            processes=n,
            out=tmp_path / str(n),
            episodes=3,
            **SMALL,
        )
    assert files(tmp_path / "1") == files(tmp_path / "2")


def test_a_process_that_dies_is_a_failed_run_and_the_others_go_on(tmp_path: Path) -> None:
    (tmp_path / "dies.py").write_text(
        "import os\nfrom gymnasium.envs.classic_control import CartPoleEnv\nclass Dies(CartPoleEnv):\n"
        "    def step(self, action):\n"
        "        if self.state[0] > 0.02: os._exit(7)\n"
        "        return super().step(action)\n"
    )
    found = pgrad.sweep(
        f"{tmp_path / 'dies.py'}:Dies",
        seeds=3,
        learning_rate=[0.001, 0.01],
        processes=2,
        out=tmp_path / "out",
        episodes=1,
        max_episode_steps=20,
        **SMALL,
    )
    assert sum(one.failures for one in found.statistics) == 6
    assert "its process ended with code 7" in found.table()


def test_the_file_of_an_environment_is_sent_along_and_used_where_it_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGRAD_CACHE_DIR", str(tmp_path / "cache"))
    file, content = tmp_path / "mine.py", b"A = 1\r\nB = '\xff'\n"
    file.write_bytes(content)
    env = f"{file}:Mine(gravity=3.7)"
    code = json.loads(json.dumps(request_of(env, resolve("CartPole-v1"), 1, "key")))["code"]
    assert env_here(env, code) == env, "the same is there"
    file.write_text("A = 2\n")
    source, _, name = env_here(env, code).rpartition(":")
    assert Path(source).read_bytes() == content and name == "Mine(gravity=3.7)" and Path(source) != file
    file.unlink()
    assert env_here(env, code) == f"{source}:Mine(gravity=3.7)"
    assert request_of("CartPole-v1", resolve("CartPole-v1"), 1, "key")["code"] is None


def test_a_key_is_of_all_that_decides_what_a_run_gives(tmp_path: Path) -> None:
    config = resolve("CartPole-v1")
    keys = {key_of(config, 100), key_of(config, 99), key_of(replace(config, seeds=(1,)), 100)}
    keys.add(key_of(replace(config, learning_rate=0.1), 100))
    assert len(keys) == 4
    assert key_of(config, 100) == key_of(resolve("CartPole-v1"), 100)
    file = tmp_path / "mine.py"
    file.write_text("A = 1\n")
    mine = replace(config, env=f"{file}:Mine")
    before = key_of(mine, 100)
    file.write_text("A = 2\n")
    assert key_of(mine, 100) != before, "an edited environment is another one"
