"""failure.json: what is kept of a training that ended before its time, and how it is explained."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pgrad
from pgrad.algorithms.iteration import BAD_ADVANTAGES, BAD_GRADIENT, BAD_OBS, BAD_REWARD, METRICS
from pgrad.cli import main as cli
from pgrad.errors import RunError
from pgrad.rollouts.batch import Batch
from pgrad.runs.failure import FILE, KINDS, Failure, explained, load_failures, save_failures
from pgrad.training.loops import FAULTS
from pgrad.training.postmortem import KIND_OF, first_bad, postmortem

LEARNING_TOO_FAST = ("--learning-rate", "1e38", "--activation", "relu", "--hidden", "8,8")
SHORT = ("--preset", "none", "--total-steps", "2000", "--evaluation-episodes", "0", "--no-figures", "--quiet")


def batch() -> Batch:
    """Six samples of two trajectories in arrays with room for eight."""
    integers = np.array([0, 1, 0, 1, 0, 1, 9, 9], np.int32)
    return Batch(
        obs=np.arange(16, dtype=np.float32).reshape(2, 8),
        action=np.zeros(8, np.int32),
        reward=np.arange(8.0),
        terminated=np.zeros(8, np.bool_),
        truncated=np.zeros(8, np.bool_),
        trajectory=integers,
        time=np.array([5, 0, 6, 1, 7, 2, 9, 9], np.int32),
        final_obs=np.empty((2, 0), np.float32),
        final_sample=np.empty(0, np.int64),
        num_trajectories=2,
    )


def examined(fault: int, of: Batch, **options: Any) -> Failure:
    metrics = np.full((5, len(METRICS)), np.nan)
    metrics[:, METRICS.index("gradient_norm")] = [1, 2, 3, 4e8, 5e30]
    return postmortem(fault, "told", 7, of, 6, metrics, **{"episodes": False, **options})


def test_the_first_bad_reward_is_named() -> None:
    one = batch()
    one.reward[[3, 5, 7]] = [np.inf, np.nan, np.nan]
    failure = examined(BAD_REWARD, one)
    assert failure.where == {"reward": "inf", "environment": 1, "step": 2}
    assert failure.ranges == {"reward": [0.0, 4.0], "observation": [0.0, 13.0]}
    assert failure.before == {"gradient_norm": [3.0, 4e8, 5e30]} and failure.iteration == 6
    assert examined(BAD_REWARD, one, episodes=True).where["episode of the batch"] == 1


def test_the_first_bad_observation_is_the_first_in_time() -> None:
    one = batch()
    one.obs[0, 4], one.obs[1, 2] = np.nan, -np.inf
    assert examined(BAD_OBS, one).where == {"observation": "-inf", "number": 1, "environment": 0, "step": 7}


def test_where_only_the_sum_is_infinite_the_largest_is_named() -> None:
    assert first_bad(np.array([1e308, -1.5e308, 1e307])) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_written_read_and_explained(tmp_path: Path, kind: str) -> None:
    failure = Failure(
        kind, "what was told", 3, 12, {"reward": "inf", "step": 4}, {"reward": [0.0, 1.0]}, {"kl": [None]}
    )
    save_failures([failure, failure], tmp_path)
    assert load_failures(tmp_path) == [failure, failure]
    text = explained(failure)
    assert f"seed 3 stopped in iteration 12: {KINDS[kind].words}." in text
    assert (
        "The first: reward inf, of step 4." in text and "rewards from 0.0 to 1.00" in text and KINDS[kind].help in text
    )
    save_failures([], tmp_path)
    assert load_failures(tmp_path) == [] and not (tmp_path / FILE).exists()


def test_every_fault_has_its_kind_and_its_message() -> None:
    assert KIND_OF.keys() == FAULTS.keys()
    assert set(KIND_OF.values()) <= KINDS.keys()
    assert {BAD_ADVANTAGES, BAD_GRADIENT} <= FAULTS.keys()


@pytest.mark.parametrize(
    "text",
    ["", "[", "{}x", '"a"', "[1]", "[{}]", "null", '[{"kind": "gradient"}]', "[" * 100_000]
    + [
        json.dumps([{"kind": "gradient", "message": "", "seed": 0, "iteration": 1, **other}])
        for other in (
            {"kind": "none"},
            {"seed": "x"},
            {"ranges": {"reward": [1]}},
            {"where": 3},
            {"before": {"a": ["b"]}},
        )
    ],
)
def test_what_is_no_such_file_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text)
    with pytest.raises(RunError, match=r"failure\.json is not as pgrad wrote it"):
        load_failures(tmp_path)


def test_a_strangers_file_steers_no_terminal() -> None:
    assert "\x1b" not in explained(Failure("environment", "\x1b[2Jgone\x07", 0, 1))


def test_the_command_explains_a_training_that_diverged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    assert cli.run(["train", "CartPole-v1", "--out", str(run), *LEARNING_TOO_FAST, *SHORT]) == 1
    assert f"`pgrad explain-failure {run}` says what led to it" in capsys.readouterr().out
    (failure,) = load_failures(run)
    assert failure.kind == "parameters" and failure.iteration == 1 and failure.ranges["reward"] == [1.0, 1.0]
    assert cli.run(["explain-failure", str(run)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("seed 0 stopped in iteration 1: a step would have made the policy's parameters infinite.\n")
    assert f"`pgrad train --config {run}/config.toml` begins anew" in out


def test_an_environment_that_fails_is_explained_and_the_run_goes_on(
    tmp_path: Path, shop: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its steps raise as long as there is a file beside it."""
    trouble, run = tmp_path / "trouble", tmp_path / "run"
    (tmp_path / "shop.py").write_text(
        shop.replace(
            "self.steps += 1", f"self.steps += 1\n        assert not __import__('os').path.exists({str(trouble)!r})"
        )
    )
    env = f"{tmp_path / 'shop.py'}:Shop"
    assert cli.run(["train", env, "--out", str(run), *SHORT]) == 0
    trouble.touch()
    assert cli.run(["train", "--resume", str(run), env, "--total-steps", "4000", *SHORT[4:]]) == 2
    assert cli.run(["explain-failure", str(run)]) == 0
    out = capsys.readouterr().out
    assert "the environment failed.\n'Shop': raised in step(): AssertionError" in out
    assert f"`pgrad train --resume {run}` goes on" in out
    trouble.unlink()
    assert cli.run(["train", "--resume", str(run), env, "--total-steps", "4000", *SHORT[4:]]) == 0
    assert cli.run(["explain-failure", str(run)]) == 0
    assert "has not failed" in capsys.readouterr().out


def test_a_run_without_an_end_is_told_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = pgrad.train("CartPole-v1", preset="none", total_steps=1_000, evaluation_episodes=0)
    pgrad.save(replace(result, env_failure=None), tmp_path / "run")
    (tmp_path / "run" / "summary.json").unlink()
    assert cli.run(["explain-failure", str(tmp_path / "run")]) == 0
    assert "its process died without a word" in capsys.readouterr().out
    assert cli.run(["explain-failure", str(tmp_path)]) == 2
