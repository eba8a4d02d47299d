"""What runs and sweeps have recorded comes back as columns of one length."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pgrad

SHORT: dict[str, Any] = {"algorithm": "reinforce", "preset": "none", "num_iterations": 3, "evaluation_episodes": 2}


@pytest.fixture
def runs(tmp_path: Path) -> dict[str, pgrad.Result]:
    """Two runs that differ in two settings, one of them in a folder of its own."""
    one = pgrad.train("CartPole-v1", seeds=[3, 5], hidden=8, evaluate_every=10, **SHORT)
    other = pgrad.train("CartPole-v1", hidden=[4, 4], learning_rate=0.02, **SHORT)
    pgrad.save(one, tmp_path / "a")
    pgrad.save(other, tmp_path / "deep" / "b")
    return {"a": one, "deep/b": other}


def test_every_iteration_of_every_seed_of_every_run_is_a_row(runs: dict[str, pgrad.Result], tmp_path: Path) -> None:
    found = pgrad.load_results(tmp_path)
    assert {column.shape for column in found.values()} == {(9,)}
    assert [*found][:6] == ["run", "env", "algorithm", "config.hidden", "config.learning_rate", "seed"]
    assert found["run"].tolist() == ["a"] * 6 + ["deep/b"] * 3
    assert found["seed"].tolist() == [3] * 3 + [5] * 3 + [0] * 3
    assert found["config.hidden"].tolist() == ["8"] * 6 + ["4-4"] * 3
    assert found["iteration"].dtype == np.int64 and found["iteration"].tolist() == [1, 2, 3] * 3
    for name in ("entropy", "mean_episode_return", "value_loss"):
        metrics = [seed.history.metric(name) for result in runs.values() for seed in result.seeds]
        np.testing.assert_array_equal(found[name], np.concatenate(metrics))


def test_the_other_tables(runs: dict[str, pgrad.Result], tmp_path: Path) -> None:
    episodes = pgrad.load_results(tmp_path / "a", "episodes")
    logs = [seed.history.episodes for seed in runs["a"].seeds]
    np.testing.assert_array_equal(episodes["episode_return"], np.concatenate([log.episode_return for log in logs]))
    assert "config.hidden" not in episodes and set(episodes["run"]) == {"a"}
    evaluations = pgrad.load_results(tmp_path, "evaluations")
    assert evaluations["mean_return"].tolist() == [e.mean_return for s in runs["a"].seeds for e in s.evaluations]
    seeds = pgrad.load_results(tmp_path, "seeds")
    means = np.concatenate([result.mean_returns for result in runs.values()])
    np.testing.assert_allclose(seeds["mean_return"], means)
    assert np.isnan(seeds["steps_to_solve"]).all() and seeds["failure"].tolist() == ["", "", ""]


def test_sweeps_are_among_seeds_and_curves(runs: dict[str, pgrad.Result], tmp_path: Path) -> None:
    settings: dict[str, Any] = {"algorithm": "reinforce", "num_iterations": 2, "hidden": [8, [8, 8]], "episodes": 3}
    swept = pgrad.sweep("CartPole-v1", seeds=3, processes=1, out=tmp_path / "swept", **settings)
    seeds = pgrad.load_results(tmp_path, "seeds")
    assert seeds["run"].tolist() == ["a", "a", "deep/b"] + ["swept"] * 6
    assert seeds["config.hidden"].tolist()[3:] == ["8"] * 3 + ["8-8"] * 3
    np.testing.assert_array_equal(seeds["mean_return"][3:], np.concatenate([one.returns for one in swept.settings]))
    curves = pgrad.load_results(tmp_path / "swept", "curves")
    assert curves["mean_return"].tolist() == [y for one in swept.settings for r in one.runs for y in r.curve["returns"]]
    assert curves["episode"].dtype == np.int64


def test_nothing_to_read_is_said(runs: dict[str, pgrad.Result], tmp_path: Path) -> None:
    with pytest.raises(pgrad.InputError, match="unknown table 'metric': did you mean 'metrics'"):
        pgrad.load_results(tmp_path, "metric")
    with pytest.raises(pgrad.RunError, match="holds no run, nor a finished sweep, with metrics"):
        pgrad.load_results(tmp_path / "none")
    (tmp_path / "a" / "summary.json").write_text("{}")
    with pytest.raises(pgrad.RunError, match=r"summary\.json is no summary of .*seed-3"):
        pgrad.load_results(tmp_path, "seeds")


def test_pandas_takes_it_in_one_call(runs: dict[str, pgrad.Result], tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    found = pgrad.load_results(tmp_path)
    frame = found.to_pandas()
    assert frame.equals(pandas.DataFrame(found)) and list(frame.columns) == [*found]
    assert frame.groupby(["run", "seed"])["iteration"].max().tolist() == [3, 3, 3]
