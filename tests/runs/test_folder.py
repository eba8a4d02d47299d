"""A run's folder: new, complete, and readable by anything that reads CSV, TOML and JSON."""

import csv
import io
import json
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pgrad.algorithms.update import METRICS
from pgrad.config import Config, resolve
from pgrad.envs.registry import Env, make
from pgrad.errors import RunError
from pgrad.evaluation import Evaluation
from pgrad.policies.mlp import MLPPolicy
from pgrad.rollouts.batch import Episodes
from pgrad.runs.folder import RunFolder, episodes_csv, free_path, load, metrics_csv, policy_path, seeds_of
from pgrad.training.result import Result, SeedResult
from pgrad.training.trainer import History

NOTHING = Episodes(np.empty(0), np.empty(0, np.int32), np.empty(0, np.int64))


def new_history(rows: int = 3, episodes: Episodes = NOTHING) -> History:
    metrics = np.arange(rows * len(METRICS), dtype=float).reshape(rows, len(METRICS)) / 7
    metrics[:, :2] = np.arange(2 * rows).reshape(rows, 2)
    return History(metrics, episodes, 1.5)


def new_result(
    seeds: tuple[int, ...] = (3,),
    returns: list[float] | None = None,
    failure: str | None = None,
    env: Env | None = None,
) -> Result:
    env = env or make("CartPole-v1")
    size = (env.obs_size + 1) * env.num_actions
    evaluation = Evaluation(np.array(returns), np.ones(len(returns), np.int64), 1.0) if returns else None
    return Result(
        resolve(env.id, None, {"seeds": seeds}),
        env,
        tuple(
            SeedResult(
                seed,
                MLPPolicy(np.full(size, seed, np.float32), (env.obs_size, env.num_actions), env=env.id),
                new_history(),
                failure,
                100,
                evaluation,
            )
            for seed in seeds
        ),
        2.5,
    )


