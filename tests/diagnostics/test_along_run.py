"""The microscope along a run: which policies it looks at, with which V, and what it refuses."""

import contextlib
import dataclasses
import io
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pgrad import exact
from pgrad.cli import main as cli
from pgrad.diagnostics import along_run as module
from pgrad.diagnostics.along_run import RunDiagnosis, chosen_iterations, diagnose
from pgrad.diagnostics.microscope import gradient_microscope
from pgrad.diagnostics.trajectories import rolled_out
from pgrad.diagnostics.value_fit import fitted_value
from pgrad.envs.finite_mdp import finite
from pgrad.envs.make import Env, make
from pgrad.errors import ConfigError, EnvError, RunError
from pgrad.estimators.advantages import multipliers
from pgrad.estimators.spec import EstimatorSpec
from pgrad.policies.mlp import MLPPolicy, MLPValue
from pgrad.runs.folder import load_run
from pgrad.runs.mlp_file import CHECKPOINT_ARRAYS
from pgrad.spaces import Discrete
from pgrad.verify.cases import OBS_SIZE, cases_of

ITERATIONS = 195  # parameters are kept every 10


def trained(path: Path, *flags: str) -> Path:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        shared = ["--preset", "none", "--evaluation-episodes", "0", "--no-figures"]
        words = ["train", "CartPole-v1", "--out", str(path), *shared, *flags]
        assert cli.run(words) == 0
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("runs") / "run"
    return trained(path, "--seeds", "3,5", "--total-steps", "none", "--num-iterations", str(ITERATIONS))


@pytest.fixture(scope="module")
def without_value(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("runs") / "reinforce"
    flags = ("--total-steps", "none", "--num-iterations", "6", "--checkpoint-every", "2")
    return trained(path, "--algorithm", "reinforce", *flags)


def looked_at(diagnosis: RunDiagnosis) -> list[int | None]:
    return [microscope.iteration for microscope in diagnosis.microscopes]


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("last", [195]),
        ("0", [0]),
        ("195", [195]),
        ("80,0,40", [0, 40, 80]),
        ("7,7", [7]),
        ("every:10", [*range(0, 191, 10), 195]),
        ("every:40", [0, 40, 80, 120, 160, 195]),
        ("every:1000", [0, 195]),
    ],
)
def test_the_iterations_that_are_meant(run: Path, at: str, expected: list[int]) -> None:
    assert list(chosen_iterations(load_run(run), at)) == expected


@pytest.mark.parametrize("at", ["", "latest", "every:", "every:x", "every:-10", "-1", "1.5", "0,", ",", "0 10", "Last"])
def test_what_is_none_of_the_forms_is_refused(run: Path, at: str) -> None:
    with pytest.raises(ConfigError, match="--at must be 'last', an iteration, several like 0,40,120, or 'every:10'"):
        diagnose(run, at=at)


@pytest.mark.parametrize("step", [0, 7, 15])
def test_a_step_that_was_not_kept_names_the_one_that_was(run: Path, step: int) -> None:
    with pytest.raises(ConfigError, match=rf"--at every:{step}: .* every 10 iterations; take a multiple of that"):
        diagnose(run, at=f"every:{step}")


def test_a_step_of_checkpoints_thinned_out_along_the_way(run: Path) -> None:
    saved = load_run(run)
    assert saved.checkpoints is not None
    checkpoints = saved.checkpoints
    for kept, at, expected in (([0, 40, 80], "every:80", [0, 80, 195]), ([0], "every:195", [0, 195])):
        some = [checkpoints.iteration.tolist().index(k) for k in kept]
        chosen = checkpoints._replace(**{name: getattr(checkpoints, name)[some] for name, _, _ in CHECKPOINT_ARRAYS})
        assert list(chosen_iterations(dataclasses.replace(saved, checkpoints=chosen), at)) == expected


def test_iterations_that_were_not_kept_are_refused_with_the_nearest(run: Path) -> None:
    for at, words in (("83", "83 were not kept: the nearest are 80 and 90"), ("5000", "the nearest are 180 and 190")):
        with pytest.raises(RunError, match=words):
            diagnose(run, at=at, trajectories=200)


