"""Callbacks: they see every iteration, change no bit, can stop a seed, and lose nothing whatever they raise."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import nn

import pgrad
from pgrad.cli import main as cli
from pgrad.runs.journal import Evaluated
from pgrad.training.callbacks import Iteration
from pgrad.training.train import Interrupted

SHORT: dict[str, Any] = {"preset": "none", "total_steps": 3000, "evaluation_episodes": 0}
CORNERS: tuple[dict[str, Any], ...] = (
    {"backend": "compiled"},
    {"backend": "gymnasium", "total_steps": 1500},
    {"policy": nn.Linear(4, 2), "total_steps": 1500},
)


class Seen(list[Iteration]):
    """What a callback was called with; the calls come one at a time, in the thread that trains."""

    def __call__(self, iteration: Iteration) -> None:
        self.append(iteration)

    def of(self, seed: int) -> list[Iteration]:
        return [iteration for iteration in self if iteration.seed == seed]


def numbers(policy: Any) -> list[Any]:
    if isinstance(policy, pgrad.MLPPolicy):
        return [policy.parameters]
    return [parameter.detach().numpy() for parameter in policy.module.parameters()]


@pytest.mark.parametrize("corner", CORNERS, ids=["compiled", "gymnasium", "module"])
def test_a_callback_sees_every_iteration_and_changes_no_bit(corner: dict[str, Any]) -> None:
    seen = Seen()
    without = pgrad.train("CartPole-v1", seeds=2, **(SHORT | corner))
    watched = pgrad.train("CartPole-v1", seeds=2, on_iteration=seen, **(SHORT | corner))
    for one, other in zip(without.seeds, watched.seeds, strict=True):
        np.testing.assert_array_equal(one.history.metrics, other.history.metrics)
        for mine, theirs in zip(numbers(one.policy), numbers(other.policy), strict=True):
            np.testing.assert_array_equal(mine, theirs)
        calls = seen.of(one.seed)
        assert [call.number for call in calls] == list(range(1, len(one.history.metrics) + 1))
        np.testing.assert_array_equal([[*call.metrics.values()] for call in calls], one.history.metrics)
        assert calls[-1].total_steps == one.total_steps
        for column in range(3):
            parts = np.concatenate([call.episodes[column] for call in calls])
            np.testing.assert_array_equal(parts, one.history.episodes[column])


def test_the_policy_is_that_of_the_moment() -> None:
    policies: list[Any] = []
    seen = Seen()

    def keep(iteration: Iteration) -> None:
        policies.append(iteration.policy())
        seen(iteration)

    whole = pgrad.train("CartPole-v1", on_iteration=keep, **SHORT)
    np.testing.assert_array_equal(policies[-1].parameters, whole.policies[0].parameters)
    kept = whole.seeds[0].checkpoints
    assert kept is not None
    for k, number in enumerate(kept.iteration[1:].tolist(), start=1):
        np.testing.assert_array_equal(policies[number - 1].parameters, kept.policy[k])
        assert policies[number - 1].metadata["iterations"] == str(number)
    with pytest.raises(pgrad.InputError, match="Iteration 3 of seed 0, 384 steps> is over"):
        seen[2].policy()


@pytest.mark.parametrize("corner", CORNERS, ids=["compiled", "gymnasium", "module"])
def test_whatever_a_callback_raises_the_result_is_kept(corner: dict[str, Any]) -> None:
    saved = []

    def fail(iteration: Iteration) -> None:
        if iteration.number == 4:
            raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine") as caught:
        pgrad.train("CartPole-v1", on_iteration=fail, save=saved.append, **(SHORT | corner))
    result = caught.value.result  # type: ignore[attr-defined]
    assert len(result.seeds[0].history.metrics) == 4
    assert not result.seeds[0].finished
    assert saved[-1].total_steps == result.total_steps > 0


def test_an_interrupt_in_a_callback_is_one_of_the_training() -> None:
    def interrupt(iteration: Iteration) -> None:
        raise KeyboardInterrupt

    with pytest.raises(Interrupted) as caught:
        pgrad.train("CartPole-v1", on_iteration=interrupt, **SHORT)
    assert len(caught.value.result.seeds[0].history.metrics) == 1


@pytest.mark.parametrize("corner", CORNERS, ids=["compiled", "gymnasium", "module"])
def test_a_callback_can_stop_one_seed(corner: dict[str, Any]) -> None:
    def stop(iteration: Iteration) -> None:
        if iteration.seed == 1 and iteration.number == 3:
            iteration.stop()

    result = pgrad.train("CartPole-v1", seeds=2, on_iteration=stop, **(SHORT | corner))
    going, stopped = result.seeds
    assert (len(stopped.history.metrics), stopped.finished, stopped.stopped) == (3, True, True)
    assert (going.total_steps >= (SHORT | corner)["total_steps"], going.stopped) == (True, False)
    assert f"stopped early: 1 of 2 seeds, after {stopped.total_steps:,} steps" in result.summary()
    assert [seed["stopped_early"] for seed in result.to_dict()["seeds"]] == [False, True]
    assert not result.to_dict()["interrupted"]


def test_a_seed_stops_in_the_iteration_in_which_its_last_20_episodes_reach_the_return() -> None:
    whole = pgrad.train("CartPole-v1", **(SHORT | {"total_steps": 6000})).seeds[0]
    returns, ends = whole.history.episodes.episode_return, whole.history.episodes.total_steps
    threshold = 40.0
    means = np.array([returns[end - 20 : end].mean() for end in range(20, returns.size + 1)])
    after_iteration = np.searchsorted(ends, whole.history.metric("total_steps"), side="right")  # [iterations] episodes
    first = next(k for k, count in enumerate(after_iteration) if count >= 20 and means[count - 20] >= threshold)
    assert 1 < first < len(after_iteration) - 1, "the threshold is reached on the way"
    stopped = pgrad.train("CartPole-v1", stop_at_return=threshold, **(SHORT | {"total_steps": 6000})).seeds[0]
    np.testing.assert_array_equal(stopped.history.metrics, whole.history.metrics[: first + 1])


def test_evaluations_along_the_way_are_of_the_policy_then_and_do_not_depend_on_other_seeds() -> None:
    kept: dict[int, Any] = {}

    def keep(iteration: Iteration) -> None:
        if iteration.seed == 1:
            kept[iteration.number] = iteration.policy()

    two = pgrad.train("CartPole-v1", seeds=2, evaluate_every=1000, on_iteration=keep, **SHORT)
    alone = pgrad.train("CartPole-v1", seed=1, evaluate_every=1000, **SHORT)
    curve = two.seeds[1].evaluations
    assert curve == alone.seeds[0].evaluations
    assert [one.total_steps // 1000 for one in curve] == [1, 2, 3]
    steps = two.seeds[1].history.metric("total_steps")
    assert all(steps[one.iteration - 2] // 1000 < one.total_steps // 1000 for one in curve), "the first that reached it"
    found = pgrad.evaluate(kept[curve[0].iteration], episodes=400, seed=12)
    assert curve[0].low < found.mean.high
    assert found.mean.low < curve[0].high


def test_a_stopped_run_goes_on_to_the_same_evaluations_and_stays_stopped(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"seeds": [1, 0], "stop_at_return": 50.0, **SHORT, "total_steps": 6000}
    whole = pgrad.train("CartPole-v1", evaluate_every=1000, **settings)
    assert [len(seed.history.metrics) for seed in whole.seeds] == [17, 29], "both stop, and only one before the error"

    def fail(iteration: Iteration) -> None:
        if iteration.number == 20:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as caught:
        pgrad.train("CartPole-v1", evaluate_every=1000, on_iteration=fail, threads=1, **settings)
    pgrad.save(caught.value.result, tmp_path / "run")  # type: ignore[attr-defined]
    resumed = pgrad.resume(tmp_path / "run", evaluate_every=1000, evaluation_episodes=0)
    for one, other in zip(whole.seeds, resumed.seeds, strict=True):
        np.testing.assert_array_equal(one.history.metrics, other.history.metrics)
        assert (one.evaluations, one.stopped) == (other.evaluations, other.stopped)
    lines = (tmp_path / "run" / "seed-1" / "evaluation_curve.csv").read_text().splitlines()
    assert lines == [",".join(Evaluated._fields), *(",".join(map(repr, one)) for one in whole.seeds[0].evaluations)]
    again = pgrad.resume(tmp_path / "run", evaluation_episodes=0)
    assert again.total_steps == whole.total_steps, "what was stopped stays so"
    on = pgrad.resume(tmp_path / "run", evaluation_episodes=0, stop_at_return=None)
    assert all(seed.total_steps >= 6000 for seed in on.seeds)


def test_what_is_no_callback_is_refused_with_all_else_that_is_wrong() -> None:
    with pytest.raises(pgrad.ConfigError) as caught:
        pgrad.train("CartPole-v1", on_iteration=3, evaluate_every=0, stop_at_return="high")  # type: ignore[arg-type]
    assert [problem.split()[0] for problem in caught.value.problems] == [
        "evaluate_every",
        "on_iteration",
        "stop_at_return",
    ]


def test_tensorboard_that_is_not_installed_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert cli.run(["train", "CartPole-v1", "--tensorboard"]) == 2
    assert 'pip install "pgrad[tensorboard]"' in capsys.readouterr().err
