"""The best policy seen: found where the run was better before, judged on other episodes, and kept beside the last."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pgrad
from pgrad.cli.main import run
from pgrad.errors import RunError
from pgrad.evaluation import Evaluation
from pgrad.policies.mlp import MLPPolicy
from pgrad.rollouts.batch import Episodes
from pgrad.training.best import CANDIDATES, CHOOSING, CHOOSING_STREAM, JUDGING_STREAM, best_of, candidates
from pgrad.training.build import checkpoints_of, new_learner
from pgrad.training.loops import METRICS, History

WORTH = np.array([1.0, 5.0, 9.0, 3.0, 2.0])  # of the policies after iterations 0, 10, 20, …; each lasts 40 episodes


def made(worth: np.ndarray[Any, Any] = WORTH, noise: float = 0.1) -> tuple[MLPPolicy, History, Any]:
    """A run of 50 iterations and 200 episodes, a step each, whose k-th checkpoint has parameters k."""
    config = pgrad.Config(hidden=(), checkpoint_every=10)
    learner = new_learner(config, pgrad.make("CartPole-v1"), 0, 4)
    room = learner.checkpoints
    room.iteration[:5], room.policy[:5], room.kept[0] = np.arange(0, 50, 10), np.arange(5)[:, None], 5
    metrics = np.full((50, len(METRICS)), np.nan)
    metrics[:, 0] = 4 * np.arange(1, 51)
    returns = np.repeat(worth, 40) + noise * np.random.default_rng(0).normal(size=200)
    episodes = Episodes(returns, np.ones(200, np.int32), np.arange(1, 201))
    last = MLPPolicy(np.full(10, 99, np.float32), (4, 2), env="CartPole-v1", metadata={"total_steps": "200"})
    return last, History(metrics, episodes, 1.0), checkpoints_of(learner)


class Played:
    """Evaluations that depend on the policy's parameters alone, but for the judging ones; and what was asked for."""

    def __init__(self, worth: dict[int, float]) -> None:
        self.worth, self.asked = worth, []  # type: ignore[var-annotated]

    def __call__(self, policy: MLPPolicy, episodes: int, stream: int) -> Evaluation:
        self.asked.append((int(policy.parameters[0]), episodes, stream))
        value = self.worth[int(policy.parameters[0])] - 0.5 * (stream == JUDGING_STREAM)
        return Evaluation(np.full(episodes, value), np.ones(episodes, np.int64), 1.0)


def test_the_candidates_are_the_checkpoints_whose_training_returns_are_best() -> None:
    _, history, checkpoints = made()
    assert candidates(history, checkpoints) == [2, 1, 3]
    assert CANDIDATES == 3


@pytest.mark.parametrize("worth", [np.sort(WORTH), np.full(5, 3.0)])
def test_a_run_that_ends_at_its_best_plays_nothing_more(worth: Any) -> None:
    last, history, checkpoints = made(worth)
    played = Played({})
    assert best_of(last, history, checkpoints, 100, played) is None and played.asked == []


def test_too_few_episodes_say_nothing() -> None:
    _, history, checkpoints = made()
    short = dataclasses.replace(history, episodes=Episodes(*(column[:39] for column in history.episodes)))
    assert candidates(short, checkpoints) == []


def test_the_winner_is_judged_on_episodes_that_did_not_choose_it() -> None:
    last, history, checkpoints = made()
    played = Played({99: 2.0, 1: 8.0, 2: 7.0, 3: 3.0})
    best = best_of(last, history, checkpoints, 100, played)
    assert best is not None and best.total_steps == 40 and best.evaluation.returns.mean() == 7.5
    choosing = [(k, CHOOSING, CHOOSING_STREAM) for k in (99, 2, 1, 3)]
    assert played.asked == [*choosing, (1, 100, JUDGING_STREAM)]
    assert best.policy.metadata["total_steps"] == "40" and best.policy.metadata["iterations"] == "10"


def test_the_last_policy_wins_where_the_others_only_looked_better() -> None:
    last, history, checkpoints = made()
    assert best_of(last, history, checkpoints, 100, Played({99: 9.0, 1: 8.0, 2: 7.0, 3: 3.0})) is None
    assert best_of(last, history, None, 100, Played({})) is None


def test_a_run_that_collapses_keeps_its_best(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The notebook's recipe climbs and falls; what is kept is better in other episodes too."""
    result = pgrad.train("CartPole-v1", algorithm="notebook", seeds=[1], checkpoint_every=5, evaluation_episodes=30)
    [(seed, best)] = result.better_before()
    assert seed.evaluation is not None
    assert best.evaluation.settings["evaluation_seed"] != seed.evaluation.settings["evaluation_seed"]
    again = pgrad.evaluate(best.policy, episodes=100, seed=5)
    assert again.mean.low > seed.evaluation.returns.mean()
    assert f"policy-best: {best.evaluation.mean} at step {best.total_steps:,}; the last: " in result.summary()

    folder = tmp_path / "run"
    pgrad.save(result, folder)
    loaded = pgrad.load(folder, best=True)
    np.testing.assert_array_equal(loaded.parameters, best.policy.parameters)
    assert (pgrad.load(folder).parameters != loaded.parameters).any()
    with pytest.raises(RunError, match="PyTorch module"):
        pgrad.load(folder, module=object(), best=True)  # type: ignore[call-overload]
    assert run(["eval", str(folder), "--best", "--episodes", "20", "--quiet"]) == 0
    assert run(["eval", str(folder), "--episodes", "20", "--quiet"]) == 0
    better, last = (float(line.split("mean return ")[1].split()[0]) for line in capsys.readouterr().out.splitlines())
    assert better > last
    first, second = (folder / "evaluations.jsonl").read_text("utf-8").splitlines()
    assert '"best": true' in first and '"best": true' not in second

    (folder / "seed-1" / "policy-best.safetensors").unlink()  # as where the last is the best
    np.testing.assert_array_equal(pgrad.load(folder, best=True).parameters, pgrad.load(folder).parameters)