def test_a_run_that_kept_nothing(run: Path, tmp_path: Path) -> None:
    bare = shutil.copytree(run, tmp_path / "bare")
    (bare / "seed-3" / "checkpoints.safetensors").unlink()
    with pytest.raises(RunError, match="kept no parameters along the way: train it with --checkpoint-every 10"):
        diagnose(bare, at="every:10")
    with pytest.raises(RunError, match="iteration 10 were not kept, nor any others"):
        diagnose(bare, at="10")
    assert looked_at(diagnose(bare, trajectories=200)) == [195]


def test_each_microscope_is_that_of_the_parameters_then(run: Path) -> None:
    told: list[str] = []
    diagnosis = diagnose(run, seed=5, at="0,40,195", trajectories=400, diagnosis_seed=2, progress=told.append)
    assert (diagnosis.seed, looked_at(diagnosis)) == (5, [0, 40, 195])
    assert diagnosis.run == str(run)
    assert diagnosis.value == "the run's value network"
    assert told == [f"iteration {n}: 400 trajectories" for n in (0, 40, 195)]
    saved = load_run(run, 5)
    for microscope in diagnosis.microscopes:
        policy, critic = saved.at(microscope.iteration)
        same = gradient_microscope(policy, critic, "CartPole-v1", 0.99, 400, 2)
        assert same.views[:9] == microscope.views[:9]
        assert same.mean_return == microscope.mean_return
    returns = [microscope.mean_return.value for microscope in diagnosis.microscopes]
    assert len(set(returns)) == 3
    assert diagnose(run, trajectories=200).seed == 3, "the first, where none is named"


