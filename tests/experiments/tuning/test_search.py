"""The search: what it runs, what it finds, and that an interruption anywhere changes nothing."""

import json
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import pytest

import pgrad
from pgrad.config.resolve import resolve
from pgrad.config.settings import Config
from pgrad.config.values import seeds_in_words
from pgrad.experiments.running.workers import Worker
from pgrad.experiments.tuning import search as search_module
from pgrad.experiments.tuning.runs import Run, answer, request_of, run_trial
from pgrad.experiments.tuning.search import Round, Search, died
from pgrad.experiments.tuning.space import Between, space_for
from pgrad.experiments.tuning.tune import Tuning, seeds_from
from pgrad.presets.preset import read

USUAL = resolve("CartPole-v1", "ppo")
DRAWN = space_for(USUAL, pgrad.make("CartPole-v1"), {})  # by default
SPACE: dict[str, Any] = {**{name: [getattr(USUAL, name)] for name in DRAWN}, "learning_rate": "1e-4..1e-1"}


def worth(config: Config) -> float:
    """A made-up return, best at a learning rate of 0.01, with noise that is the seed's."""
    assert config.learning_rate is not None
    return -abs(config.learning_rate - 0.01) * 1000 + (config.seeds[0] * 37 % 11) / 10


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int, int]]:
    """The (trial, seed, steps) that are run, which take no time here."""
    made: list[tuple[int, int, int]] = []

    def quick(env: Any, config: Config, episodes: int, kinds: tuple[str, ...], trial: int) -> Run:
        made.append((trial, config.seeds[0], config.total_steps or 0))
        if config.learning_rate is not None and config.learning_rate > 0.05:
            return Run(trial, config.seeds[0], config.total_steps or 0, None, None, 0.1, "parameters are infinite")
        returns = {"sampled": worth(config), "greedy": worth(config) + 1 if config.seeds[0] % 2 else worth(config) - 4}
        values = (returns[kind] if kind in kinds else None for kind in ("sampled", "greedy"))
        return Run(trial, config.seeds[0], config.total_steps or 0, *values, 0.1)

    monkeypatch.setattr(search_module, "run_trial", quick)
    return made


def tuned(folder: Path, **settings: Any) -> Tuning:
    common = {"space": SPACE, "trials": 20, "seeds": 9, "steps": 3000, "processes": 1, "out": folder}
    return pgrad.tune("CartPole-v1", **{**common, **settings})


# ----------------------------------------------------------------------------------------------- what is run, how often


@pytest.mark.parametrize(
    ("trials", "seeds", "halve", "expected"),
    [
        (64, 10, "seeds", [(64, 2, 900), (22, 4, 900), (8, 10, 900)]),
        (64, 10, "steps", [(64, 10, 100), (22, 10, 300), (8, 10, 900)]),
        (64, 10, "both", [(64, 2, 100), (22, 4, 300), (8, 10, 900)]),
        (64, 10, "none", [(64, 10, 900)]),
        (4, 3, "seeds", [(4, 1, 900), (2, 3, 900)]),
        (2, 30, "seeds", [(2, 30, 900)]),
        (30, 1, "seeds", [(30, 1, 900)]),
        (9, 9, "seeds", [(9, 1, 900), (3, 3, 900), (2, 9, 900)]),
        (1, 5, "seeds", [(1, 5, 900)]),
    ],
)
def test_a_third_goes_on_with_three_times_as_much(
    trials: int, seeds: int, halve: str, expected: list[tuple[int, int, int]]
) -> None:
    base = replace(resolve("CartPole-v1"), total_steps=900)
    search = Search(base, {}, trials, 900, tuple(range(1000, 1000 + seeds)), halve=halve)
    assert search.rounds == [Round(*numbers) for numbers in expected]


