"""A run's folder: new, complete, and readable by anything that reads CSV, TOML and JSON."""

import csv
import datetime
import io
import json
import os
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pgrad
from pgrad.algorithms.iteration import METRICS
from pgrad.algorithms.learner import Checkpoints
from pgrad.config.resolve import resolve
from pgrad.config.settings import Config
from pgrad.envs.make import Env, make
from pgrad.errors import EnvError, RunError
from pgrad.evaluation import Evaluation
from pgrad.experiments.statistics import interval_name
from pgrad.policies.mlp import MLPPolicy, MLPValue
from pgrad.rollouts.batch import Episodes
from pgrad.runs import folder as folder_module
from pgrad.runs import mlp_file
from pgrad.runs.failure import Failure
from pgrad.runs.folder import (
    RunFolder,
    SavedRun,
    free_path,
    load_run,
    located,
    record_evaluations,
    save,
)
from pgrad.runs.journal import journals_in
from pgrad.runs.load import load, seeds_of
from pgrad.spaces import Discrete
from pgrad.training.loops import History
from pgrad.training.result import Result, SeedResult

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
    size = (env.obs_size + 1) * env.actions.flat_size
    evaluation = Evaluation(np.array(returns), np.ones(len(returns), np.int64), 1.0) if returns else None
    return Result(
        resolve(env.id, None, {"seeds": seeds}),
        env,
        tuple(
            SeedResult(
                seed,
                MLPPolicy(np.full(size, seed, np.float32), (env.obs_size, env.actions.flat_size), env=env.id),
                new_history(),
                None if failure is None else Failure("gradient", failure, seed, 1),
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
    folder.save(result)
    folder.save_result(result)
    folder.save_figures(result)
    names = {str(path.relative_to(folder.path)) for path in folder.path.rglob("*") if path.is_file()}
    assert names == {"config.toml", "summary.json", "training_curve.png", "action_probabilities.png"} | {
        f"seed-{seed}/{name}"
        for seed in (2, 10)
        for name in ("policy.safetensors", "evaluation.csv", "metrics.csv", "episodes.csv")
    }
    assert resolve(None, None, tomllib.loads((folder.path / "config.toml").read_text("utf-8"))) == result.config
    for name in ("training_curve.png", "action_probabilities.png"):
        assert (folder.path / name).read_bytes().startswith(b"\x89PNG\r\n")
    for seed, policy in zip((2, 10), result.policies, strict=True):
        np.testing.assert_array_equal(load(folder.path, seed).parameters, policy.parameters)


def test_a_result_is_saved_as_the_command_saves_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder_module, "provenance", lambda: {"date": "now"})
    result = new_result((2, 10), [500.0, 480.0])
    save(result, tmp_path / "mine")
    folder = RunFolder(tmp_path / "run", result.config)
    folder.save(result)
    folder.save_result(result)
    for file in (path for path in folder.path.rglob("*") if path.is_file()):
        assert (tmp_path / "mine" / file.relative_to(folder.path)).read_bytes() == file.read_bytes()
    with pytest.raises(RunError, match="mine exists already"):
        save(result, tmp_path / "mine")


def test_the_summary_says_what_it_was_made_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["/somewhere/bin/pgrad", "train", "my env.py:MyEnv"])
    result = new_result((2, 10), [500.0, 480.0, 490.0])
    played = [
        replace(seed.evaluation, settings={"greedy": False, "evaluation_seed": seed.seed})
        for seed in result.seeds
        if seed.evaluation
    ]
    seeds = tuple(replace(seed, evaluation=one) for seed, one in zip(result.seeds, played, strict=True))
    save(replace(result, seeds=seeds), tmp_path / "run")
    summary = strict_json((tmp_path / "run" / "summary.json").read_text("utf-8"))
    made = summary["made_with"]
    assert made["command"] == "pgrad train 'my env.py:MyEnv'"
    assert datetime.datetime.fromisoformat(made["date"]).utcoffset() == datetime.timedelta(0)
    assert made["packages"]["numpy"] == np.__version__
    assert {"pgrad", "numba", "gymnasium"} <= made["packages"].keys()
    assert made["processor"] and made["cores"] >= 1 and made["python"] and made["platform"]
    assert [seed["evaluation_seed"] for seed in summary["seeds"]] == [2, 10]
    assert summary["evaluation"] == {"episodes": 3, "greedy": False}
    assert summary["mean_return"]["interval"] == interval_name(2, "seeds")
    assert "interquartile_mean_return" not in summary, "two returns have no middle half"


def test_the_episodes_of_the_evaluation_are_kept(tmp_path: Path) -> None:
    save(new_result((2, 10), [500.0, -1 / 3]), tmp_path / "run")
    for seed in (2, 10):
        rows = (tmp_path / "run" / f"seed-{seed}" / "evaluation.csv").read_text("utf-8").splitlines()
        assert rows == ["return,length", "500,1", "-0.3333333333,1"]
    save(new_result((2, 10)), tmp_path / "other")
    assert not list((tmp_path / "other").rglob("evaluation.csv"))


def test_evaluations_of_a_run_are_appended(tmp_path: Path) -> None:
    save(new_result((2,)), tmp_path / "run")
    evaluation = Evaluation(np.array([1.0, 3.0]), np.array([5, 6]), 0.9, {"env": "CartPole-v1", "greedy": True})
    for _ in range(2):
        path = record_evaluations(tmp_path / "run", {2: evaluation})
    assert path == tmp_path / "run" / "evaluations.jsonl"
    first, second = (strict_json(line) for line in path.read_text("utf-8").splitlines())
    assert first["seeds"] == second["seeds"]
    (seed,) = first["seeds"]
    assert (seed["seed"], seed["discount"], seed["greedy"], seed["returns"]) == (2, 0.9, True, [1.0, 3.0])
    assert seed["lengths"] == [5, 6] and seed["mean_return"]["value"] == 2.0
    assert "numpy" in first["made_with"]["packages"]
    with pytest.raises(RunError, match=r"cannot write .*nowhere"):
        record_evaluations(tmp_path / "nowhere", {2: evaluation})


def test_policies_are_written_first_and_a_file_that_fails_keeps_no_other_from_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that is full for large files, for a while."""
    write, order, full = mlp_file.write_atomically, [], True

    def fill(path: Path, content: bytes, previous: Path | None) -> None:
        order.append(f"{path.parent.name}/{path.stem}")
        if full and path.stem == "checkpoints":
            raise RunError(f"cannot write {path}: No space left on device")
        write(path, content, previous)

    monkeypatch.setattr(mlp_file, "write_atomically", fill)
    config = resolve("CartPole-v1", "reinforce", {"seeds": (3, 4)})
    result = Result(config, make("CartPole-v1"), tuple(new_seed(seed, True, KEPT) for seed in (3, 4)), 2.5)
    folder = RunFolder(tmp_path / "run", config)
    with pytest.raises(RunError, match=r"(?s)seed-3.*No space left.*seed-4.*No space left"):
        folder.save(result)
    first, second, third = (sorted(order[k : k + 2]) for k in (0, 2, 4))  # seeds are written side by side
    assert (first, second, third) == tuple(
        [f"seed-{k}/{name}" for k in (3, 4)] for name in ("policy", "value", "checkpoints")
    )
    full = False
    folder.save(result)
    assert load_run(folder.path, 4).checkpoints is not None


def test_an_environment_that_changes_the_folder_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = new_result((3,), [500.0])
    folder = RunFolder(Path("run"), result.config)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    folder.save(result)
    folder.save_result(result)
    folder.save_figures(result)
    assert seeds_of(tmp_path / "run") == [3]
    assert not list((tmp_path / "elsewhere").iterdir())


@pytest.mark.parametrize(
    "env", ["CartPole-v1", "package.module:Name", "module:Id-v0", "TransformReward(CartPole-v1)", "Taxi-v4(a=':b.py')"]
)
def test_names_that_are_no_files_stay(env: str) -> None:
    assert located(env) == env


@pytest.mark.parametrize("name", ["shop.py:Shop", "shop.py"])
def test_a_run_on_a_users_file_is_evaluated_from_anywhere_once_it_is_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shop: str, name: str
) -> None:
    (tmp_path / "shop.py").write_text(shop)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    save(pgrad.train(name, preset="none", total_steps=200, evaluation_episodes=0), "run")
    monkeypatch.chdir(tmp_path / "elsewhere")
    for policy in (tmp_path / "run", pgrad.load(tmp_path / "run"), tmp_path / "run" / "seed-0" / "policy.safetensors"):
        with pytest.raises(EnvError, match=r"shop\.py.*trust=True \(--trust\)"):
            pgrad.evaluate(policy, episodes=2)
        assert pgrad.evaluate(policy, episodes=2, trust=True).returns.tolist() == [3.0, 3.0]
        assert pgrad.evaluate(policy, tmp_path.joinpath(name).as_posix(), episodes=2).returns.tolist() == [3.0, 3.0]
    config = resolve(None, None, tomllib.loads((tmp_path / "run" / "config.toml").read_text("utf-8")))
    assert config.env == f"{tmp_path}/{name}"
    assert free_path(config).name.startswith("shop.py")


def test_only_cartpole_has_a_figure_of_its_states(tmp_path: Path) -> None:
    result = new_result(env=Env("Other-v0", 4, Discrete(2), 500, None))
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
    with pytest.raises(RunError, match="exists already: choose another folder"):
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
        folder.save(new_result())


def test_metrics_have_their_columns_and_leave_out_what_is_undefined(tmp_path: Path) -> None:
    history = new_history(2)
    written = [123_456_789_012, 0, np.nan, 0.693147180, 1e-12, 0.01, np.nan, -0.5, np.nan, 0.25, 1.5, np.nan, -0.1]
    history.metrics[0] = written
    journals_in(tmp_path).append(history.metrics, history.episodes)
    rows = list(csv.DictReader(io.StringIO((tmp_path / "metrics.csv").read_text())))
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
        "kl",
        "clip_fraction",
        "advantage_std",
        "actions_clipped",
        "signal_to_noise",
    ]
    expected = ["1", "123456789012", "0", "", "0.69314718", "1e-12", "0.01", "", "-0.5", "", "0.25", "1.5", "", "-0.1"]
    assert list(rows[0].values()) == expected
    assert rows[1]["iteration"] == "2"
    assert [float(v) for v in list(rows[1].values())[1:]] == history.metrics[1].tolist(), "to the last bit"


def test_episodes_are_a_line_each(tmp_path: Path) -> None:
    episodes = Episodes(np.array([-500.0, 0.1]), np.array([500, 7], np.int32), np.array([10**12, 10**12 + 7]))
    journals_in(tmp_path).append(new_history().metrics, episodes)
    rows = list(csv.DictReader(io.StringIO((tmp_path / "episodes.csv").read_text())))
    assert rows == [
        {"total_steps": "1000000000000", "length": "500", "episode_return": "-500.0"},
        {"total_steps": "1000000000007", "length": "7", "episode_return": "0.1"},
    ]


def test_nothing_yet_is_a_header(tmp_path: Path) -> None:
    journals_in(tmp_path).append(new_history(0).metrics, NOTHING)
    for name in ("metrics.csv", "episodes.csv"):
        assert (tmp_path / name).read_text().count("\n") == 1


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
    document = strict_json(json.dumps(new_result(seeds, returns, "something broke").to_dict(), allow_nan=False))
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
        assert document["solved_share"]["low"] == pytest.approx(0.025 ** (1 / len(seeds)))


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


# --- a run read back

OBS = np.array([0.1, -0.2, 0.3, -0.4])
KEPT = [0, 10, 20, 40]


def new_seed(seed: int, with_critic: bool, kept: list[int] | None) -> SeedResult:
    """A policy of sizes 4-3-2 and a value network of sizes 4-3-1, all parameters random."""
    rng, count = np.random.default_rng(seed), len(kept or [])

    def draw(*shape: int) -> Any:
        return rng.standard_normal(shape).astype(np.float32)

    nothing = np.empty((count, 0), np.float32)
    checkpoints = Checkpoints(
        np.array(kept or [], np.int64),
        draw(count, 23),
        draw(count, 19),
        nothing,
        nothing,
        np.ones(count),
        np.array([count]),
        np.array([10]),
    )
    return SeedResult(
        seed,
        MLPPolicy(draw(23), (4, 3, 2), "relu", 0.7, "CartPole-v1", {"algorithm": "reinforce", "iterations": "50"}),
        new_history(),
        None,
        100,
        critic=MLPValue(draw(19), (4, 3, 1), "relu") if with_critic else None,
        checkpoints=None if kept is None else checkpoints,
    )


def saved(
    path: Path, with_critic: bool = True, kept: list[int] | None = KEPT, seeds: tuple[int, ...] = (3,)
) -> tuple[Path, Result]:
    env = make("CartPole-v1")
    config = resolve(env.id, "reinforce", {"seeds": seeds, "temperature": 0.7, "hidden": (3,), "activation": "relu"})
    result = Result(config, env, tuple(new_seed(seed, with_critic, kept) for seed in seeds), 2.5)
    folder = RunFolder(path / "run", config)
    folder.save(result)
    return folder.path, result


def assert_same_network(network: Any, expected: Any) -> None:
    assert type(network) is type(expected)
    assert (network.parameters.tobytes(), network.parameters.dtype) == (expected.parameters.tobytes(), np.float32)
    assert (network.sizes, network.activation) == (expected.sizes, expected.activation)
    if isinstance(expected, MLPPolicy):
        assert (network.temperature, network.env) == (expected.temperature, expected.env)
        assert network.metadata == expected.metadata


def files_in(path: Path) -> set[str]:
    return {file.name for file in path.iterdir()}


@pytest.mark.parametrize("with_critic", [True, False])
@pytest.mark.parametrize("kept", [KEPT, [0], [], None])
def test_a_run_comes_back_with_all_that_was_kept_of_it(
    tmp_path: Path, kept: list[int] | None, with_critic: bool
) -> None:
    """`[]` is what a run without checkpoints leaves; `None` a result that knows nothing of them."""
    path, result = saved(tmp_path, with_critic, kept)
    names = {"policy.safetensors"} | ({"value.safetensors"} if with_critic else set())
    assert files_in(path / "seed-3") == names | ({"checkpoints.safetensors"} if kept else set())
    run, seed = load_run(path), result.seeds[0]
    assert (run.config, run.seed) == (result.config, 3)
    assert_same_network(run.policy, seed.policy)
    assert run.critic is None or with_critic
    if with_critic:
        assert_same_network(run.critic, seed.critic)
    assert (run.checkpoints is None) == (not kept)
    if kept:
        assert run.checkpoints is not None and seed.checkpoints is not None
        for array, expected in zip(run.checkpoints, seed.checkpoints, strict=True):
            assert (array.tobytes(), array.shape) == (expected.tobytes(), expected.shape)


def test_a_seed_is_chosen_from_a_run_and_the_first_is_the_smallest(tmp_path: Path) -> None:
    path, result = saved(tmp_path, seeds=(10, 2, 33))
    for chosen, index in ((None, 1), (2, 1), (10, 0), (33, 2)):
        run, seed = load_run(str(path), chosen), result.seeds[index]
        assert run.seed == seed.seed
        assert_same_network(run.policy, seed.policy)
        assert_same_network(run.critic, seed.critic)
        assert_same_network(run.at(10)[1], MLPValue(seed.checkpoints.critic[1], (4, 3, 1), "relu"))
    with pytest.raises(RunError, match="has no seed 7; it has 2, 10, 33"):
        load_run(path, 7)


def test_the_networks_after_an_iteration_are_the_final_ones_with_other_parameters(tmp_path: Path) -> None:
    path, result = saved(tmp_path)
    run, kept = load_run(path), result.seeds[0].checkpoints
    assert kept is not None
    final, final_value = run.policy.logits(OBS), run.critic.value(OBS)  # type: ignore[union-attr]
    for k, iteration in enumerate(KEPT):
        policy, critic = run.at(iteration)
        expected = MLPPolicy(
            kept.policy[k],
            (4, 3, 2),
            "relu",
            0.7,
            "CartPole-v1",
            {"algorithm": "reinforce", "iterations": str(iteration)},
        )
        expected_critic = MLPValue(kept.critic[k], (4, 3, 1), "relu")
        assert_same_network(policy, expected)
        assert_same_network(critic, expected_critic)
        assert critic is not None
        assert policy.logits(OBS).tolist() == expected.logits(OBS).tolist() != final.tolist()
        assert critic.value(OBS) == expected_critic.value(OBS) != final_value
    assert_same_network(run.policy, result.seeds[0].policy)


def test_without_a_value_network_there_is_none_along_the_way_either(tmp_path: Path) -> None:
    policy, critic = load_run(saved(tmp_path, with_critic=False)[0]).at(20)
    assert critic is None
    assert policy.sizes == (4, 3, 2)


@pytest.mark.parametrize(
    ("kept", "iteration", "message"),
    [
        (KEPT, 7, "the parameters after iteration 7 were not kept: the nearest are 0 and 10"),
        (KEPT, 31, "after iteration 31 were not kept: the nearest are 20 and 40"),
        (KEPT, 22, "the nearest are 10 and 20"),
        (KEPT, 1000, "the nearest are 20 and 40"),
        (KEPT, -1, "after iteration -1 were not kept: the nearest are 0 and 10"),
        ([0], 5, "after iteration 5 were not kept: .*0"),
        ([], 0, "the parameters after iteration 0 were not kept, nor any others"),
        (None, 0, "the parameters after iteration 0 were not kept, nor any others"),
    ],
)
def test_an_iteration_that_was_not_kept_names_the_nearest(
    tmp_path: Path, kept: list[int] | None, iteration: int, message: str
) -> None:
    with pytest.raises(RunError, match=message):
        load_run(saved(tmp_path, kept=kept)[0]).at(iteration)


def rewrite_config(content: bytes) -> Callable[[Path], Path]:
    def rewrite(path: Path) -> Path:
        (path / "config.toml").write_bytes(content)
        return path

    return rewrite


def without(name: str) -> Callable[[Path], Path]:
    def remove(path: Path) -> Path:
        (path / name).unlink()
        return path

    return remove


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda path: path / "nowhere",
            r"nowhere is no run folder \(did you mean .*run\?\): cannot read its config.toml: No such file",
        ),
        (
            lambda path: path / "seed-3",
            r"seed-3 is no run folder \(did you mean .*run\?\): cannot read its config.toml: No such file",
        ),
        (
            lambda path: path / "seed-3" / "policy.safetensors",
            r"policy\.safetensors is no run folder: .*Not a directory",
        ),
        (without("config.toml"), "run is no run folder: cannot read its config.toml: No such file"),
        (rewrite_config(b"env = "), r"config\.toml is not a configuration: Invalid value"),
        (rewrite_config(b"\xff\xfe"), r"config\.toml is not a configuration: .*utf-8"),
        (rewrite_config(b"seeds = " + b"1" * 5_000), r"config\.toml is not a configuration: "),
        (rewrite_config(b"hiden = [3]"), r"config\.toml is not a configuration: .*did you mean 'hidden'"),
        (
            rewrite_config(b"discount = 2.0"),
            r"config\.toml is not a configuration: discount must be in \[0, 1\], not 2",
        ),
        (without("seed-3/policy.safetensors"), "has no seed-N folder with a policy.safetensors in it"),
    ],
)
def test_what_is_no_run_is_named(tmp_path: Path, change: Callable[[Path], Path], message: str) -> None:
    path, _ = saved(tmp_path)
    load_run(path)
    with pytest.raises(RunError, match=message):
        load_run(change(path))


def test_a_configuration_that_never_ends_is_not_read(tmp_path: Path) -> None:
    path, _ = saved(tmp_path)
    (path / "config.toml").unlink()
    os.mkfifo(path / "config.toml")
    with pytest.raises(RunError, match=r"config\.toml: it is not a regular file"):
        load_run(path)
    (path / "config.toml").unlink()
    (path / "config.toml").write_bytes(b"#" * 2**21)
    with pytest.raises(RunError, match=r"config\.toml: it has 2,097,152 bytes, and at most 1,000,000 are read"):
        load_run(path)


def test_a_configuration_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    path, _ = saved(tmp_path)
    config = path / "config.toml"
    before = load_run(path).config
    config.write_bytes(b"\xef\xbb\xbf" + config.read_bytes())
    assert load_run(path).config == before


def test_a_configuration_nested_too_deeply_is_refused(tmp_path: Path) -> None:
    path, _ = saved(tmp_path)
    (path / "config.toml").write_text("seeds = " + "[" * 100_000)
    with pytest.raises(RunError, match=r"config\.toml is not a configuration"):
        load_run(path)


def test_parameters_along_the_way_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    seed = new_seed(1, True, KEPT)
    assert seed.checkpoints is not None
    seed.checkpoints.policy[2, 5] = np.nan
    run = SavedRun(Config(), 1, seed.policy, seed.critic, seed.checkpoints)
    run.at(10)
    with pytest.raises(RunError, match="iteration 20: policy has values that are not finite"):
        run.at(20)


@pytest.mark.parametrize(
    ("name", "what"), [("policy", "policy"), ("value", "value network"), ("checkpoints", "file of checkpoints")]
)
def test_a_broken_file_of_a_run_is_named(tmp_path: Path, name: str, what: str) -> None:
    path, _ = saved(tmp_path)
    (path / "seed-3" / f"{name}.safetensors").write_bytes(b"nothing of the kind")
    with pytest.raises(RunError, match=rf"cannot read the {what} .*seed-3/{name}\.safetensors"):
        load_run(path)


@pytest.mark.parametrize(("algorithm", "every"), [("actor-critic", 2), ("reinforce", 2), ("actor-critic", None)])
def test_a_training_run_comes_back(tmp_path: Path, algorithm: str, every: int | None) -> None:
    batch = {"num_steps": 8} if algorithm == "actor-critic" else {"episodes_per_iteration": 2}
    result = pgrad.train(
        "CartPole-v1",
        algorithm=algorithm,
        preset="none",
        seed=4,
        evaluation_episodes=0,
        num_iterations=5,
        checkpoint_every=every,
        **batch,
    )
    folder = RunFolder(tmp_path / "run", result.config)
    folder.save(result)
    run, seed = load_run(folder.path), result.seeds[0]
    assert (run.config, run.seed) == (result.config, 4)
    assert_same_network(run.policy, seed.policy)
    assert (run.critic is None) == (seed.critic is None) == (algorithm == "reinforce")
    if every is None:
        assert run.checkpoints is None
        with pytest.raises(RunError, match="nor any others"):
            run.at(0)
        return
    assert run.checkpoints is not None and run.checkpoints.iteration.tolist() == [0, 2, 4]
    for iteration in (0, 2, 4):
        policy, critic = run.at(iteration)
        assert policy.parameters.tobytes() != run.policy.parameters.tobytes()
        assert (policy.sizes, policy.metadata["iterations"]) == (run.policy.sizes, str(iteration))
        same = pgrad.load(folder.path, 4, at=iteration)
        assert (same.parameters.tobytes(), same.metadata) == (policy.parameters.tobytes(), policy.metadata)
        if run.critic is not None:
            assert critic is not None
            assert critic.parameters.tobytes() != run.critic.parameters.tobytes()
            assert np.isfinite(critic.value(OBS))


def test_a_saved_run_can_be_made_by_hand() -> None:
    """As for what is still in memory."""
    seed = new_seed(1, True, KEPT)
    run = SavedRun(Config(), 1, seed.policy, seed.critic, seed.checkpoints)
    policy, critic = run.at(40)
    assert seed.checkpoints is not None and critic is not None
    assert policy.parameters.tolist() == seed.checkpoints.policy[3].tolist()
    assert critic.parameters.tolist() == seed.checkpoints.critic[3].tolist()
