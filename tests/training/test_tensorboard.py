"""Event files hold what metrics.csv holds, under the field's names, as TensorBoard's own reader sees them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pgrad
from pgrad.cli import main as cli
from pgrad.training.callbacks import Iteration

pytest.importorskip("tensorboard")

SHORT: dict[str, Any] = {"preset": "none", "total_steps": 3000, "evaluation_episodes": 0}


def read(folder: Path) -> dict[str, tuple[Any, Any]]:
    """Return steps and values of each tag."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()
    found = {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}
    return {tag: tuple(map(np.array, zip(*points, strict=True))) for tag, points in found.items()}


def test_the_reader_sees_every_iteration_of_every_seed(tmp_path: Path) -> None:
    with pgrad.TensorBoard(tmp_path) as board:
        result = pgrad.train("CartPole-v1", seeds=2, on_iteration=board, evaluate_every=1000, **SHORT)
    for one in result.seeds:
        found, metric = read(tmp_path / f"seed-{one.seed}"), one.history.metric
        for tag, name, sign in (("explained_variance", "explained_variance", 1), ("entropy_loss", "entropy", -1)):
            steps, values = found[f"train/{tag}"]
            np.testing.assert_array_equal(steps, metric("total_steps"))
            np.testing.assert_allclose(values, sign * metric(name), rtol=1e-6)
        log = one.history.episodes
        assert found["rollout/ep_rew_mean"][1][-1] == pytest.approx(log.episode_return[-100:].mean())
        assert found["rollout/ep_len_mean"][1][-1] == pytest.approx(log.length[-100:].mean())
        steps, values = found["eval/mean_reward"]
        assert steps.tolist() == [e.total_steps for e in one.evaluations]
        np.testing.assert_allclose(values, [e.mean_return for e in one.evaluations])
        assert "train/clip_fraction" not in found, "which an actor-critic does not have"


def test_it_can_be_read_while_it_trains(tmp_path: Path) -> None:
    seen = []

    def look(iteration: Iteration) -> None:
        board(iteration)
        if iteration.number == 12:
            board.writers[0].flush()  # as happens every few seconds
            seen.append(read(tmp_path / "seed-0")["train/value_loss"][0].size)

    with pgrad.TensorBoard(tmp_path) as board:
        pgrad.train("CartPole-v1", on_iteration=look, **SHORT)
    assert seen == [12]


def test_the_command_writes_beside_the_runs_own_files_and_goes_on(tmp_path: Path) -> None:
    run, more = str(tmp_path / "run"), ["--no-figures", "--quiet", "--evaluation-episodes", "0", "--tensorboard"]
    assert cli.run(["train", "CartPole-v1", "--preset", "none", "--total-steps", "3000", "--out", run, *more]) == 0
    assert cli.run(["train", "--resume", run, "--total-steps", "4000", *more]) == 0
    steps, _ = read(tmp_path / "run" / "seed-0")["train/entropy_loss"]
    assert steps[-1] == 4096 and (np.diff(steps) > 0).all()


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "seed-0").write_text("a file")
    said = r"cannot write TensorBoard's files in .*seed-0"
    with pgrad.TensorBoard(tmp_path) as board, pytest.raises(pgrad.RunError, match=said) as caught:
        pgrad.train("CartPole-v1", on_iteration=board, **SHORT)
    assert len(caught.value.result.seeds[0].history.metrics) == 1