def test_no_run_is_made_twice_and_the_base_goes_through_all_rounds(
    runs: list[tuple[int, int, int]], tmp_path: Path
) -> None:
    found = tuned(tmp_path)
    assert len(set(runs)) == len(runs)
    assert {seed for trial, seed, _ in runs if trial == 0} == set(range(1000, 1009))
    first = {trial for trial, seed, _ in runs if seed == 1000}
    assert first == set(range(20))
    for one in found.search.rounds:
        assert len({trial for trial, seed, _ in runs if seed == 999 + one.seeds}) == one.trials
    assert [one.round for one in found.standings] == sorted((one.round for one in found.standings), reverse=True)


def test_the_best_of_the_last_round_is_found_and_written(runs: list[tuple[int, int, int]], tmp_path: Path) -> None:
    found = tuned(tmp_path)
    best, search = found.standings[0], found.search
    last = [one.trial for one in found.standings if one.round == best.round]
    rates = {trial: search.config(trial).learning_rate for trial in last}
    assert best.trial == min(rates, key=lambda trial: abs((rates[trial] or 0) - 0.01))
    preset = read(str(tmp_path / "preset.toml"))
    assert preset == found.preset
    assert preset.settings == {"algorithm": "ppo", "learning_rate": rates[best.trial], "total_steps": 3000}
    assert (preset.source.trials, preset.source.seeds, preset.env) == (20, "1000 to 1008", "CartPole-v1")
    assert preset.source.score == pytest.approx(best.estimate, rel=1e-5)
    assert preset.source.score_of == "sampled policies of the seeds that chose it, 20 episodes each"
    assert pgrad.train("CartPole-v1", preset=str(tmp_path / "preset.toml"), num_iterations=1, evaluation_episodes=0)


def test_the_base_wins_where_nothing_is_better(runs: list[tuple[int, int, int]], tmp_path: Path) -> None:
    found = tuned(tmp_path, space={**SPACE, "learning_rate": "0.001..0.001001"})
    assert found.standings[0].trial == 0, "of equal trials the earlier"
    assert found.preset.settings == {"algorithm": "ppo", "total_steps": 3000}


@pytest.mark.parametrize(
    ("policies", "kind"), [("sampled", "sampled"), ("greedy", "greedy"), ("better", "sampled"), ("worse", "greedy")]
)
def test_a_score_is_of_the_policies_that_were_asked_for(
    runs: list[tuple[int, int, int]], tmp_path: Path, policies: str, kind: str
) -> None:
    """The greedy policies of `runs` are better on odd seeds, and worse on the mean of them all."""
    found = tuned(tmp_path, policies=policies)
    assert {one.policy for one in found.standings if one.failure is None and len(one.returns) > 1} == {kind}
    line = json.loads((tmp_path / "journal.jsonl").read_text().splitlines()[1])
    assert (line["greedy"] is None) == (policies == "sampled")


def test_trials_that_fail_are_the_worst_with_their_reason(runs: list[tuple[int, int, int]], tmp_path: Path) -> None:
    found = tuned(tmp_path, space={**SPACE, "learning_rate": "0.001..0.3"})
    failed = [one for one in found.standings if one.failure is not None]
    assert failed and found.standings[-1].failure == "parameters are infinite"
    assert all(one.round == 0 for one in failed)
    assert "parameters are infinite" in (tmp_path / "journal.jsonl").read_text()
    assert "failed" not in found.table().splitlines()[1]


def test_a_search_in_which_all_fail_says_why(runs: list[tuple[int, int, int]], tmp_path: Path) -> None:
    with pytest.raises(pgrad.RunError, match="every trial failed, and trial 0 since parameters are infinite"):
        tuned(tmp_path, space={**SPACE, "learning_rate": "0.06..0.3"}, preset=str(hot(tmp_path)))


def hot(folder: Path) -> Path:
    text = (Path(read.__code__.co_filename).parent / "CartPole-v1.toml").read_text(encoding="utf-8")
    path = folder / "hot.toml"
    path.write_text(text.replace("[settings]", "[settings]\nlearning_rate = 0.2"), encoding="utf-8")
    return path


# ------------------------------------------------------------------------------------------------------- interrupted