def test_the_number_of_trajectories_the_discount_and_the_environment(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What diagnose hands on; fewer trajectories at each of several policies."""
    calls: list[tuple[object, ...]] = []

    def record(policy: object, critic: object, *rest: object) -> None:
        calls.append(rest)

    monkeypatch.setattr(module, "gradient_microscope", record)
    diagnose(run)
    diagnose(run, at="0,10", diagnosis_seed=6)
    diagnose(run, at="every:195000", trajectories=777)
    cartpole = make("CartPole-v1")
    assert calls[0] == (cartpole, 0.99, 10_000, 0, 195)
    assert calls[1:3] == [(cartpole, 0.99, 1_000, 6, 0), (cartpole, 0.99, 1_000, 6, 10)]
    assert [call[2] for call in calls[3:]] == [777, 777]


def test_the_backend_is_the_runs(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = shutil.copytree(run, tmp_path / "other")
    config = other / "config.toml"
    config.write_text(config.read_text().replace('backend = "auto"', 'backend = "gymnasium"'))
    envs: list[Env] = []
    monkeypatch.setattr(module, "gradient_microscope", lambda policy, critic, env, *rest: envs.append(env))
    diagnose(run)
    diagnose(other)
    assert [env.compiled for env in envs] == [True, False]


def unexpected(step: str) -> None:
    pytest.fail(f"began: {step}")


def test_an_environment_that_does_not_fit(run: Path, tmp_path: Path) -> None:
    other = shutil.copytree(run, tmp_path / "other")
    config = other / "config.toml"
    config.write_text(config.read_text().replace("CartPole-v1", "Acrobot-v1"))
    with pytest.raises(EnvError, match=r"'Acrobot-v1' has 6 observations and 3 actions; this policy was made for 4"):
        diagnose(other, progress=unexpected)


@pytest.mark.parametrize("bad", [{"seed": 4}, {"trajectories": 100}, {"trajectories": 10**9}])
def test_what_cannot_be_is_refused(run: Path, bad: dict[str, Any]) -> None:
    words = {"seed": "has no seed 4; it has 3, 5", "trajectories": "trajectories must be at "}
    with pytest.raises((RunError, ConfigError), match=words[next(iter(bad))]):
        diagnose(run, progress=unexpected, **bad)


def test_what_is_no_run_folder_is_refused(run: Path, tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nowhere", run / "seed-3", run / "seed-3" / "policy.safetensors"):
        with pytest.raises(RunError, match="is no run folder"):
            diagnose(path)


# -------------------------------------------------------------------------------------------------------- fitted values


def explained_variance(critic: MLPValue, env: Env, policy: MLPPolicy, discount: float) -> float:
    """Of the rewards-to-go of fresh episodes."""
    batch = next(iter(rolled_out(env, policy, [100], 12345)))
    nothing = np.empty(0)
    target = multipliers(EstimatorSpec(discount=discount), batch, nothing, nothing).target
    errors = target - critic.value(batch.obs[:, : target.size].T)
    assert abs(errors.mean()) < 0.3 * target.std()
    return float(1 - errors.var() / target.var())


def test_a_fitted_value_explains_fresh_returns(run: Path) -> None:
    policy, env = load_run(run).policy, make("CartPole-v1")
    critic = fitted_value(env, policy, 0.99, 0)
    assert critic.sizes == (4, 64, 1)
    assert critic.activation == policy.activation
    assert explained_variance(critic, env, policy, 0.99) > 0.5
    np.testing.assert_array_equal(fitted_value(env, policy, 0.99, 0).parameters, critic.parameters)
    assert (fitted_value(env, policy, 0.99, 1).parameters != critic.parameters).any()


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e4])
def test_a_fitted_value_is_near_the_exact_one_whatever_the_size_of_rewards(scale: float) -> None:
    chain = exact.chain(3, discount=0.9)
    problem = dataclasses.replace(chain, reward=chain.reward * scale)
    case = cases_of(problem, np.random.default_rng(0))[0]
    dynamics = finite(problem.start, problem.transition, problem.reward, problem.terminal, case.obs)
    env = Env("chain", OBS_SIZE, Discrete(2), 200, None, dynamics=dynamics)
    critic = fitted_value(env, case.compiled_policy, 0.9, 0)
    acting = ~problem.terminal
    values = case.solution.value[acting]
    np.testing.assert_allclose(critic.value(case.obs[acting]), values, atol=0.15 * np.abs(values).max())


def test_a_value_of_returns_that_are_all_the_same_is_that_return() -> None:
    """One step is all there is: no deviation to divide by."""
    env = dataclasses.replace(make("CartPole-v1"), max_episode_steps=1)
    critic = fitted_value(env, MLPPolicy(np.zeros(44, np.float32), (4, 6, 2)), 0.9, 0)
    np.testing.assert_allclose(critic.value(np.zeros((3, 4))), 1.0, atol=1e-3)


def test_a_run_without_a_value_network_is_given_one(without_value: Path) -> None:
    diagnosis = diagnose(without_value, at="2,6", trajectories=200)
    assert diagnosis.value == "a network fitted to rewards-to-go at each policy"
    assert looked_at(diagnosis) == [2, 6]
    saved = load_run(without_value)
    assert saved.critic is None
    policy, _ = saved.at(2)
    critic = fitted_value(make("CartPole-v1"), policy, 0.99, 0)
    same = gradient_microscope(policy, critic, "CartPole-v1", 0.99, 200, 0)
    assert same.view("reward-to-go, value").noise == diagnosis.microscopes[0].view("reward-to-go, value").noise
    bare = diagnosis.microscopes[0].view("reward-to-go")
    assert diagnosis.microscopes[0].view("reward-to-go, value").noise[0].value < bare.noise[0].value


def test_nothing_is_looked_at_before_all_moments_are_known(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "gradient_microscope", lambda *_: pytest.fail("it began"))
    with pytest.raises(RunError, match="iteration 83 were not kept"):
        diagnose(run, at="0,10,83")


@pytest.mark.parametrize("settings", [{"trajectories": 0}, {"diagnosis_seed": -1}, {"at": "1" * 5000}])
def test_numbers_that_cannot_be_are_refused(without_value: Path, settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"trajectories must|diagnosis_seed must|--at must"):
        diagnose(without_value, **settings)