def strict_json(text: str) -> Any:
    """JSON as the standard has it: without NaN and Infinity."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)


def test_a_run_folder_is_complete(tmp_path: Path) -> None:
    result = new_result((2, 10), [500.0, 480.0])
    folder = RunFolder(tmp_path / "deep" / "run", result.config)
    folder.save_policies(result)
    folder.save_result(result)
    folder.save_figures(result)
    names = {str(path.relative_to(folder.path)) for path in folder.path.rglob("*") if path.is_file()}
    assert names == {"config.toml", "summary.json", "training_curve.png", "action_probabilities.png"} | {
        f"seed-{seed}/{name}" for seed in (2, 10) for name in ("policy.safetensors", "metrics.csv", "episodes.csv")
    }
    assert resolve(None, None, tomllib.loads((folder.path / "config.toml").read_text("utf-8"))) == result.config
    for name in ("training_curve.png", "action_probabilities.png"):
        assert (folder.path / name).read_bytes().startswith(b"\x89PNG\r\n")
    for seed, policy in zip((2, 10), result.policies, strict=True):
        np.testing.assert_array_equal(load(folder.path, seed).parameters, policy.parameters)


def test_only_cartpole_has_a_figure_of_its_states(tmp_path: Path) -> None:
    result = new_result(env=Env("Other-v0", 4, 2, 500, None))
    saved = RunFolder(tmp_path / "run", result.config).save_figures(result)
    assert [path.name for path in saved] == ["training_curve.png"]


@pytest.mark.parametrize("in_the_way", ["folder", "full folder", "file", "dangling link"])
def test_what_exists_is_left_alone(tmp_path: Path, in_the_way: str) -> None:
    path = tmp_path / "run"
    if in_the_way == "file":
        path.write_text("precious")
    elif in_the_way == "dangling link":
        path.symlink_to(tmp_path / "nowhere")
    else:
        path.mkdir()
        if in_the_way == "full folder":
            (path / "config.toml").write_text("precious")
    with pytest.raises(RunError, match="exists already: choose another --out"):
        RunFolder(path, Config())
    kept = [file.read_text() for file in tmp_path.rglob("*") if file.is_file()]
    assert kept == (["precious"] if in_the_way in ("file", "full folder") else [])


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match=r"cannot make the run folder .*file/run: Not a directory"):
        RunFolder(tmp_path / "file" / "run", Config())
    folder = RunFolder(tmp_path / "run", Config())
    (tmp_path / "run" / "seed-3").write_text("")
    with pytest.raises(RunError, match=r"cannot make .*seed-3"):
        folder.save_policies(new_result())


def test_metrics_have_their_columns_and_leave_out_what_is_undefined() -> None:
    history = new_history(2)
    history.metrics[0] = [123_456_789_012, 0, np.nan, 0.693147180, 1e-12, 0.01, np.nan, -0.5]
    rows = list(csv.DictReader(io.StringIO(metrics_csv(history))))
    assert list(rows[0]) == [
        "iteration",
        "total_steps",
        "episodes",
        "mean_episode_return",
        "entropy",
        "gradient_norm",
        "learning_rate",
        "value_loss",
        "explained_variance",
    ]
    assert list(rows[0].values()) == ["1", "123456789012", "0", "", "0.693147", "1e-12", "0.01", "", "-0.5"]
    assert rows[1]["iteration"] == "2"
    np.testing.assert_allclose([float(v) for v in list(rows[1].values())[1:]], history.metrics[1], rtol=1e-5)


def test_episodes_are_a_line_each() -> None:
    episodes = Episodes(np.array([-500.0, 0.1]), np.array([500, 7], np.int32), np.array([10**12, 10**12 + 7]))
    rows = list(csv.DictReader(io.StringIO(episodes_csv(new_history(episodes=episodes)))))
    assert rows == [
        {"total_steps": "1000000000000", "length": "500", "episode_return": "-500"},
        {"total_steps": "1000000000007", "length": "7", "episode_return": "0.1"},
    ]


def test_nothing_yet_is_a_header() -> None:
    assert metrics_csv(new_history(0)).count("\n") == episodes_csv(new_history(0)).count("\n") == 1


@pytest.mark.parametrize(
    ("seeds", "returns"),
    [
        ((3,), None),
        ((3,), [480.0]),
        ((3,), [480.0, 500.0]),
        ((3, 4, 5), [480.0, 500.0]),
        ((3, 4), [np.nan, 1.0]),
        ((3, 4), [np.inf, 1.0]),
    ],
)
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")  # the mean of infinities
def test_the_summary_is_json_that_any_reader_takes(seeds: tuple[int, ...], returns: list[float] | None) -> None:
    document = strict_json(new_result(seeds, returns, "something broke").to_json())
    assert (document["env"], document["algorithm"]) == ("CartPole-v1", "actor-critic")
    assert (document["seconds"], document["total_steps"]) == (2.5, 100 * len(seeds))
    assert [seed["seed"] for seed in document["seeds"]] == list(seeds)
    assert {seed["failure"] for seed in document["seeds"]} == {"something broke"}
    assert {seed["steps_to_solve"] for seed in document["seeds"]} == {None}
    if returns is None:
        assert document["seeds"][0]["mean_return"] is None
    elif np.isfinite(returns).all():
        assert document["mean_return"]["value"] == np.mean(returns) == document["seeds"][0]["mean_return"]
        assert document["solved"] == len(seeds)


@pytest.mark.parametrize(
    ("env", "name"), [("CartPole-v1", "CartPole-v1-reinforce"), ("phys2d/Cart Pole", "phys2d-Cart-Pole-reinforce")]
)
def test_the_default_folder_is_the_first_that_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, env: str, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    config = resolve(env, "reinforce")
    assert free_path(config) == Path("runs", f"{name}-1")
    Path("runs", f"{name}-1").mkdir(parents=True)
    Path("runs", f"{name}-2").symlink_to("nowhere")
    assert free_path(config) == Path("runs", f"{name}-3")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    result = new_result((10, 33, 2, 4, 21))
    folder = RunFolder(tmp_path / "run", result.config)
    folder.save_policies(result)
    (folder.path / "seed-99").mkdir()
    (folder.path / "seed-x").mkdir()
    (folder.path / "seed-x" / "policy.safetensors").write_text("")
    return folder.path


def test_a_policy_is_found_by_run_by_seed_and_by_file(run: Path) -> None:
    assert seeds_of(run) == [2, 4, 10, 21, 33]
    assert policy_path(run) == policy_path(run, 2) == run / "seed-2" / "policy.safetensors"
    assert policy_path(run, 10) == policy_path(run / "seed-10") == run / "seed-10" / "policy.safetensors"
    assert policy_path(run / "seed-10" / "policy.safetensors") == policy_path(str(run), 10)
    assert load(run, 10).parameters[0] == 10


@pytest.mark.parametrize(
    ("path", "seed", "message"),
    [
        ("", 3, "has no seed 3; it has 2, 4, 10, 21, 33"),
        ("seed-99", None, "neither a policy file nor a run folder"),
        ("nowhere", None, "neither a policy file nor a run folder"),
    ],
)
def test_a_policy_that_is_not_there(run: Path, path: str, seed: int | None, message: str) -> None:
    with pytest.raises(RunError, match=message):
        load(run / path, seed)


@pytest.mark.parametrize("path", ["seed-10", "seed-10/policy.safetensors"])
def test_another_seed_than_the_folders_is_refused(run: Path, path: str) -> None:
    with pytest.raises(RunError, match="2"):
        load(run / path, 2)