@pytest.mark.parametrize("after", [0, 1, 7, 19, 20, 21, 30])
def test_an_interrupted_search_goes_on_to_the_same_end(
    runs: list[tuple[int, int, int]], tmp_path: Path, after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = tuned(tmp_path / "whole")
    expected, made = list(runs), search_module.run_trial
    runs.clear()

    def interrupted(*arguments: Any) -> Run:
        if len(runs) == after:
            raise KeyboardInterrupt
        return made(*arguments)

    monkeypatch.setattr(search_module, "run_trial", interrupted)
    with pytest.raises(KeyboardInterrupt):
        tuned(tmp_path / "parts")
    monkeypatch.setattr(search_module, "run_trial", made)
    parts = tuned(tmp_path / "parts")
    assert runs == expected
    assert parts.standings == whole.standings
    assert parts.preset.settings == whole.preset.settings
    journals = [(tmp_path / name / "journal.jsonl").read_text() for name in ("whole", "parts")]
    assert journals[0] == journals[1]


def test_a_finished_search_runs_nothing_again(runs: list[tuple[int, int, int]], tmp_path: Path) -> None:
    first = tuned(tmp_path)
    runs.clear()
    told: list[str] = []
    assert tuned(tmp_path, announce=told.append).standings == first.standings
    assert not runs
    assert "going on after" in told[-1]


def test_progress_tells_of_every_run(runs: list[tuple[int, int, int]], tmp_path: Path) -> None:
    told: list[str] = []
    tuned(tmp_path, progress=told.append)
    assert len(told) == len(runs)
    assert told[0].startswith("round 1 of 3, run 1 of 20 · trial 0, seed 1000: sampled ")


# ------------------------------------------------------------------------------------------------------------ arguments


@pytest.mark.parametrize(
    ("given", "expected"),
    [(3, (1000, 1001, 1002)), ("2", (1000, 1001)), ("2000-2002", (2000, 2001, 2002)), ([1000, 5000], (1000, 5000))],
)
def test_seeds_are_counted_from_1000(given: Any, expected: tuple[int, ...]) -> None:
    assert seeds_from(given) == expected


def test_everything_wrong_is_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(pgrad.ConfigError) as caught:
        tuned(tmp_path, seeds="0-3", trials=0, halve="third", policies="best", space={"gama": 1}, steps=-1, episodes=0)
    said = str(caught.value)
    for words in (
        "seeds 0 is for reporting what was found, as all under 1000",
        "trials must be",
        "steps must be",
        "episodes must be",
        "unknown halve 'third'",
        "unknown policies 'best'",
        "unknown setting 'gama' in the space",
    ):
        assert words in said
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(pgrad.ConfigError, match=r"(?s)seeds 0 is.*CartPole-v7"):
        pgrad.tune("CartPole-v7", seeds=[0], out=tmp_path)


def test_what_is_fixed_is_every_trials_and_the_bases(runs: list[tuple[int, int, int]], tmp_path: Path) -> None:
    found = tuned(tmp_path, space={**SPACE, "max_episode_steps": "50", "hidden": [8, 8], "normalize_obs": True})
    trials = [found.search.config(trial) for trial in range(3)]
    assert all((trial.max_episode_steps, trial.hidden, trial.normalize_obs) == (50, (8, 8), True) for trial in trials)
    assert set(found.search.space) == {"learning_rate"}
    assert found.preset.settings["hidden"] == (8, 8)
    with pytest.raises(pgrad.ConfigError, match="num_epochs 10 needs clip_epsilon or target_kl"):
        tuned(tmp_path / "other", space={"clip_epsilon": "none"})


def test_seeds_in_words() -> None:
    assert [seeds_in_words(seeds) for seeds in ([1000], [1000, 1001], [1000, 1002])] == [
        "1000",
        "1000 to 1001",
        "1000, 1002",
    ]


def test_a_search_is_the_same_only_if_all_that_decides_it_is() -> None:
    base = replace(resolve("CartPole-v1"), total_steps=900)
    search = Search(base, {"learning_rate": Between(1e-3, 1e-2, False)}, 3, 900, (1000,))
    for other in ({"seed": 1}, {"episodes": 3}, {"halve": "none"}, {"policies": "greedy"}, {"seeds": (1001,)}):
        assert replace(search, **other).to_dict() != search.to_dict()  # type: ignore[arg-type]


# ---------------------------------------------------------------------------------------------------------- real runs


def test_a_run_is_the_training_and_the_evaluation_that_pgrad_offers() -> None:
    config = resolve("CartPole-v1", "reinforce", {"seeds": [1003], "num_iterations": 2, "total_steps": 700})
    run = run_trial("CartPole-v1", config, 5, ("sampled", "greedy"), 4)
    result = pgrad.train(config=config, evaluation_episodes=5)
    greedy = pgrad.evaluate(result.policies[0], episodes=5, seed=1003, greedy=True)
    assert (run.trial, run.seed, run.steps, run.failure) == (4, 1003, 700, None)
    assert (run.sampled, run.greedy) == (result.mean_returns[0], greedy.returns.mean())


@pytest.mark.filterwarnings("ignore:overflow encountered")  # where it runs interpreted
def test_a_run_that_diverges_or_breaks_is_a_failure_with_its_reason() -> None:
    config = resolve("CartPole-v1", None, {"learning_rate": 1e40, "optimizer": "sgd", "max_grad_norm": None})
    run = run_trial("CartPole-v1", config, 5, ("sampled",), 4)
    assert run.failure is not None and "infinite; a smaller learning_rate may help" in run.failure
    assert run.sampled is None

    class Broken(gymnasium.Env[Any, Any]):
        observation_space = action_space = gymnasium.spaces.Discrete(2)

    broken = run_trial(Broken, resolve("Broken", None, {"total_steps": 100}), 5, ("sampled",), 4)
    assert broken.failure


def test_processes_give_the_same_as_this_one(tmp_path: Path) -> None:
    settings = {
        "trials": 2,
        "seeds": 2,
        "steps": 300,
        "episodes": 3,
        "algorithm": "reinforce",
        "halve": "none",
        "space": {},
    }
    found = [tuned(tmp_path / str(n), processes=n, **settings) for n in (1, 2)]
    assert found[0].standings == found[1].standings
    assert found[0].preset.settings == found[1].preset.settings


def test_a_process_that_dies_is_a_failure_of_the_trial(tmp_path: Path) -> None:
    (tmp_path / "dies.py").write_text(
        "import gymnasium, os\nclass Dies(gymnasium.Env):\n"
        "    observation_space = action_space = gymnasium.spaces.Discrete(2)\n"
        "    def reset(self, *, seed=None, options=None): os._exit(7)\n"
    )
    worker = Worker(answer)
    try:
        config = resolve(f"{tmp_path / 'dies.py'}:Dies", None, {"seeds": [1000], "total_steps": 100})
        how = worker.ask(request_of(config.env, config, 3, ("sampled",), 2))
        assert how == "its process ended with code 7"
        assert died(2, config, how) == Run(2, 1000, 100, None, None, 0.0, how)
        good = resolve("CartPole-v1", "reinforce", {"seeds": [1000], "num_iterations": 1, "total_steps": 100})
        run = worker.ask(request_of("CartPole-v1", good, 3, ("sampled",), 2))
        assert not isinstance(run, str) and run["failure"] is None, "another process takes its place"
    finally:
        worker.close()


def test_the_written_preset_has_its_record_beside_it(runs: list[tuple[int, int, int]], tmp_path: Path) -> None:
    tuned(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"preset.toml", "journal.jsonl"}
    header, *lines = map(json.loads, (tmp_path / "journal.jsonl").read_text().splitlines())
    assert (header["trials"], header["steps"], header["space"]["learning_rate"]) == (20, 3000, "0.0001..0.1")
    assert len(lines) == len(runs)
    assert tomllib.loads((tmp_path / "preset.toml").read_text())["format"] == 1
